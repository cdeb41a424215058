package call

import (
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

// Phone is a number in E.164, such as +14155550123, or empty, or, where it could not be read as a number that
// can be called back, the text as dialled (an extension, a sip: address): Usable tells. It prints masked in logs.
type Phone string

// LogValue keeps all but the last two digits out of logs.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.Masked()) }

// Masked shows the last two digits only.
func (p Phone) Masked() string {
	if len(p) < 4 || !e164.MatchString(string(p)) {
		return "…"
	}
	return "…" + string(p[len(p)-2:])
}

// ReadPhone reads a number as people and providers write it. region (ISO 3166-1 alpha-2, upper case) completes
// national spellings. withheld tells that the caller hid the number; problem says in words why the number cannot be
// matched with a CRM record or called back, and p is then the text as dialled.
func ReadPhone(text, region string) (p Phone, withheld bool, problem string) {
	if isNorthAmerican(text) {
		return Phone(text), false, ""
	}
	text = asDialled(text)
	if IsWithheld(text) {
		return "", true, ""
	}
	if n, ok := parsePhone(text, region); ok {
		if whole := phonenumbers.Format(n, phonenumbers.E164); e164.MatchString(whole) { // some plans of the library go beyond fifteen digits
			return Phone(whole), false, ""
		}
	}
	lower := strings.ToLower(text)
	switch digits := countDigits(text); {
	case strings.HasPrefix(lower, "sip:"), strings.HasPrefix(lower, "sips:"), strings.HasPrefix(lower, "client:"):
		problem = "is an internet address, not a phone number"
	case digits == 0:
		problem = "is not a phone number"
	case digits < 7:
		problem = "is too short for a phone number: an extension or a short code"
	default:
		problem = "is not a phone number that exists"
		if region != "" {
			problem += " in " + region + " or anywhere else"
		}
	}
	return Phone(text), false, problem
}

// IsWithheld reports whether the text stands for a hidden number: empty, one of the words that providers send, or
// the keypad spelling of one.
func IsWithheld(text string) bool {
	t := strings.ToLower(strings.TrimSpace(text))
	return withheldWords[strings.TrimPrefix(t, "tel:")]
}

var withheldWords = map[string]bool{
	"": true, "anonymous": true, "restricted": true, "unknown": true, "unavailable": true, "private": true,
	"blocked": true, "withheld": true, "private number": true, "unknown caller": true, "no caller id": true,
	"null": true, "none": true, "n/a": true,
	"+266696687":   true, // ANONYMOUS on a keypad
	"+86282452253": true, // UNAVAILABLE
	"+7378742833":  true, // RESTRICTED
	"+2562533":     true, // BLOCKED
	"+8656696":     true, // UNKNOWN
}

// Usable reports whether p is a number that can be matched and called back.
func (p Phone) Usable() bool {
	if isNorthAmerican(string(p)) {
		return true
	}
	if !e164.MatchString(string(p)) {
		return false
	}
	n, ok := parsePhone(string(p), "")
	return ok && phonenumbers.Format(n, phonenumbers.E164) == string(p)
}

// National gives the digits of the national number, such as 4155550123; empty when p is not usable.
func (p Phone) National() string {
	n, ok := parsePhone(string(p), "")
	if !ok {
		return ""
	}
	return phonenumbers.GetNationalSignificantNumber(n)
}

// Country is the region that p belongs to, such as US; empty when that cannot be said.
func (p Phone) Country() string {
	n, ok := parsePhone(string(p), "")
	if !ok {
		return ""
	}
	return phonenumbers.GetRegionCodeForNumber(n)
}

// Display writes p for people: in the national way where region is p's own, else internationally.
func (p Phone) Display(region string) string {
	n, ok := parsePhone(string(p), "")
	if !ok {
		return string(p)
	}
	if region != "" && phonenumbers.GetRegionCodeForNumber(n) == region {
		return phonenumbers.Format(n, phonenumbers.NATIONAL)
	}
	return phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
}

// Spellings are the ways in which people usually type p into a CRM, most likely first; nil when p is not usable.
// They only find candidates: SamePhone decides.
func (p Phone) Spellings() []string {
	n, ok := parsePhone(string(p), "")
	if !ok {
		return nil
	}
	digits := strings.TrimPrefix(string(p), "+")
	significant := phonenumbers.GetNationalSignificantNumber(n)
	national := phonenumbers.Format(n, phonenumbers.NATIONAL)
	international := phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
	spellings := []string{"+" + digits, national, significant, digits, international}
	if n.GetCountryCode() == 1 && len(significant) == 10 {
		area, exchange, line := significant[:3], significant[3:6], significant[6:]
		spellings = append(spellings,
			area+"-"+exchange+"-"+line,
			area+"."+exchange+"."+line,
			area+" "+exchange+" "+line,
			"("+area+")"+exchange+"-"+line,
			"("+area+") "+exchange+" "+line,
			"1-"+area+"-"+exchange+"-"+line,
			"+1-"+area+"-"+exchange+"-"+line,
			"+1 ("+area+") "+exchange+"-"+line,
			"+1 "+area+" "+exchange+" "+line,
			"1 "+area+" "+exchange+" "+line,
			"00"+digits,
			"011"+digits,
		)
	} else {
		spellings = append(spellings,
			onlyDigits(national),
			strings.ReplaceAll(national, " ", "-"),
			strings.ReplaceAll(international, " ", "-"),
			"+"+strconv.Itoa(int(n.GetCountryCode()))+" "+significant,
			"+"+strconv.Itoa(int(n.GetCountryCode()))+" (0)"+significant,
			"00"+digits,
			"00"+strings.TrimPrefix(international, "+"),
		)
	}
	seen := make(map[string]bool, len(spellings))
	unique := spellings[:0]
	for _, s := range spellings {
		if s != "" && !seen[s] {
			seen[s] = true
			unique = append(unique, s)
		}
	}
	return unique
}

// SamePhone reports whether a number as somebody stored it is p, by reading both the same way.
func SamePhone(stored, region string, p Phone) bool {
	if p == "" {
		return false
	}
	q, withheld, problem := ReadPhone(stored, region)
	return !withheld && problem == "" && q == p
}

var (
	e164      = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	extension = regexp.MustCompile(`(?i)[\s,;]*(?:ext\.?|extension|x|#)\s*\.?:?\s*[0-9]{1,7}$`)
)

// asDialled trims, drops what cannot be seen and shortens to what a number could possibly be.
func asDialled(text string) string {
	text = strings.TrimSpace(text)
	plain := true
	for i := 0; i < len(text); i++ {
		if text[i] < ' ' || text[i] > '~' {
			plain = false
			break
		}
	}
	if !plain {
		text = strings.Map(func(r rune) rune {
			switch {
			case r == utf8.RuneError || unicode.Is(unicode.Cf, r) || unicode.IsControl(r):
				return -1 // direction marks that phones' address books paste along
			case unicode.IsSpace(r):
				return ' '
			}
			return r
		}, text)
		text = strings.TrimSpace(text)
	}
	for strings.HasPrefix(strings.ToLower(text), "tel:") {
		text = strings.TrimSpace(text[len("tel:"):])
	}
	if runes := []rune(text); len(runes) > 80 {
		text = strings.TrimSpace(string(runes[:80]))
	}
	return text
}

// parsePhone reads a number that can be called. The library alone accepts 911 and 0014155552671 as national numbers,
// hence the rules of our own.
func parsePhone(text, region string) (*phonenumbers.PhoneNumber, bool) {
	text = extension.ReplaceAllString(text, "")
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == '+' && b.Len() == 0, r == '＋' && b.Len() == 0:
			b.WriteByte('+')
		case unicode.IsDigit(r):
			b.WriteString(phonenumbers.NormalizeDigitsOnly(string(r)))
		case strings.ContainsRune(" ()-./\u2010\u2011\u2012\u2013\u2014\u00a0", r):
		default:
			return nil, false // a letter: an address, a sentence, anything but a number
		}
	}
	digits := b.String()
	switch {
	case strings.HasPrefix(digits, "+"):
	case strings.HasPrefix(digits, "00") && region != "":
		digits = "+" + digits[2:]
	case strings.HasPrefix(digits, "011") && northAmerica(region):
		digits = "+" + digits[3:]
	}
	if strings.HasPrefix(digits, "+") {
		// "+44 (0)20 …" is how many write it; the library drops that zero by the country's own rule.
		if len(digits) < 8 || len(digits) > 17 {
			return nil, false
		}
		n, err := phonenumbers.Parse(digits, "")
		return n, err == nil && callable(n, true)
	}
	if len(digits) < 7 || len(digits) > 16 || region == "" {
		return nil, false
	}
	if n, err := phonenumbers.Parse(digits, region); err == nil && callable(n, false) {
		return n, true
	}
	if len(digits) >= 11 { // international digits whose + got lost
		if n, err := phonenumbers.Parse("+"+digits, ""); err == nil && phonenumbers.IsValidNumber(n) {
			return n, true
		}
	}
	return nil, false
}

// callable accepts what the numbering plan knows. A number that came complete is also taken when only its length and
// first digit fit: plans grow faster than libraries, and a real caller must not be lost for it. The same holds for a
// ten-digit North American number.
func callable(n *phonenumbers.PhoneNumber, complete bool) bool {
	if n.GetItalianLeadingZero() { // a trunk zero is dropped at each reading: what has another behind it is no number
		e164 := phonenumbers.Format(n, phonenumbers.E164)
		if again, err := phonenumbers.Parse(e164, ""); err != nil || phonenumbers.Format(again, phonenumbers.E164) != e164 {
			return false
		}
	}
	if phonenumbers.IsValidNumber(n) {
		return true
	}
	if phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
		return false
	}
	if n.GetCountryCode() == 1 {
		s := phonenumbers.GetNationalSignificantNumber(n)
		return len(s) == 10 && s[0] >= '2'
	}
	return complete
}

// isNorthAmerican spares the commonest numbers, +1 and ten digits that callable takes, the library's 10 microseconds.
func isNorthAmerican(text string) bool {
	if len(text) != 12 || text[:2] != "+1" || text[2] < '2' {
		return false
	}
	for i := 2; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

func northAmerica(region string) bool { return phonenumbers.GetCountryCodeForRegion(region) == 1 }

func countDigits(s string) int {
	n := 0
	for _, r := range s {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

func onlyDigits(s string) string { return phonenumbers.NormalizeDigitsOnly(s) }
