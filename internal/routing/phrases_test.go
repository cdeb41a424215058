package routing

import (
	"testing"

	"hookline/internal/call"
)

// corpus holds sentences of callers and whether each phrase list counts in them.
var corpus = []struct {
	list string
	said string
	want bool
}{
	{ListBuying, "What's the pricing for 50 users?", true},
	{ListBuying, "Could you send me a quote for the kitchen?", true},
	{ListBuying, "I'd like to buy two more units.", true},
	{ListBuying, "We want to purchase the enterprise plan.", true},
	{ListBuying, "How much does it cost to replace a boiler?", true},
	{ListBuying, "I'm interested in your Enterprise plan.", true},
	{ListBuying, "We are ready to move forward.", true},
	{ListBuying, "Do you offer a discount for nonprofits?", true},
	{ListBuying, "I would like to place an order.", true},
	{ListBuying, "We need additional seats for the new office.", true},
	{ListBuying, "PRICES for the big one, please", true},
	{ListBuying, "No, I'd like a quote.", true},
	{ListBuying, "no I want to buy it today", true},
	{ListBuying, "I don't know the price yet, that's why I call.", true},
	{ListBuying, "I didn't get the quote you promised.", true},
	{ListBuying, "I can't find the pricing on your website.", true},
	{ListBuying, "It's not urgent, but I need an estimate.", true},
	{ListBuying, "Not only a demo, we want to buy.", true},
	{ListBuying, "I don't want to wait but I want to buy.", true},
	{ListBuying, "¿Cuánto cuesta el plan básico?", true},
	{ListBuying, "Quisiera comprar tres licencias.", true},
	{ListBuying, "Necesito una cotización para mi casa.", true},
	{ListBuying, "Estoy interesado en contratar el servicio.", true},
	{ListBuying, "Quiero un presupuesto, por favor.", true},
	{ListBuying, "Me manda los precios?", true},
	{ListBuying, "i don't want the old price just tell me the new price for fifty seats", true},
	{ListBuying, "can't you give me a quote", true},
	{ListBuying, "why don't you send me a quote", true},
	{ListBuying, "I wouldn't mind a quote.", true},
	{ListBuying, "Hi, couldn't we get a discount?", true},
	{ListBuying, "well won't you just send me an estimate", true},
	{ListBuying, "I would not mind getting an estimate.", true},
	{ListBuying, "isn't there a discount for schools", true},
	{ListBuying, "so why don't we talk about pricing", true},
	{ListBuying, "that quote was not a good quote i want another quote for the small one", true},
	{ListBuying, "¿Por qué no me manda un presupuesto?", true},
	{ListBuying, "no me puede dar un precio", true},
	{ListBuying, "No me vendría mal un presupuesto.", true},
	{ListBuying, "no quiero el precio viejo digame por favor cual es el precio nuevo", true},
	{ListBuying, "You can't give me a quote over the phone anyway.", false},
	{ListBuying, "we don't need a quote and we never asked for a quote", false},
	{ListBuying, "I don't want you to quote me.", false},
	{ListBuying, "Don't send me a quote.", false},
	{ListBuying, "I told you we won't buy.", false},
	{ListBuying, "I would not say that I mind but no quote please", false},
	{ListBuying, "no puedo comprar nada ahora", false},
	{ListBuying, "No me mande más presupuestos ni precios.", false},
	{ListBuying, "ya le dije que no me interesa comprar", false},
	{ListUrgent, "it isn't urgent and there is nothing urgent about it", false},
	{ListBuying, "I don't want to buy anything.", false},
	{ListBuying, "We're not interested in your offer.", false},
	{ListBuying, "I do not need a quote, thanks.", false},
	{ListBuying, "I'm calling about my appointment, no quote needed.", false},
	{ListBuying, "We never asked for a quote.", false},
	{ListBuying, "I wouldn't say we are interested in that.", false},
	{ListBuying, "The buyer will be at the house at noon.", false},
	{ListBuying, "My delivery has not arrived.", false},
	{ListBuying, "The priceless vase broke.", false},
	{ListBuying, "How much longer will the technician need?", false},
	{ListBuying, "My order from last week is late.", false},
	{ListBuying, "No quiero comprar nada.", false},
	{ListBuying, "No estoy interesada en eso.", false},
	{ListBuying, "Can I speak with Maria?", false},
	{ListBuying, "Where is your office?", false},
	{ListUrgent, "This is urgent, please hurry.", true},
	{ListUrgent, "We need it ASAP.", true},
	{ListUrgent, "Please come as soon as possible.", true},
	{ListUrgent, "Es urgente.", true},
	{ListUrgent, "No hay agua, es urgente.", true},
	{ListUrgent, "It's not urgent.", false},
	{ListUrgent, "This isn't really that urgent.", false},
	{ListUrgent, "Nothing urgent, just a question.", false},
	{ListUrgent, "No es urgente.", false},
	{ListUrgent, "He is in urgency training.", false},
	{ListEmergency, "We have a burst pipe!", true},
	{ListEmergency, "The pipe burst, this is an emergency.", true},
	{ListEmergency, "I smell gas in the kitchen.", true},
	{ListEmergency, "There is no heat in the house.", true},
	{ListEmergency, "Es una emergencia.", true},
	{ListEmergency, "No emergency, just a quote.", false},
	{ListEmergency, "It is not an emergency.", false},
	{ListEmergency, "No es una emergencia.", false},
	{ListEmergency, "The room was hot.", false},
	{ListCallback, "Can someone call me back tomorrow at 2 PM?", true},
	{ListCallback, "Please give me a call when you can.", true},
	{ListCallback, "Que me llamen mañana, por favor.", true},
	{ListCallback, "You don't have to call me back.", false},
	{ListCallback, "No need to call back.", false},
	{ListCallback, "I called yesterday.", false},
	{ListSpam, "We've been trying to reach you about your car's extended warranty.", true},
	{ListSpam, "Your Google listing needs to be verified.", true},
	{ListSpam, "You have been pre-approved for business funding.", true},
	{ListSpam, "Is my boiler still under warranty?", false},
	{ListSpam, "I found you on Google.", false},
	{ListForward, "We're ready to move forward with the proposal.", true},
	{ListForward, "Please send me the contract.", true},
	{ListForward, "We are not ready to move forward.", false},
}

func TestPhraseListsCountTheCallersWordsAndNotTheNegatedOnes(t *testing.T) {
	lists := DefaultSet().Lists()
	right := 0
	for _, s := range corpus {
		c := call.Call{Transcript: []call.Turn{{Role: call.Caller, Text: s.said}}}
		e := evaluation{facts: Facts{Call: c}, phrases: lists}
		got, saw, _ := e.said(Condition{Field: FieldSaid, Op: Says, Lists: []string{s.list}})
		if got == s.want {
			right++
		} else {
			t.Errorf("%s in %q: got %v, want %v (%s)", s.list, s.said, got, s.want, saw)
		}
	}
	t.Logf("%d of %d sentences right", right, len(corpus))
}

func TestWhatTheAgentSaidNeverCounts(t *testing.T) {
	c := call.Call{Transcript: []call.Turn{
		{Role: call.Agent, Text: "Would you like a quote or our pricing?"},
		{Role: call.Caller, Text: "Neither, I'm calling about Tuesday."},
	}}
	e := evaluation{facts: Facts{Call: c}, phrases: DefaultSet().Lists()}
	if got, saw, _ := e.said(Condition{Field: FieldSaid, Op: Says, Lists: []string{ListBuying}}); got {
		t.Errorf("the agent's words counted: %s", saw)
	}
}

func TestTheSummaryCountsOnlyWhereNoWordsOfTheCallerWereSent(t *testing.T) {
	buying := Condition{Field: FieldSaid, Op: Says, Lists: []string{ListBuying}}
	e := evaluation{facts: Facts{Call: call.Call{Summary: "Wants pricing for 50 seats."}}, phrases: DefaultSet().Lists()}
	if got, saw, _ := e.said(buying); !got {
		t.Errorf("a call without transcript: %s", saw)
	}
	e = evaluation{facts: Facts{Call: call.Call{Summary: "Wants pricing.", Transcript: []call.Turn{{Role: call.Caller, Text: "Hello."}}}}, phrases: DefaultSet().Lists()}
	if got, saw, _ := e.said(buying); got {
		t.Errorf("the summary counted although the caller's words are there: %s", saw)
	}
}

func TestAPhraseMatchesWholeWordsWithoutCaseOrAccents(t *testing.T) {
	for _, c := range []struct {
		said, phrase string
		want         bool
	}{
		{"I want to BUY.", "buy", true},
		{"the buyer called", "buy", false},
		{"the buyer called", "buy*", true},
		{"una cotización", "cotizacion", true},
		{"una cotizacion", "cotización", true},
		{"don’t", "don't", true},
		{"price-list", "price list", true},
		{"pri ce", "price", false},
		{"email me at quote@acme.com", "quote", true},
	} {
		s := listen(call.Call{Transcript: []call.Turn{{Role: call.Caller, Text: c.said}}})
		if got := len(s.find([]string{c.phrase})) > 0; got != c.want {
			t.Errorf("%q in %q: got %v", c.phrase, c.said, got)
		}
	}
}

func FuzzListeningNeverPanics(f *testing.F) {
	for _, s := range corpus {
		f.Add(s.said)
	}
	f.Fuzz(func(t *testing.T, said string) {
		e := evaluation{facts: Facts{Call: call.Call{Transcript: []call.Turn{{Role: call.Caller, Text: said}}}}, phrases: DefaultSet().Lists()}
		for _, l := range DefaultPhrases() {
			e.said(Condition{Field: FieldSaid, Op: Says, Lists: []string{l.Name}})
		}
	})
}
