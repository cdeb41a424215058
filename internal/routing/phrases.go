package routing

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"hookline/internal/call"
)

// speech is what the caller said, cut into clauses of words. It is made once for a decision.
type speech struct {
	clauses     []clause
	sentences   int  // that the caller spoke
	fromSummary bool // there was no transcript with the caller's words: these are the summary's
	nameless    bool // somebody spoke, and nobody says who: not counted

	words []string // of all clauses
	at    []int
}

// clause is a run of words that a negation can reach across: no mark of punctuation and no "but" lies within.
type clause struct {
	words    []string // folded: lower case, without accents
	at       []int    // where each word begins in text
	text     string   // the sentence it stands in, as said
	sentence int      // which of the speech
	turn     int      // index in the transcript; -1 for the summary
}

// listen reads the caller's words of a call. What the agent said never counts, nor do words of whom nobody knows who
// said them. The summary stands in only where no words of the caller are there.
func listen(c call.Call) *speech {
	s := &speech{}
	length := 0
	for _, t := range c.Transcript {
		if t.Role == call.Caller {
			length += len(t.Text)
		}
	}
	s.words, s.at = make([]string, 0, length/5), make([]int, 0, length/5) // a word and its space have five letters
	for i, t := range c.Transcript {
		switch t.Role {
		case call.Caller:
			s.add(t.Text, i)
		case call.Agent:
		default:
			s.nameless = s.nameless || strings.TrimSpace(t.Text) != ""
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
		start := len(s.words)
		flush := func() {
			if end := len(s.words); end > start {
				s.clauses = append(s.clauses, clause{s.words[start:end:end], s.at[start:end:end], sentence, s.sentences, turn})
			}
			start = len(s.words)
		}
		eachWord(sentence, func(w string, at int) {
			if breaks[w] {
				flush()
				return
			}
			s.words, s.at = append(s.words, w), append(s.at, at)
		}, flush)
		flush()
	}
}

// sentencesOf cuts at full stops, question and exclamation marks and line ends that are followed by space or
// nothing, so that "3.5" and "acme.com" stay whole.
func sentencesOf(text string) []string {
	var out []string
	start, spoken := 0, false // whether there is a word since start
	take := func(end int) {
		if spoken {
			out = append(out, strings.TrimSpace(text[start:end]))
			start, spoken = end, false
		}
	}
	for i, r := range text {
		switch r {
		case '.', '?', '!', '…':
			end := i + utf8.RuneLen(r)
			if next, _ := utf8.DecodeRuneInString(text[end:]); end == len(text) || unicode.IsSpace(next) {
				take(end)
			}
		case '\n', '¿', '¡':
			take(i)
		default:
			spoken = spoken || isWordRune(r)
		}
	}
	take(len(text))
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
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '\'' || r == '*' || r == '`'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '’' || r == '‘' || unicode.Is(unicode.Mn, r)
}

// eachWord cuts a text into folded words: letters, digits and inner apostrophes. It tells each word with where it
// begins, and each pause between words.
func eachWord(text string, word func(w string, at int), pause func()) {
	start := -1
	take := func(end int) {
		if start >= 0 {
			if w := fold(text[start:end]); w != "" {
				word(w, start)
			}
			start = -1
		}
	}
	for i, r := range text {
		switch {
		case !isWordRune(r):
			take(i)
			if isPause(r) {
				pause()
			}
		case start < 0:
			start = i
		}
	}
	take(len(text))
}

// fold brings a word to lower case, without accents and outer apostrophes; "" where nothing but marks is left.
func fold(word string) string {
	plain := true
	for i := range len(word) {
		plain = plain && word[i] < utf8.RuneSelf && word[i] != '`'
	}
	if !plain {
		word = strings.Map(func(r rune) rune {
			switch {
			case unicode.Is(unicode.Mn, r):
				return -1
			case r == '’' || r == '‘' || r == '`':
				return '\''
			}
			return r
		}, norm.NFD.String(word))
	}
	word = strings.Trim(strings.ToLower(word), "'")
	if strings.Trim(word, "*") == "" {
		return ""
	}
	return word
}

// wordsOf folds a text and cuts it into words.
func wordsOf(text string) []string {
	var words []string
	eachWord(text, func(w string, _ int) { words = append(words, w) }, func() {})
	return words
}

// maxQuotes is how many places of a call a condition shows.
const maxQuotes = 8

// find looks for the phrases and returns the places as they were said, those that count before the negated ones, at
// most maxQuotes. A phrase counts once for each clause: where it is said there several times, the first that is not
// negated stands for all. The same words count once for each sentence.
func (s *speech) find(phrases []string) []Quote {
	b := bookOf(phrases)
	f := finding{seen: map[place]bool{}}
	for i := range s.clauses {
		f.look(b, &s.clauses[i])
		if len(f.counts) >= maxQuotes {
			break
		}
	}
	all := append(f.counts, f.negated...)
	return all[:min(len(all), maxQuotes)]
}

// finding gathers the quotes of one find.
type finding struct {
	counts, negated []Quote
	seen            map[place]bool
	hits            []hit // of the clause at hand
	where           map[int]int
	exempt          []stretch // by word of the clause at hand: the words that do not count; none where they do
}

// stretch is a run of words, from at to end.
type stretch struct{ at, end int }

// hit is a phrase in a clause: its words from at to end.
type hit struct {
	at, end int
	negated string
}

// place tells quotes apart.
type place struct {
	said     string
	sentence int
	negated  bool
}

func (f *finding) look(b *phrasebook, c *clause) {
	f.hits = f.hits[:0]
	clear(f.where)
	exempted := b.except == nil
	for at := range c.words {
		b.root.walk(c.words, at, func(phrase, end int) {
			i, again := f.where[phrase]
			if again && f.hits[i].negated == "" {
				return
			}
			if !exempted {
				f.exemptIn(b, c)
				exempted = true
			}
			h := hit{at, end, negation(c.words, at, end)}
			if h.negated == "" && b.except != nil {
				h.negated = f.exemption(c, at, end)
			}
			switch {
			case !again:
				if f.where == nil {
					f.where = map[int]int{}
				}
				f.where[phrase] = len(f.hits)
				f.hits = append(f.hits, h)
			case h.negated == "":
				f.hits[i] = h
			}
		})
	}
	for _, h := range f.hits {
		f.keep(c, h)
	}
}

// exemptIn finds the words of a clause that do not count.
func (f *finding) exemptIn(b *phrasebook, c *clause) {
	f.exempt = slices.Grow(f.exempt[:0], len(c.words))[:len(c.words)]
	clear(f.exempt)
	for at := range c.words {
		b.except.walk(c.words, at, func(_, end int) {
			for i := at; i < end; i++ {
				f.exempt[i] = stretch{at, end}
			}
		})
	}
}

// exemption is the words for which those from at to end do not count, "" where they do.
func (f *finding) exemption(c *clause, at, end int) string {
	for _, s := range f.exempt[at:end] {
		if s.end > 0 {
			return strings.Join(c.words[s.at:s.end], " ")
		}
	}
	return ""
}

func (f *finding) keep(c *clause, h hit) {
	to := &f.counts
	if h.negated != "" {
		to = &f.negated
	}
	p := place{strings.Join(c.words[h.at:h.end], " "), c.sentence, h.negated != ""}
	if len(*to) >= maxQuotes || f.seen[p] {
		return
	}
	f.seen[p] = true
	*to = append(*to, Quote{Phrase: p.said, Text: excerpt(c.text, c.at[h.at], 160), Turn: c.turn, Negated: h.negated})
}

// excerpt shortens a sentence to n characters around the byte at which what matters begins.
func excerpt(s string, at, n int) string {
	from := at
	for before := 0; from > 0 && before < n/2; before++ {
		_, size := utf8.DecodeLastRuneInString(s[:from])
		from -= size
	}
	if utf8.RuneCountInString(s[:min(len(s), 4*n)]) <= n && len(s) <= 4*n {
		from = 0
	}
	if from == 0 {
		return clip(s, n)
	}
	if space := strings.IndexByte(s[from:at], ' '); space >= 0 {
		from += space + 1
	}
	return "…" + clip(s[from:], n-1)
}

// indexOf looks for a pattern of words, of which each may end with *, and returns -1 where it is not there.
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

// clip shortens a quote to n characters.
func clip(s string, n int) string {
	cut := len(s)
	for i := range s {
		switch n--; n {
		case 0:
			cut = i // where the mark goes, should more follow
		case -1:
			return s[:cut] + "…"
		}
	}
	return s
}
