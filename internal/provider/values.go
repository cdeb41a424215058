package provider

import (
	"encoding/json"
	"fmt"
	"math"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"hookline/internal/call"
)

// reader takes values out of a document as loosely as vendors write them (a number as text, true as "TRUE", null for
// absent) and notes what it could not use.
type reader struct {
	settings Settings
	notes    []string
}

func (r *reader) note(format string, args ...any) {
	if len(r.notes) < 20 {
		r.notes = append(r.notes, fmt.Sprintf(format, args...))
	}
}

// at finds the value at a path of dots; nil when there is none.
func at(doc document, path string) any {
	if v, ok := doc[path]; ok {
		return v
	}
	head, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		return nil
	}
	inner, _ := doc[head].(document)
	return at(inner, rest)
}

func object(v any) document {
	d, _ := v.(document)
	return d
}

// text is a value as text; empty for null, absent, and what templates leave when a placeholder was not filled.
func text(v any) string {
	switch v := v.(type) {
	case string:
		s := strings.TrimSpace(v)
		if strings.HasPrefix(s, "{{") && strings.HasSuffix(s, "}}") && !strings.Contains(s[2:len(s)-2], "{{") {
			return ""
		}
		if len(s) <= 4 {
			switch strings.ToLower(s) {
			case "null", "none", "n/a", "nil":
				return ""
			}
		}
		return s
	case number:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// lines is text, or a list of texts joined by line breaks.
func lines(v any) string {
	list, ok := v.([]any)
	if !ok {
		return text(v)
	}
	var out []string
	for _, item := range list {
		if s := text(item); s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, "\n")
}

func float(v any) (float64, bool) {
	s := text(v)
	if s == "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// seconds reads a duration: 245, "245", "4:05", "00:04:05", "4m 5s". A negative one is noted and left out.
func (r *reader) seconds(name string, v any) time.Duration {
	s := text(v)
	if s == "" {
		return 0
	}
	d, ok := readSeconds(s)
	if !ok || d < 0 || d > 1000*time.Hour {
		r.note("%s %s is not a length of time and was left out.", name, shown(s))
		return 0
	}
	return (d + time.Second/2).Truncate(time.Second)
}

func readSeconds(s string) (time.Duration, bool) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) > 1e8 {
			return 0, false
		}
		return time.Duration(f * float64(time.Second)), true
	}
	if parts := strings.Split(s, ":"); len(parts) == 2 || len(parts) == 3 {
		total := 0.0
		for _, part := range parts {
			f, err := strconv.ParseFloat(part, 64)
			if err != nil || f < 0 || f > 1e6 {
				return 0, false
			}
			total = total*60 + f
		}
		return time.Duration(total * float64(time.Second)), total < 1e8
	}
	d, err := time.ParseDuration(strings.ReplaceAll(strings.ToLower(s), " ", ""))
	return d, err == nil
}

// phone reads one side's number; absent counts as withheld.
func (r *reader) phone(name string, v any) (p call.Phone, withheld bool) {
	p, withheld, problem := call.ReadPhone(text(v), r.settings.Region)
	if problem != "" {
		r.note("%s %s %s.", name, shown(string(p)), problem)
	}
	return p, withheld
}

// choice reads one of a few words, whatever its case; an unknown one is noted.
func choice[T ~string](r *reader, name string, v any, words map[string]T) T {
	s := text(v)
	value, known := words[strings.ToLower(s)]
	if !known && s != "" {
		r.note("%s %s is not a word that is known here and was left out.", name, shown(s))
	}
	return value
}

var directions = map[string]call.Direction{
	"inbound": call.Inbound, "incoming": call.Inbound, "in": call.Inbound,
	"outbound": call.Outbound, "outgoing": call.Outbound, "out": call.Outbound, "internal": call.Internal,
}

var statuses = map[string]call.Status{
	"completed": call.Completed, "complete": call.Completed, "answered": call.Completed, "ended": call.Completed,
	"missed": call.Missed, "no-answer": call.Missed, "no_answer": call.Missed, "busy": call.Missed, "unanswered": call.Missed, "abandoned": call.Missed,
	"voicemail": call.Voicemail, "left_voicemail": call.Voicemail, "failed": call.Failed, "error": call.Failed,
}

// scalars are the answers of a call: text, numbers and yes or no, empty ones left out; anything deeper is kept as JSON text.
func scalars(doc document) map[string]any {
	out := make(map[string]any, len(doc))
	for k, v := range doc {
		if s := scalar(v); s != nil && s != "" && k != "" {
			out[k] = s
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func scalar(v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case bool:
		return v
	case string:
		return text(v)
	case number:
		return plainNumber(v)
	}
	encoded, err := json.Marshal(plain(v))
	if err != nil {
		return nil
	}
	return string(encoded)
}

// plain turns a value into what encoding/json writes the same way again.
func plain(v any) any {
	switch v := v.(type) {
	case number:
		return plainNumber(v)
	case document:
		m := make(map[string]any, len(v))
		for k, inner := range v {
			m[k] = plain(inner)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, inner := range v {
			l[i] = plain(inner)
		}
		return l
	}
	return v
}

// plainNumber is a float64 where that loses no digit, else the digits as text.
func plainNumber(n number) any {
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.Abs(f) > 1<<53 && !strings.ContainsAny(string(n), ".eE") {
		return string(n)
	}
	return f
}

func metadata(v any) map[string]any {
	doc := object(v)
	if len(doc) == 0 {
		return nil
	}
	return plain(doc).(map[string]any)
}

// testKey in a call's metadata marks a simulated call.
const testKey = "hookline_test"

// email is an address without a name; what is none is noted and left out.
func (r *reader) email(v any) string {
	s := text(v)
	if s == "" {
		return ""
	}
	a, err := mail.ParseAddress(s)
	if err != nil || len(s) > 254 {
		r.note("email %s is not an e-mail address and was left out.", shown(s))
		return ""
	}
	return a.Address
}

// names fills the call's name from its parts, or from the whole where the parts are missing.
func names(c *call.Call, first, last, full, company string) {
	c.FirstName, c.LastName, c.CallerName, c.Company = first, last, full, company
	if first == "" && last == "" && full != "" {
		var firm string
		c.FirstName, c.LastName, firm = call.SplitName(full)
		if c.Company == "" {
			c.Company = firm
		}
	}
	if c.LastName == "" && c.FirstName != "" {
		// A CRM wants a last name: a person with one name has it there.
		first, last, _ := call.SplitName(c.FirstName)
		if last != "" {
			c.FirstName, c.LastName = first, last
		}
	}
}
