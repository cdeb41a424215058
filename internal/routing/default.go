package routing

import "slices"

// Names of the phrase lists that every tenant starts with.
const (
	ListBuying    = "buying"
	ListUrgent    = "urgent"
	ListEmergency = "emergency"
	ListCallback  = "callback"
	ListForward   = "forward"
	ListSpam      = "spam"
)

// DefaultSet is what a tenant starts with, so that every call ends in exactly one place: the first two rules keep
// calls out of Zoho, the others put each where it belongs.
func DefaultSet() Set {
	is := func(f Field, values ...string) Condition { return Condition{Field: f, Op: Is, Values: values} }
	says := func(list string) Condition { return Condition{Field: FieldSaid, Op: Says, Lists: []string{list}} }
	all := func(of ...Condition) Condition { return Condition{All: of} }
	log := func(on string) Outcome { return Outcome{Do: LogCall, On: on} }
	return Set{
		Rules: []Rule{
			{
				ID: "no-number", Name: "No usable number",
				When: Condition{Any: []Condition{is(FieldUsable, "unusable"), is(FieldDirection, "internal")}},
				Then: []Outcome{{Do: Ignore}},
			},
			{ID: "spam", Name: "Spam", When: all(is(FieldCaller, "new"), says(ListSpam)), Then: []Outcome{{Do: Ignore}}},
			{
				ID: "open-deal", Name: "Contact with an open Deal",
				When: all(is(FieldCaller, "contact"), Condition{Field: FieldOpenDeals, Op: AtLeast, Number: 1}),
				Then: []Outcome{log("deal")},
			},
			{
				ID: "buying", Name: "Contact who wants to buy", When: all(is(FieldCaller, "contact"), says(ListBuying)),
				Then: []Outcome{{Do: CreateDeal, Within: 30, Account: true}, log("deal")},
			},
			{ID: "contact", Name: "Known Contact", When: all(is(FieldCaller, "contact")), Then: []Outcome{log("contact")}},
			{ID: "lead", Name: "Known Lead", When: all(is(FieldCaller, "lead")), Then: []Outcome{log("lead")}},
			{ID: "new-caller", Name: "New caller", When: all(is(FieldCaller, "new")), Then: []Outcome{{Do: CreateLead}, log("lead")}},
		},
		Phrases: DefaultPhrases(),
	}
}

// DefaultPhrases are the phrase lists that every tenant starts with. Words match whole and without case or accents;
// a trailing * stands for any ending.
func DefaultPhrases() []PhraseList {
	return slices.Clone([]PhraseList{
		{Name: ListBuying, Label: "buying words", Intents: []string{"buying", "buy", "purchase", "pricing", "sales", "quote", "sales inquiry"}, Phrases: []string{
			"price", "prices", "priced", "pricing", "cost", "costs", "how much is", "how much are", "how much do", "how much does",
			"how much would", "how much will", "how much for", "quote", "quotes", "quotation", "estimate", "estimates", "proposal",
			"buy", "buying", "purchase", "purchasing", "place an order", "like to order", "want to order", "need to order",
			"interested in", "sign up", "sign us up", "subscribe", "upgrade", "discount", "discounts", "your rates", "more seats",
			"additional seats", "more licenses", "additional licenses", "licenses for", "get started with", "ready to move forward",
			"precio", "precios", "cotizacion", "presupuesto", "comprar", "cuanto cuesta", "cuanto cuestan", "cuanto vale",
			"cuanto sale", "interesado en", "interesada en", "contratar", "hacer un pedido",
		}},
		{Name: ListUrgent, Label: "urgent words", Intents: []string{"urgent"}, Phrases: []string{
			"urgent", "urgently", "asap", "a s a p", "as soon as possible", "right away", "immediately", "time sensitive",
			"urgente", "urgentemente", "lo antes posible", "cuanto antes",
		}},
		{Name: ListEmergency, Label: "emergency words", Intents: []string{"emergency"}, Phrases: []string{
			"emergency", "emergencies", "pipe burst", "burst pipe", "burst pipes", "flooding", "flooded", "gas leak", "smell gas",
			"no heat", "on fire", "sparking", "locked out", "emergencia", "fuga de gas", "inundacion", "se inunda",
		}},
		{Name: ListCallback, Label: "callback words", Intents: []string{"callback", "callback request", "call back"}, Phrases: []string{
			"call me back", "call us back", "call back", "callback", "calling me back", "return my call", "give me a call",
			"give us a call", "ring me back", "get back to me", "have someone call", "someone call me", "call me tomorrow",
			"llameme", "llamame", "me llamen", "me llame", "me devuelva la llamada", "devolverme la llamada", "devuelvame la llamada",
		}},
		{Name: ListForward, Label: "ready-to-move-forward words", Phrases: []string{
			"ready to move forward", "move forward with", "ready to sign", "ready to proceed", "go ahead with", "send the contract",
			"send me the contract", "let's do it", "listos para avanzar", "seguir adelante",
		}},
		{Name: ListSpam, Label: "spam words", Intents: []string{"spam", "robocall", "telemarketing", "solicitation"}, Phrases: []string{
			"extended warranty", "car's warranty", "vehicle warranty", "google listing", "google business listing", "google my business",
			"search engine ranking", "search engine optimization services", "seo services", "merchant cash advance", "business funding",
			"pre approved for", "preapproved for", "lower your interest rate", "student loan forgiveness", "final courtesy call",
			"press one to", "press 1 to", "you have been selected", "you've been selected", "this is not a sales call",
			"prestamo preaprobado", "ha sido seleccionado",
		}},
	})
}
