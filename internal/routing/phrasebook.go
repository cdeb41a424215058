package routing

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// phrasebook is a list of phrases as a tree of their words, so that a text is read once however many phrases there
// are.
type phrasebook struct {
	phrases []string
	root    branch
	except  *branch // of the phrases whose words do not count; nil without
}

// branch is where some phrases have come to after the same words.
type branch struct {
	words  map[string]*branch // what follows, by the whole word
	stems  map[byte][]stem    // what follows, by the word's beginning: of words with *, by their first byte
	firsts [4]uint64          // the bytes that stems has, a bit each: most words need no look
	gap    *branch            // what follows with a few words between
	ends   []int              // the phrases that are complete here
}

// stem is what follows words with a beginning.
type stem struct {
	beginning string
	next      *branch
}

// How phrases are written beside their words.
const (
	gap     = "…"    // some words, or none
	or      = "|"    // between words of which one is said
	exempts = "not:" // before a phrase whose words do not count
)

// gapReach is how many words a gap stands for at most. Of a phrase maxGaps are read, each of which triples the ways to
// read it, and no more alternatives than make it maxWays phrases.
const (
	gapReach = 2
	maxGaps  = 3
	maxWays  = 200
)

// slot is one place of a phrase: the words that may stand there, each way a run of them.
type slot [][]string

// parse reads a phrase, and whether its words do not count. What is more than maxGaps and maxWays allow is left out.
func parse(phrase string) (slots []slot, exempt bool) {
	slots, exempt, _ = read(phrase)
	return slots, exempt
}

func empty(phrase string) bool {
	slots, _ := parse(phrase)
	return len(slots) == 0
}

// readable reports whether the whole of a phrase is looked for.
func readable(phrase string) bool {
	_, _, whole := read(phrase)
	return whole
}

func read(phrase string) (slots []slot, exempt, whole bool) {
	phrase = strings.TrimSpace(phrase)
	if n := len(exempts); len(phrase) >= n && strings.EqualFold(phrase[:n], exempts) {
		phrase, exempt = phrase[n:], true
	}
	gaps, ways, whole := 0, 1, true
	for _, part := range strings.Split(writing.Replace(phrase), gap) {
		between := len(slots) > 0
		for _, field := range strings.Fields(part) {
			var s slot
			for _, way := range strings.Split(field, or) {
				switch words := wordsOf(way); {
				case len(words) == 0:
				case (len(s)+1)*ways > maxWays:
					whole = false
				default:
					s = append(s, words)
				}
			}
			switch {
			case len(s) == 0:
				continue
			case between && gaps == maxGaps:
				whole = false
			case between:
				slots = append(slots, slot{{gap}})
				gaps++
			}
			between = false
			slots, ways = append(slots, s), ways*len(s)
		}
	}
	return slots, exempt, whole
}

var writing = strings.NewReplacer("...", gap, " | ", or, " |", or, "| ", or)

func compile(phrases []string) *phrasebook {
	b := &phrasebook{phrases: slices.Clone(phrases)}
	for i, p := range phrases {
		slots, exempt := parse(p)
		switch {
		case len(slots) == 0:
		case !exempt:
			b.root.grow(slots, i)
		default:
			if b.except == nil {
				b.except = &branch{}
			}
			b.except.grow(slots, i)
		}
	}
	return b
}

// grow adds what is left of a phrase.
func (b *branch) grow(slots []slot, phrase int) {
	for _, words := range slots[0] {
		at, last := b, len(words)-1
		for _, w := range words[:last] {
			at = at.follow(w)
		}
		if len(slots) > 1 {
			at.follow(words[last]).grow(slots[1:], phrase)
			continue
		}
		for _, form := range forms(words[last]) {
			end := at.follow(form)
			end.ends = append(end.ends, phrase)
		}
	}
}

func (b *branch) follow(word string) *branch {
	if word == gap {
		if b.gap == nil {
			b.gap = &branch{}
		}
		return b.gap
	}
	if beginning, open := strings.CutSuffix(word, "*"); open {
		return b.followStem(beginning)
	}
	if b.words == nil {
		b.words = map[string]*branch{}
	}
	next := b.words[word]
	if next == nil {
		next = &branch{}
		b.words[word] = next
	}
	return next
}

func (b *branch) followStem(beginning string) *branch {
	first := beginning[0]
	for _, s := range b.stems[first] {
		if s.beginning == beginning {
			return s.next
		}
	}
	if b.stems == nil {
		b.stems = map[byte][]stem{}
	}
	next := &branch{}
	b.stems[first] = append(b.stems[first], stem{beginning, next})
	b.firsts[first/64] |= 1 << (first % 64)
	return next
}

// walk tells every phrase whose words go on at a word, and the word after its last. A gap does not reach over a
// negation: "call … back" is not in "call nobody back".
func (b *branch) walk(words []string, at int, found func(phrase, end int)) {
	for _, p := range b.ends {
		found(p, at)
	}
	if at == len(words) {
		return
	}
	if b.gap != nil {
		for to := at; to < len(words) && to <= at+gapReach; to++ {
			b.gap.walk(words, to, found)
			if negators[words[to]] {
				break
			}
		}
	}
	if next := b.words[words[at]]; next != nil {
		next.walk(words, at+1, found)
	}
	first := words[at][0]
	if b.firsts[first/64]&(1<<(first%64)) == 0 {
		return
	}
	for _, s := range b.stems[first] {
		if strings.HasPrefix(words[at], s.beginning) {
			s.next.walk(words, at+1, found)
		}
	}
}

// forms are a phrase's last word with its regular plural and possessive, which is what a person who writes "quote"
// expects: quotes, quote's; emergency, emergencies; precio, precios; cotización, cotizaciones. Nothing else of the
// word's family is meant: "quoted" tells of what was, "ordered" is no order, and "priceless" has no price. Who wants
// those writes them, or quot*. A word with *, a number and a short word have no other form, nor have those whose s
// makes another word. The plural -es of Spanish is formed only of endings by which it makes no English word, so that
// "plan" is not "planes". A plural does not stand for its singular.
func forms(word string) []string {
	last := word[len(word)-1]
	if len(word) < 3 || last < 'a' || last > 'z' || unvaried[word] {
		return []string{word}
	}
	end := func(with ...string) bool {
		return slices.ContainsFunc(with, func(e string) bool { return strings.HasSuffix(word, e) })
	}
	all := []string{word, word + "'s"}
	switch {
	case end("y") && !end("ay", "ey", "oy", "uy"):
		return append(all, word[:len(word)-1]+"ies")
	case end("s", "x", "ch", "sh"):
		return append(all, word+"es")
	case end("z"):
		return append(all, word+"es", word[:len(word)-1]+"ces")
	case utf8.RuneCountInString(word) > 4 && end("ion", "dad", "tad", "dor", "tor", "al"):
		return append(all, word+"s", word+"es")
	}
	return append(all, word+"s")
}

// unvaried are words whose s makes another word.
var unvaried = set(`new good custom her our your their that what there here how who let`)

// maxKept is how many phrases are kept compiled, in all lists together: 20 to 40 MB. Past it all are compiled anew.
const maxKept = 30_000

// books keeps the lists that were compiled, by what they hold: a set is read anew for each call, while its lists
// seldom change and most tenants have the same.
var books = struct {
	sync.Mutex
	seed maphash.Seed
	by   map[uint64]*phrasebook
	kept int
}{seed: maphash.MakeSeed(), by: map[uint64]*phrasebook{}}

// bookOf compiles phrases, or finds them compiled.
func bookOf(phrases []string) *phrasebook {
	var h maphash.Hash
	h.SetSeed(books.seed)
	for _, p := range phrases {
		h.WriteString(p)
		h.WriteByte(0)
	}
	key := h.Sum64()
	books.Lock()
	b := books.by[key]
	books.Unlock()
	if b != nil && slices.Equal(b.phrases, phrases) {
		return b
	}
	b = compile(phrases)
	books.Lock()
	defer books.Unlock()
	if books.kept += len(phrases); books.kept > maxKept {
		clear(books.by)
		books.kept = len(phrases)
	}
	books.by[key] = b
	return b
}

// IsExcept reports whether a phrase takes words out of its list instead of listening for them.
func IsExcept(phrase string) bool {
	_, exempt := parse(phrase)
	return exempt
}
