package routing

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"hookline/internal/call"
)

// speech is what the caller said, cut into clauses of words. It is made once for a decision.
type speech struct {
	clauses     []clause
	sentences   int  // that the caller spoke
	fromSummary bool // there was no transcript with the caller's words: these are the summary's
}

// clause is a run of words that a negation can reach across: no mark of punctuation and no "but" lies within.
type clause struct {
	words []string // folded: lower case, without accents
	text  string   // the sentence it stands in, as said
	turn  int      // index in the transcript; -1 for the summary
}

// listen reads the caller's words of a call. What the agent said never counts.
func listen(c call.Call) *speech {
	s := &speech{}
	for i, t := range c.Transcript {
		if t.Role == call.Caller {
			s.add(t.Text, i)
		}
	}
	if s.sentences == 0 && strings.TrimSpace(c.Summary) != "" {
		s.fromSummary = true
		s.add(c.Summary, -1)
	}
	return s
}

func (s *speech) add(text string, turn int) {
	for _, sentence := range sentencesOf(text) {
		s.sentences++
		var words []string
		flush := func() {
			if len(words) > 0 {
				s.clauses = append(s.clauses, clause{words: words, text: sentence, turn: turn})
			}
			words = nil
		}
		for _, piece := range strings.FieldsFunc(sentence, isPause) {
			for _, w := range wordsOf(piece) {
				if breaks[w] {
					flush()
					continue
				}
				words = append(words, w)
			}
			flush()
		}
	}
}

// sentencesOf cuts at full stops, question and exclamation marks and line ends that are followed by space or
// nothing, so that "3.5" and "acme.com" stay whole.
func sentencesOf(text string) []string {
	var out []string
	start := 0
	runes := []rune(text)
	take := func(end int) {
		if s := strings.TrimSpace(string(runes[start:end])); s != "" && strings.ContainsFunc(s, isWordRune) {
			out = append(out, s)
			start = end
		}
	}
	for i, r := range runes {
		switch r {
		case '.', '?', '!', '…':
			if i+1 == len(runes) || unicode.IsSpace(runes[i+1]) {
				take(i + 1)
			}
		case '\n', '¿', '¡':
			take(i)
		}
	}
	take(len(runes))
	return out
}

func isPause(r rune) bool {
	switch r {
	case ',', ';', ':', '(', ')', '–', '—', '"', '“', '”', '¿', '¡', '?', '!':
		return true
	}
	return false
}

func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '\'' || r == '*'
}

// wordsOf folds a text and cuts it into words: letters, digits and inner apostrophes.
func wordsOf(text string) []string {
	var b strings.Builder
	for _, r := range norm.NFD.String(text) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r == '’' || r == '‘' || r == '`':
			b.WriteByte('\'')
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	words := strings.FieldsFunc(b.String(), func(r rune) bool { return !isWordRune(r) })
	kept := words[:0]
	for _, w := range words {
		if w = strings.Trim(w, "'"); w != "" && strings.Trim(w, "*") != "" {
			kept = append(kept, w)
		}
	}
	return kept
}

// find looks for the phrases and returns the places, negated ones included, at most eight. A phrase counts once for
// each clause: where it is said there several times, the first that is not negated stands for all.
func (s *speech) find(phrases []string) []Quote {
	var quotes []Quote
	for _, p := range phrases {
		pattern := wordsOf(p)
		if len(pattern) == 0 {
			continue
		}
		for _, c := range s.clauses {
			at := indexOf(c.words, pattern, 0)
			if at < 0 {
				continue
			}
			negated := negation(c.words[:at])
			for next := at; negated != ""; {
				if next = indexOf(c.words, pattern, next+1); next < 0 {
					break
				}
				if negation(c.words[:next]) == "" {
					at, negated = next, ""
				}
			}
			said := strings.Join(c.words[at:at+len(pattern)], " ")
			quotes = append(quotes, Quote{Phrase: said, Text: clip(c.text, 160), Turn: c.turn, Negated: negated})
		}
	}
	return fewest(quotes)
}

// fewest drops repeats of the same words in the same sentence and keeps eight, those that count first.
func fewest(quotes []Quote) []Quote {
	type place struct {
		phrase, text string
		turn         int
	}
	seen := map[place]bool{}
	var counts, negated []Quote
	for _, q := range quotes {
		p := place{q.Phrase, q.Text, q.Turn}
		if seen[p] {
			continue
		}
		seen[p] = true
		if q.Negated == "" {
			counts = append(counts, q)
		} else {
			negated = append(negated, q)
		}
	}
	all := append(counts, negated...)
	return all[:min(len(all), 8)]
}

func indexOf(words, pattern []string, from int) int {
	for i := from; i+len(pattern) <= len(words); i++ {
		fits := true
		for j, p := range pattern {
			if stem, open := strings.CutSuffix(p, "*"); open {
				fits = strings.HasPrefix(words[i+j], stem)
			} else {
				fits = words[i+j] == p
			}
			if !fits {
				break
			}
		}
		if fits {
			return i
		}
	}
	return -1
}

// negationReach is how many words a negation reaches ahead within its clause: "I don't really want to buy".
const negationReach = 5

// negation finds the word before a phrase that turns it round, given the words of its clause that stand before it.
func negation(before []string) string {
	for i := len(before) - 1; i >= 0 && len(before)-i <= negationReach; i-- {
		w := before[i]
		if !negators[w] {
			continue
		}
		next := ""
		if i+1 < len(before) {
			next = before[i+1]
		}
		switch {
		case w == "no" && answers[next]: // "no I'd like a quote": an answer, not a negation
		case strings.HasPrefix(w, "not") && (next == "only" || next == "just" || next == "sure"):
		case lacks(before[i+1:]): // "I don't know the price" asks for it
		case asks(before, i), welcomes(before[i+1:]):
		default:
			return w
		}
	}
	return ""
}

// asks reports whether the negation at i is that of a question which wants the thing: "can't you give me a quote",
// "why don't we", "¿no me puede dar un precio?". Punctuation is not asked for, since speech recognition often has none.
func asks(before []string, i int) bool {
	w, after := before[i], before[i+1:]
	if len(after) == 0 {
		return false
	}
	opening := before[:i]
	if w == "no" && i >= 2 && before[i-2] == "por" && before[i-1] == "que" {
		opening = before[:i-2]
	}
	start := !slices.ContainsFunc(opening, func(w string) bool { return !openings[w] })
	if w == "no" {
		if after[0] == "me" || after[0] == "nos" {
			after = after[1:]
		}
		return start && (len(opening) < i || len(after) > 0 && spanishRequests[after[0]])
	}
	return inverting[w] && inverted[after[0]] && (start || i > 0 && before[i-1] == "why")
}

// welcomes reports whether what follows a negation makes a yes of it: "wouldn't mind", "no me vendría mal".
func welcomes(after []string) bool {
	if len(after) > 0 && (after[0] == "me" || after[0] == "nos") {
		after = after[1:]
	}
	return len(after) > 0 && (after[0] == "mind" || after[0] == "importaria") ||
		len(after) > 1 && (after[0] == "vendria" || after[0] == "estaria") && after[1] == "mal"
}

// lacks reports whether the first verb after a negation says that the caller has not got or not understood the
// thing, which is a way to ask for it.
func lacks(after []string) bool {
	for i, w := range after {
		if i > 2 {
			return false
		}
		if lackVerbs[w] {
			return w != "have" || i+1 == len(after) || after[i+1] != "to"
		}
	}
	return false
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

var (
	negators = set(`no not never don't dont doesn't doesnt didn't didnt isn't isnt aren't arent wasn't wasnt weren't won't wont
		wouldn't wouldnt can't cant cannot couldn't shouldn't ain't hardly neither nor without unless nobody nothing none
		sin nunca ni tampoco jamas`)
	answers = set(`i i'm i'd i've i'll we we're we'd we'll it it's that that's this thanks thank problem worries yeah
		yes actually just please gracias`)
	lackVerbs = set(`know see find have get got receive received remember understand wait hesitate seem hear caught catch heard
		sabe se tengo encuentro recibi entiendo`)
	// inverting stand before their subject in questions only.
	inverting = set(`can't cant couldn't couldnt won't wont wouldn't wouldnt don't dont isn't isnt aren't arent`)
	inverted  = set(`you we i there`)
	openings  = set(`hi hello hey well ok okay um uh yeah yes sorry please and hola bueno oiga oye disculpe y`)
	// spanishRequests are verbs by which "no" at the start asks for something.
	spanishRequests = set(`puede puedes pueden podria podrias podrian`)
	breaks          = set(`but however although though because so then pero aunque porque`)
)

// clip shortens a quote to n characters.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
