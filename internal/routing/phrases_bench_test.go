package routing

import (
	"fmt"
	"strings"
	"testing"

	"hookline/internal/call"
)

// long is a call of about a megabyte without a mark of punctuation.
func long() call.Call {
	one := "so um I was saying to my husband we should call you guys about the kitchen because the old one doesn't look right any more "
	return call.Call{Transcript: []call.Turn{{Role: call.Caller, Text: strings.Repeat(one, 1<<20/len(one))}}}
}

// spoken is a call of a megabyte that says each text over and over.
func spoken(texts ...string) call.Call {
	var all strings.Builder
	for _, t := range texts {
		all.WriteString(strings.Repeat(t, 1<<20/len(texts)/len(t)))
	}
	return call.Call{Transcript: []call.Turn{{Role: call.Caller, Text: all.String()}}}
}

// alike are phrases of a hundred letters that differ in the last word only.
func alike() []string {
	phrases := make([]string, maxPhrases)
	for i := range phrases {
		phrases[i] = fmt.Sprint(strings.Repeat("how ", 25), "much", i)
	}
	return phrases
}

// many are as many phrases as a list may have.
func many() []string {
	phrases := make([]string, maxPhrases)
	for i := range phrases {
		phrases[i] = fmt.Sprintf("we should order number%d of those thing%d", i, i)
	}
	return phrases
}

func usual() call.Call {
	var c call.Call
	for range 15 {
		c.Transcript = append(c.Transcript,
			call.Turn{Role: call.Agent, Text: "Thanks for calling, would you like a quote or our pricing?"},
			call.Turn{Role: call.Caller, Text: "Yes, hello, I'm calling about the boiler in the house on Mill Road, it makes a noise, and I don't know what to do."})
	}
	return c
}

func BenchmarkListen(b *testing.B) {
	for name, c := range map[string]call.Call{"usual call": usual(), "1 MB": long()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				listen(c)
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	buying := DefaultSet().Lists()[ListBuying].Phrases
	for _, m := range []struct {
		name    string
		heard   *speech
		phrases []string
	}{
		{"usual call, buying words", listen(usual()), buying},
		{"usual call, 500 phrases", listen(usual()), many()},
		{"1 MB, 500 phrases", listen(long()), many()},
		{"1 MB of negations, buying words", listen(spoken("don't quote ")), buying},
		{"1 MB of greetings, buying words", listen(spoken("hello ", "don't we quote ")), buying},
		{"1 MB of one word, phrases of it", listen(spoken("how ")), alike()},
	} {
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.heard.find(m.phrases)
			}
		})
	}
}
