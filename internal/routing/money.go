package routing

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"hookline/internal/call"
)

// Money reads a number as people say sums: 50000, "50,000", "$50K", "1.5 million", "50.000 €", "around 50k". Of several
// it takes the first with a currency, else the first with a scale such as "k", else the first; of a range ("40-50k",
// "between 40 and 50k") the lower end. Quarters, years beside other words, dates and times of day are no sums. It
// reports false for anything that holds no number.
func Money(s string) (float64, bool) { return money(s, func() bool { return false }) }

// MoneyIn reads a sum of a call as Money does; where Spanish was spoken, "mil" is a thousand.
func MoneyIn(c call.Call, s string) (float64, bool) {
	return money(s, func() bool { return inSpanish(c) })
}

func money(s string, spanish func() bool) (float64, bool) {
	_, sums := sumsOf(s, spanish)
	if len(sums) == 0 {
		return 0, false
	}
	best := sums[0]
	for _, m := range sums[1:] {
		if m.rank() > best.rank() {
			best = m
		}
	}
	return best.value(), true
}

// sumsOf finds the numbers of a text that can be sums, those of a range with what was said at its other end. It gives
// back the text in lower case that their places refer to.
func sumsOf(s string, spanish func() bool) (string, []sum) {
	s = dates.ReplaceAllString(strings.ToLower(clip(strings.TrimSpace(s), 1000)), " ")
	mil := 1e6
	if strings.Contains(s, "mil") && (slices.ContainsFunc(wordsOf(s), func(w string) bool { return spanishSums[w] }) || spanish()) {
		mil = 1e3
	}
	sums := sumsIn(s, mil)
	for i := range sums {
		if i+1 < len(sums) {
			sums[i].takeFrom(sums[i+1], s)
		}
	}
	return s, sums
}

// sum is a number in a text, with what says that it is a sum of money.
type sum struct {
	n          float64
	scale      float64 // 0: none was said
	currency   bool
	start, end int // in the text, currency and scale included
}

func (m sum) value() float64 { return m.n * max(m.scale, 1) }

func (m sum) rank() int {
	switch {
	case m.currency:
		return 2
	case m.scale > 0:
		return 1
	}
	return 0
}

// takeFrom gives the lower end of a range what was said with the upper end only: "40-50k", "between $40 and 50 thousand".
func (m *sum) takeFrom(upper sum, s string) {
	switch strings.TrimSpace(s[m.end:upper.start]) {
	case "-", "–", "—", "to", "a", "or", "o":
	case "and", "y":
		if !slices.ContainsFunc(wordsBefore(s, m.start), func(w string) bool { return w == "between" || w == "entre" }) {
			return
		}
	default:
		return
	}
	m.currency = m.currency || upper.currency
	switch {
	case m.scale > 0 || upper.scale == 0:
	case m.n < upper.n:
		m.scale = upper.scale
	default:
		m.scale = 1 // "900 to 1.2k" does not begin at 900k
	}
}

const (
	signs      = `[$€£¥₹]`
	currencies = `usd|eur|gbp|cad|aud|nzd|mxn|inr|euros?|pounds?|quid|dollars?|bucks?|pesos?|rupees?|d[oó]lar(?:es)?`
)

var (
	// amounts: 1 the currency before a number, 2 the number, 3 its scale, 4 the currency after it.
	amounts = regexp.MustCompile(`(?:((?:us|ca|au|nz|mx|hk|[acrs])?` + signs + `|\b(?:` + currencies + `|rs)\b\.?)\s?)?(\d(?:[\d.,']*\d)?)` +
		`(?:\s*(mil millones|mil|k|thousand|grand|m|mm|million|millions|mio|millones|b|bn|billion)\b)?(?:\s*(` + signs + `|(?:` + currencies + `)\b))?`)
	dates   = regexp.MustCompile(`\b\d{4}-\d{1,2}-\d{1,2}\b|\b\d{1,2}[/.]\d{1,2}[/.]\d{4}\b`)
	ordinal = regexp.MustCompile(`^(?:st|nd|rd|th|q)\b|^\s?(?:[ap]m\b|[ap]\.m\.|quarter)`) // or a time of day

	scales = map[string]float64{
		"k": 1e3, "thousand": 1e3, "grand": 1e3, "m": 1e6, "mm": 1e6, "million": 1e6, "millions": 1e6, "mio": 1e6, "millones": 1e6,
		"b": 1e9, "bn": 1e9, "billion": 1e9, "mil millones": 1e9,
	}
	// spanishSums are words beside which "mil" is Spanish.
	spanishSums = set("entre y unos unas mas menos hasta aproximadamente alrededor cerca tengo presupuesto pesos dolares dolar soles quetzales millones")
	// datesBefore are words after which a number of four digits is a year.
	datesBefore = set(`in by since until early mid late fy year q q1 q2 q3 q4 h1 h2 quarter end spring summer autumn fall winter en ano finales
		january february march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec
		enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre`)
)

// sumsIn finds the numbers of a text in lower case that can be sums.
func sumsIn(s string, mil float64) []sum {
	var found []sum
	for from := 0; ; {
		at := amounts.FindStringSubmatchIndex(s[from:])
		if at == nil {
			return found
		}
		for i := range at {
			if at[i] >= 0 {
				at[i] += from
			}
		}
		part := func(i int) string {
			if at[2*i] < 0 {
				return ""
			}
			return s[at[2*i]:at[2*i+1]]
		}
		m := sum{start: at[0], end: at[1], currency: part(1) != "" || part(4) != "", scale: scales[part(3)]}
		if part(3) == "mil" {
			m.scale = mil
		}
		if next := s[m.end:]; part(4) != "" && next != "" && next[0] >= '0' && next[0] <= '9' { // "2 $500 units": the sign is the next one's
			m.end, m.currency = at[8], part(1) != ""
		}
		from = m.end
		n, err := strconv.ParseFloat(separators(part(2)), 64)
		if err != nil || n > 1e15 {
			continue
		}
		if m.n = n; strings.Trim(s[:at[4]], " $€£") == "-" {
			m.n = -n
		}
		before := wordsBefore(s, m.start)
		attached, _ := utf8.DecodeLastRuneInString(s[:m.start])
		switch {
		case part(1) == "" && unicode.IsLetter(attached): // Q1, FY26, B2B
		case m.rank() == 0 && (ordinal.MatchString(s[m.end:]) || isYear(part(2), before, s)):
		default:
			found = append(found, m)
		}
	}
}

// wordsBefore are the last few words before a place in a text.
func wordsBefore(s string, at int) []string { return wordsOf(s[max(0, at-60):at]) }

// isYear reports whether a bare number in s is a year or the number of a quarter, given the words before it. A text
// that is nothing else is a number.
func isYear(digits string, before []string, s string) bool {
	for len(before) > 0 && (before[len(before)-1] == "of" || before[len(before)-1] == "de" || before[len(before)-1] == "del") {
		before = before[:len(before)-1]
	}
	last := ""
	if len(before) > 0 {
		last = before[len(before)-1]
	}
	if last == "q" || last == "quarter" || last == "trimestre" {
		return true
	}
	if len(digits) != 4 || strings.Trim(digits, "0123456789") != "" || digits < "1900" || digits > "2099" || strings.TrimSpace(s) == digits {
		return false
	}
	return datesBefore[last] || digits >= "2020" && digits < "2040"
}

var (
	spanishWords = set("que de la el los las en por para con una un es del se su usted quiero necesito gracias buenos buenas tengo mi pero como")
	englishWords = set("the and to of is for you i it that we my on with have do what how are your please can")
)

// inSpanish reports whether a call was held in Spanish, by the small words of its transcript, else of its summary.
func inSpanish(c call.Call) bool {
	spanish, english := 0, 0
	count := func(text string) {
		for _, w := range wordsOf(text) {
			if spanishWords[w] {
				spanish++
			}
			if englishWords[w] {
				english++
			}
		}
	}
	for _, t := range c.Transcript {
		count(t.Text)
	}
	if spanish+english == 0 {
		count(c.Summary)
	}
	return spanish > english
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
