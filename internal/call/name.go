package call

import (
	"strings"
	"unicode"
)

// SplitName splits a name as a person or a caller id wrote it. A single word is the last name; "Johnson, Sarah" is
// turned round; suffixes such as Jr. are dropped; what looks like a company (LLC, Inc, GmbH) is one. A number or a
// stock phrase such as WIRELESS CALLER is no name: all three are then empty.
func SplitName(full string) (first, last, company string) {
	full = strings.Join(strings.Fields(full), " ")
	if full == "" || isNoName(full) {
		return "", "", ""
	}
	if isCompany(full) {
		return "", "", full
	}
	if head, tail, found := strings.Cut(full, ","); found && !strings.Contains(tail, ",") {
		head, tail = strings.TrimSpace(head), strings.TrimSpace(tail)
		switch {
		case nameSuffixes[bare(tail)] || tail == "":
			full = head
		case head == "":
			full = tail
		default:
			return dropSuffix(tail), head, ""
		}
	}
	full = strings.Trim(dropSuffix(full), " ,")
	if i := strings.LastIndexByte(full, ' '); i >= 0 {
		return strings.Trim(full[:i], " ,"), full[i+1:], ""
	}
	return "", full, ""
}

var nameSuffixes = map[string]bool{"jr": true, "sr": true, "ii": true, "iii": true, "iv": true, "md": true, "phd": true, "esq": true}

var companyWords = map[string]bool{
	"llc": true, "inc": true, "gmbh": true, "ltd": true, "limited": true, "corp": true, "corporation": true, "llp": true,
	"plc": true, "pty": true, "pvt": true, "incorporated": true, "ag": true, "bv": true, "sarl": true, "srl": true,
}

var noNames = map[string]bool{
	"wireless caller": true, "cell phone": true, "mobile caller": true, "toll free call": true, "toll free caller": true,
	"out of area": true, "name unavailable": true, "caller": true, "customer": true, "no name": true, "not provided": true,
	"user": true, "n/a": true, "none": true, "null": true, "nil": true, "undefined": true,
}

func isNoName(s string) bool {
	lower := strings.ToLower(s)
	if noNames[lower] || IsWithheld(s) {
		return true
	}
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.Is(unicode.So, r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return true // digits and punctuation: the number itself, an extension
}

func isCompany(s string) bool {
	words := strings.Fields(s)
	return len(words) > 1 && companyWords[bare(words[len(words)-1])]
}

func dropSuffix(s string) string {
	if i := strings.LastIndexByte(s, ' '); i > 0 && nameSuffixes[bare(s[i+1:])] {
		return strings.TrimRight(s[:i], " ,")
	}
	return s
}

func bare(word string) string {
	return strings.ToLower(strings.ReplaceAll(strings.Trim(word, " ,."), ".", ""))
}
