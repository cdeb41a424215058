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

// DefaultPhrases are the phrase lists that every tenant starts with. Words match whole and without case or accents; the
// last word of a phrase also in its plural and possessive; a trailing * stands for any ending.
func DefaultPhrases() []PhraseList {
	return slices.Clone([]PhraseList{
		{Name: ListBuying, Label: "buying words", Intents: []string{"buying", "buy", "purchase", "pricing", "sales", "quote", "sales inquiry"}, Phrases: []string{
			"price", "priced", "pricing", "cost", "how much is", "how much are", "how much do", "how much does", "how much it",
			"how much would", "how much will", "how much for", "how much you", "you charge", "would charge", "you charging", "your rate",
			"your fee", "flat fee", "hourly rate", "ballpark", "quote", "quotation", "estimate", "proposal", "buy", "buying", "purchase",
			"purchasing", "place an order", "like to order", "want to order", "need to order", "calling to order", "can i order",
			"could i order", "can we order", "could we order", "interested in", "sign up", "sign us up", "subscribe", "upgrade to",
			"to upgrade", "discount", "better deal", "more seats", "additional seat", "more license", "more licence", "additional license",
			"additional licence", "licenses for", "licences for", "free trial", "get started with", "ready to move forward",
			"want to hire", "like to hire", "hire you", "looking to hire",
			"precio", "tarifa", "honorario", "cotizacion", "cotizar", "cotizarme", "cotice", "presupuesto", "comprar", "descuento",
			"cuanto cuesta*", "cuanto costaria*", "cuanto vale*", "cuanto sale*", "cuanto saldria*", "cuanto seria", "cuanto cobra*",
			"cuanto me cuesta*", "cuanto me costaria*", "cuanto me sale*", "cuanto me saldria*", "cuanto me cobra*", "cuanto nos costaria*",
			"cuanto nos saldria*", "cuanto nos cobra*", "interesado en", "interesada en", "interesados en", "me interesa", "nos interesa",
			"contratar", "hacer un pedido",
		}},
		{Name: ListUrgent, Label: "urgent words", Intents: []string{"urgent"}, Phrases: []string{
			"urgent", "urgently", "asap", "a s a p", "as soon as possible", "as soon as you can", "as soon as you possibly can",
			"as quickly as possible", "as quickly as you can", "as fast as you can", "right away", "straight away", "immediately",
			"time sensitive", "hurry", "come right now", "right this minute", "it can't wait", "this can't wait", "it really can't wait",
			"cannot wait", "can't wait any longer", "can't wait that long",
			"urgente", "urgentemente", "urgencia", "me urge", "nos urge", "urge que", "lo antes posible", "lo mas pronto posible",
			"lo mas rapido posible", "cuanto antes", "de inmediato", "inmediatamente", "ahorita mismo", "venga rapido", "vengan rapido",
		}},
		{Name: ListEmergency, Label: "emergency words", Intents: []string{"emergency"}, Phrases: []string{
			"emergency", "pipe burst", "burst pipe", "pipe has burst", "pipe just burst", "pipe's burst", "pipe is leaking", "burst main",
			"flooding", "flooded", "filling with water", "filling up with water", "water everywhere", "water is everywhere",
			"water pouring", "water coming through", "pouring through", "coming through the ceiling",
			"leaking through the ceiling", "sewage", "sewer is backing up", "sewer's backing up", "drain is backing up", "overflowing", "gas leak",
			"smell gas", "smell of gas", "smells like gas", "smells of gas", "carbon monoxide", "no heat", "no heating", "on fire",
			"caught fire", "smoke coming", "there's smoke", "sparking", "locked out", "knocked out",
			"emergencia", "fuga de gas", "huele a gas", "olor a gas", "inundacion", "inundando", "inundado", "inundada", "se inunda",
			"se me inunda", "se nos inunda", "incendio", "sale humo", "tuberia rota", "se revento",
		}},
		{Name: ListCallback, Label: "callback words", Intents: []string{"callback", "callback request", "call back"}, Phrases: []string{
			"call me back", "call us back", "call back", "callback", "calling me back", "ring me", "ring us", "ring back", "phone me",
			"phone us", "return my call", "returning my call", "returned my call", "nobody has returned my call",
			"nobody has called me back", "no one has called me back", "give me a call", "give us a call", "give me a ring",
			"give us a ring", "get back to me", "get back to us", "have someone call", "have somebody call", "have him call",
			"have her call", "have them call", "someone call me", "somebody call me", "call me at", "call me on", "call me when",
			"call me whenever", "call me later", "call me tomorrow", "call me today", "call me this", "call me tonight", "call me after",
			"call me as soon", "reach me at", "reach me on",
			"llameme", "llamame", "llamenme", "puede llamarme", "pueden llamarme", "podria llamarme", "podrian llamarme", "me llamen", "me llame", "nos llamen", "nos llame", "me marque", "me marquen",
			"marqueme", "me devuelva la llamada", "devolverme la llamada", "devuelvame la llamada", "devolver la llamada",
			"regresar la llamada", "regresarme la llamada", "regreseme la llamada", "me regrese la llamada", "me regresen la llamada",
		}},
		{Name: ListForward, Label: "ready-to-move-forward words", Phrases: []string{
			"ready to move forward", "let's move forward", "like to move forward", "want to move forward", "move forward with",
			"ready to sign", "ready to proceed", "like to proceed", "let's proceed", "go ahead with", "go ahead and book", "go ahead and schedule", "go ahead and order", "go ahead and sign",
			"go ahead and start",
			"let's go ahead", "send the contract", "send me the contract", "send us the contract", "send over the contract",
			"send the agreement", "send over the agreement", "where do i sign", "let's do it", "agree to your terms",
			"accept your offer", "accept the offer", "accept the proposal", "accept the quote",
			"listos para avanzar", "listo para avanzar", "lista para avanzar", "listo para firmar", "lista para firmar", "listos para firmar",
			"seguir adelante", "vamos adelante", "aceptamos la propuesta", "acepto la propuesta", "aceptamos el presupuesto",
			"acepto el presupuesto",
		}},
		{Name: ListSpam, Label: "spam words", Intents: []string{"spam", "robocall", "telemarketing", "solicitation"}, Phrases: []string{
			"car's extended warranty", "vehicle's extended warranty", "auto's extended warranty", "your extended warranty",
			"your auto warranty", "car's warranty", "vehicle warranty", "google listing", "google business listing",
			"business listing on google", "your listing on google", "google my business", "search engine ranking",
			"search engine optimization services", "seo services", "merchant cash advance", "business funding",
			"credit card processing fee", "merchant services", "pre approved for", "preapproved for", "lower your interest rate",
			"student loan forgiveness", "final courtesy call", "press one to", "press 1 to", "press one now", "press 1 now",
			"you have been selected", "you've been selected", "you have won", "this is not a sales call",
			"prestamo preaprobado", "credito preaprobado", "ha sido seleccionado", "ha sido seleccionada", "usted ha ganado",
			"presione uno para", "oprima uno para", "marque uno para",
		}},
	})
}
