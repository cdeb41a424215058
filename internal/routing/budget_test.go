package routing

import (
	"testing"

	"hookline/internal/call"
)

func TestTheBudgetIsAnAnswerElseWhatTheCallerCalledOne(t *testing.T) {
	said := func(text string) call.Call {
		return call.Call{Transcript: []call.Turn{
			{Role: call.Agent, Text: "What is your budget? Most people spend $99K."},
			{Role: call.Caller, Text: text},
		}}
	}
	answered := func(name string, v any) call.Call {
		c := said("Our budget is $7K.")
		c.Answers = map[string]any{name: v}
		return c
	}
	for name, c := range map[string]struct {
		call call.Call
		want float64 // 0: none
	}{
		"an answer that is a number":             {answered("Budget", 50000.0), 50000},
		"an answer as people say it":             {answered("budget range", "$40-50K"), 40000},
		"an answer that holds none":              {answered("budget", "not sure yet"), 7000},
		"our budget is":                          {said("Our budget is $50K, and we start in Q1."), 50000},
		"a bare number beside the word":          {said("We need 50 seats, our budget is 50,000 or so."), 50000},
		"the word after the sum":                 {said("$30,000 is our budget for 12 rooms."), 30000},
		"we can spend":                           {said("We can spend up to 25k on 3 trucks."), 25000},
		"we have around":                         {said("We have around 60 thousand dollars."), 60000},
		"of a range the lower end":               {said("We have between 40 and 50k."), 40000},
		"Spanish":                                {said("Tenemos unos 30 mil pesos."), 30000},
		"Spanish, by its word":                   {said("Nuestro presupuesto es de 50 mil."), 50000},
		"no sum of the past":                     {said("I paid $50 last time."), 0},
		"no number of things":                    {said("We have 3 trucks."), 0},
		"no thing that a sum describes":          {said("I have a $50 coupon code here."), 0},
		"no year":                                {said("The budget is for Q1 2026."), 0},
		"the summary where no words came":        {call.Call{Summary: "Wants pricing for 50 Enterprise seats, budget $50K, start in Q1."}, 50000},
		"nothing where nothing was said":         {call.Call{}, 0},
		"what the agent says is nobody's budget": {said("Hello."), 0},
	} {
		got, from, ok := Budget(c.call)
		if got != c.want || ok != (c.want > 0) || ok != (from != "") {
			t.Errorf("%s: got %v from %q, want %v", name, got, from, c.want)
		}
	}
}
