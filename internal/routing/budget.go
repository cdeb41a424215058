package routing

import (
	"fmt"
	"strings"

	"hookline/internal/call"
)

// budgetAnswers are the names under which phone providers send what a caller is ready to spend.
var budgetAnswers = []string{"estimated_deal_value", "budget", "amount", "deal_value", "budget_range", "estimated_value"}

// Budget is what the caller is ready to spend: an answer with such a name, else a sum that the caller called a budget in
// a sentence ("our budget is $50K", "we can spend up to 50,000", "tenemos unos 30 mil pesos"). Any other sum of money is
// none: "I paid $50 last time". from says where it stands, in words.
func Budget(c call.Call) (n float64, from string, ok bool) {
	return budget(c, func() *speech { return listen(c) })
}

func budget(c call.Call, heard func() *speech) (n float64, from string, ok bool) {
	for _, name := range budgetAnswers {
		switch v := c.Answer(name).(type) {
		case nil:
		case float64:
			return v, "the answer “" + name + "”", true
		default:
			text := fmt.Sprint(v)
			if n, ok := MoneyIn(c, text); ok {
				return n, "the answer “" + clip(text, 80) + "”", true
			}
		}
	}
	last := ""
	for _, cl := range heard().clauses {
		if cl.text == last || !strings.ContainsAny(cl.text, "0123456789") {
			continue
		}
		last = cl.text
		if n, ok := budgetIn(c, cl.text); ok {
			return n, "“" + clip(cl.text, 120) + "”", true
		}
	}
	return 0, "", false
}

// budgetIn reads the sum of a sentence that is about a budget. Beside a word such as "budget" any number will do, the
// first one after the word before others; after "we have" only one with a currency or a scale.
func budgetIn(c call.Call, sentence string) (float64, bool) {
	s, sums := sumsOf(sentence, func() bool { return inSpanish(c) })
	best, bestRank := -1, -1
	for i, m := range sums {
		before := wordsOf(s[:m.start])
		rank := -1
		switch {
		case anyOf(before, budgetWords):
			rank = 2*m.rank() + 1
		case anyOf(wordsOf(s[m.end:]), budgetWords):
			rank = 2 * m.rank()
		case m.rank() > 0 && owns(before):
			rank = 2 * m.rank()
		}
		if rank > bestRank {
			best, bestRank = i, rank
		}
	}
	if best < 0 {
		return 0, false
	}
	return sums[best].value(), true
}

// owns reports whether the last of the words before a sum say that the caller has it: "we have around".
func owns(before []string) bool {
	for i := len(before) - 1; i >= 0; i-- {
		if !approximately[before[i]] {
			return ownWords[before[i]]
		}
	}
	return false
}

func anyOf(words []string, set map[string]bool) bool {
	for _, w := range words {
		if set[w] {
			return true
		}
	}
	return false
}

var (
	budgetWords = set(`budget budgets budgeted spend spending afford invest investing allocated presupuesto gastar invertir`)
	ownWords    = set(`have got tenemos tengo`)
	// approximately stand between "have" and a sum.
	approximately = set(`about around roughly like approximately up to maybe some over nearly almost between unos unas como hasta
		aproximadamente alrededor de cerca entre mas casi`)
)
