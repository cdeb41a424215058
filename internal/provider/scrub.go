package provider

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
)

var (
	secretKey  = regexp.MustCompile(`(?i)(auth_?token|access_?token|^token$|secret|password|api_?key|credential)`)
	secretPair = regexp.MustCompile(`(?i)("[^"\\]{0,60}(?:auth_?token|access_?token|secret|password|api_?key|credential)[^"\\]{0,60}"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,}\]]+)`)
	signedLink = regexp.MustCompile(`(?i)\b(X-Amz-[A-Za-z-]+|Signature|Expires|Key-Pair-Id|Policy|sig|token|access_token)=[^&"'\s\\<>]+`)
)

// Scrub hides the secrets that vendors put into their payloads: the values of keys that name one, and the signatures
// of links that grant access by themselves. It is for wherever a raw event leaves us; what is stored is untouched.
func Scrub(raw []byte) []byte {
	out := bytes.Clone(raw)
	ranges, err := secretRanges(raw)
	if err != nil {
		// Not JSON, or cut short: by the look of the text, then.
		out = secretPair.ReplaceAll(out, []byte(`$1"***"`))
	} else {
		for i := len(ranges) - 1; i >= 0; i-- {
			tail := append([]byte(`"***"`), out[ranges[i][1]:]...)
			out = append(out[:ranges[i][0]], tail...)
		}
	}
	return signedLink.ReplaceAll(out, []byte("$1=***"))
}

// secretRanges finds where the values of secret keys begin and end.
func secretRanges(raw []byte) ([][2]int, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var found [][2]int
	var objects []bool // the open brackets: is it an object?
	isKey := false
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if d, ok := token.(json.Delim); ok {
			switch d {
			case '{', '[':
				objects = append(objects, d == '{')
				isKey = d == '{'
				continue
			default:
				objects = objects[:len(objects)-1]
			}
		} else if isKey {
			if key, _ := token.(string); secretKey.MatchString(key) {
				from := int(dec.InputOffset())
				var value json.RawMessage
				if err := dec.Decode(&value); err != nil {
					return nil, err
				}
				to := int(dec.InputOffset())
				from += bytes.Index(raw[from:to], value)
				found = append(found, [2]int{from, to})
				continue // a key follows
			}
			isKey = false
			continue
		}
		isKey = len(objects) > 0 && objects[len(objects)-1]
	}
}
