package routing

import (
	"math"
	"strconv"
	"strings"
)

// Money reads a number as people say sums: 50000, "50,000", "$50K", "1.5 million", "50.000 €", "around 50k". Of a
// range ("40-50k") it takes the lower end. It reports false for anything that holds no number.
func Money(s string) (float64, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	start := strings.IndexAny(s, "0123456789")
	if start < 0 {
		return 0, false
	}
	end := start
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.' || s[end] == ',' || s[end] == '\'') {
		end++
	}
	digits := strings.TrimRight(s[start:end], ".,'")
	n, err := strconv.ParseFloat(separators(digits), 64)
	if err != nil || math.IsInf(n, 0) || n > 1e15 {
		return 0, false
	}
	if start > 0 && s[start-1] == '-' && strings.TrimLeft(s[:start-1], " $€£") == "" {
		n = -n
	}
	scale := scaleOf(s[end:])
	if scale == 1 {
		// "40-50k", "40 to 50 thousand": the scale of the upper end counts for the lower one too.
		rest := strings.TrimLeft(s[end:], " ")
		for _, word := range []string{"-", "–", "to ", "a "} {
			if upper, ok := strings.CutPrefix(rest, word); ok {
				upper = strings.TrimLeft(upper, " $€£")
				i := 0
				for i < len(upper) && (upper[i] >= '0' && upper[i] <= '9' || upper[i] == '.' || upper[i] == ',') {
					i++
				}
				if i > 0 {
					scale = scaleOf(upper[i:])
				}
				break
			}
		}
	}
	return n * scale, true
}

func scaleOf(after string) float64 {
	word := strings.TrimLeft(after, " ")
	end := strings.IndexFunc(word, func(r rune) bool { return r < 'a' || r > 'z' })
	if end >= 0 {
		word = word[:end]
	}
	switch word {
	case "k", "thousand", "grand", "mil":
		return 1e3
	case "m", "mm", "million", "millions", "mio", "millones":
		return 1e6
	case "b", "bn", "billion":
		return 1e9
	}
	return 1
}

// separators turns the digits of a number into Go's form: of two kinds of mark the last is the decimal one; a
// single kind that stands before exactly three digits, or repeats, parts thousands.
func separators(s string) string {
	s = strings.ReplaceAll(s, "'", "")
	dot, comma := strings.LastIndex(s, "."), strings.LastIndex(s, ",")
	switch {
	case dot >= 0 && comma >= 0 && comma > dot:
		return strings.Replace(strings.ReplaceAll(s, ".", ""), ",", ".", 1)
	case dot >= 0 && comma >= 0:
		return strings.ReplaceAll(s, ",", "")
	case comma >= 0 && (strings.Count(s, ",") > 1 || len(s)-comma == 4):
		return strings.ReplaceAll(s, ",", "")
	case comma >= 0:
		return strings.Replace(s, ",", ".", 1)
	case dot >= 0 && (strings.Count(s, ".") > 1 || len(s)-dot == 4 && s[:dot] != "0"):
		return strings.ReplaceAll(s, ".", "")
	}
	return s
}
