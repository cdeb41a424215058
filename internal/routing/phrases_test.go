package routing

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

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

func TestOnlyTheCallersOwnWordsCount(t *testing.T) {
	type turn = call.Turn
	agent, caller, nobody := call.Agent, call.Caller, call.Role("")
	for _, c := range []struct {
		name    string
		turns   []turn
		summary string
		want    bool
		saw     string
	}{
		{"the agent offers", []turn{{Role: agent, Text: "Would you like a quote?"}, {Role: caller, Text: "Neither, I'm calling about Tuesday."}}, "", false, "1 sentence"},
		{"the agent offers, the caller takes it up", []turn{{Role: agent, Text: "A quote?"}, {Role: caller, Text: "Yes, a quote."}}, "", true, "“quote”"},
		{"the agent alone speaks", []turn{{Role: agent, Text: "Would you like a quote?"}}, "", false, "without words of the caller"},
		{"the agent alone speaks, the summary tells", []turn{{Role: agent, Text: "Hello?"}}, "Wants pricing for 50 seats.", true, "in the summary"},
		{"nobody knows who speaks", []turn{{Role: nobody, Text: "hello would you like a quote no thanks"}}, "", false, "does not say which words are the caller's"},
		{"nobody knows who speaks, the summary tells", []turn{{Role: nobody, Text: "Hello. Hello."}}, "Wants pricing.", true, "in the summary"},
		{"nobody knows who speaks, the summary tells otherwise", []turn{{Role: nobody, Text: "A quote?"}}, "Wanted opening hours.", false, "in the summary"},
		{"some of it is without speaker", []turn{{Role: nobody, Text: "A quote?"}, {Role: caller, Text: "I have a question."}}, "", false, "1 sentence"},
		{"some of it is without speaker, and the caller says it", []turn{{Role: nobody, Text: "Hm?"}, {Role: caller, Text: "I want a quote."}}, "", true, "“quote”"},
		{"a speaker of another name", []turn{{Role: "tool", Text: "quote"}}, "", false, "does not say"},
		{"the caller speaks of something else than the summary", []turn{{Role: caller, Text: "Hello."}}, "Wants pricing.", false, "1 sentence"},
		{"the caller's turn is empty", []turn{{Role: caller, Text: " … "}, {Role: agent, Text: "Hello?"}}, "Wants pricing.", true, "in the summary"},
		{"the caller is negated, the summary is not", []turn{{Role: caller, Text: "I don't want a quote."}}, "Asked about a quote.", false, "negated"},
		{"no transcript", nil, "Wants pricing for 50 seats.", true, "in the summary"},
		{"nothing", nil, "", false, "without words of the caller"},
		{"a negation is not carried from the agent's turn", []turn{{Role: agent, Text: "you don't want"}, {Role: caller, Text: "a quote please"}}, "", true, "“quote”"},
		{"nor from the caller's last turn", []turn{{Role: caller, Text: "I don't"}, {Role: agent, Text: "Yes?"}, {Role: caller, Text: "a quote please"}}, "", true, "“quote”"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := evaluation{facts: Facts{Call: call.Call{Transcript: c.turns, Summary: c.summary}}, phrases: DefaultSet().Lists()}
			got, saw, quotes := e.said(Condition{Field: FieldSaid, Op: Says, Lists: []string{ListBuying}})
			if got != c.want || !strings.Contains(saw, c.saw) {
				t.Errorf("got %v: %s", got, saw)
			}
			for _, q := range quotes {
				if q.Turn >= 0 && c.turns[q.Turn].Role != caller {
					t.Errorf("words of turn %d are quoted", q.Turn)
				}
			}
		})
	}
}

func TestANegationReachesAsFarAsItsSentenceMeans(t *testing.T) {
	for said, negated := range map[string]string{
		"I don't think that we are going to be needing a quote": "don't",
		"we don't have a leak":                                   "don't",
		"we don't have any leaks here":                           "don't",
		"we don't have a quote yet":                              "",
		"I don't have the quote":                                 "",
		"nobody told me the quote":                               "",
		"I have no idea what the quote is":                       "",
		"I'm not really sure about the quote":                    "",
		"we can't decide without a quote":                        "",
		"we came without a quote":                                "without",
		"it's not that I don't want a quote":                     "",
		"no es que no quiera un quote":                           "",
		"I wouldn't say no to a quote":                           "",
		"not only a demo but a quote":                            "",
		"no solo quiero un quote":                                "",
		"don't bother looking I just need a quote":               "",
		"don't worry we want a quote":                            "",
		"no sé cuál es el quote":                                 "",
		"no se preocupe por el quote":                            "no",
		"no cuelgue necesito un quote":                           "",
		"I don't think I need a quote":                           "don't",
		"she didn't say I want a quote":                          "didn't",
		"please stop sending me quotes":                          "stop",
		"stop the quote":                                         "",
		"a call instead of a quote":                              "instead",
		"dejen de mandarme quotes":                               "dejen",
		"the quote won't be necessary":                           "won't",
		"a quote no thank you":                                   "no",
		"thanks for the quote":                                   "thanks for",
		"thank you for your quote":                               "thanks for",
		"gracias por el quote":                                   "gracias por",
		"thanks for your help could I have a quote":              "",
		"no my wife wants a quote":                               "",
		"haven't you got a quote":                                "",
		"we haven't asked for a quote":                           "haven't",
		"hello hello hello hello can't you send me a quote":      "",
		"there is no quote":                                      "no",
		"no quiero ningún quote":                                 "no",
		"todavía no me han mandado el quote":                     "",
		"it's not working and there's a leak":                    "",
		"the heater isn't on it's a leak":                        "",
		"I'm not saying it's a leak":                             "not",
		"we haven't got any leaks":                               "haven't",
		"last winter a leak":                                     "last winter",
		"we had a leak two years back":                           "years back",
		"tuvimos un leak el año pasado":                          "ano pasado",
		"the house is ten years old and there's a leak":          "",
		"pues mire yo no estoy seguro de que me dieran el quote": "",
	} {
		quotes := listen(call.Call{Summary: said}).find([]string{"quote", "leak"})
		if len(quotes) != 1 || quotes[0].Negated != negated {
			t.Errorf("%q: got %+v, want negated by %q", said, quotes, negated)
		}
	}
}

func TestALongSentenceIsQuotedAroundItsPhrase(t *testing.T) {
	for _, pad := range []string{"", "so um ", strings.Repeat("señora ", 5), strings.Repeat("well you know ", 40), strings.Repeat("x", 400) + " "} {
		for _, after := range []string{"", " please", strings.Repeat(" and so on", 40)} {
			quotes := listen(call.Call{Summary: pad + "a quote" + after}).find([]string{"quote"})
			if len(quotes) != 1 || !strings.Contains(quotes[0].Text, "a quote") || utf8.RuneCountInString(quotes[0].Text) > 160 {
				t.Errorf("%d characters before, %d after: got %+v", len(pad), len(after), quotes)
			}
		}
	}
}

func TestAPhrasesLastWordMatchesItsPluralAndPossessiveOnly(t *testing.T) {
	for _, c := range []struct{ phrase, yes, no string }{
		{"quote", "quote quotes quote's QUOTES quotes’", "quoted quoting quotation unquote quot"},
		{"price", "price prices price's", "priceless priced pricing"},
		{"order", "order orders", "ordered ordering orderly"},
		{"emergency", "emergency emergencies emergency's", "emergencys emergent"},
		{"buy", "buy buys", "buies buyer buying"},
		{"box", "box boxes", "boxs boxed"},
		{"leak", "leak leaks", "leakes leaky"},
		{"new", "new", "news newer"},
		{"her", "her", "hers"},
		{"is", "is", "iss ises"},
		{"plan", "plan plans", "planes plane planned"},
		{"car", "car cars", "cares card"},
		{"pin", "pin pins", "pines"},
		{"quotes", "quotes", "quote"},
		{"quot*", "quote quotes quoted quotation", "unquote"},
		{"24", "24", "24s"},
		{"precio", "precio precios", "preciosa precioso"},
		{"cotización", "cotización cotizaciones cotizacion", "cotizado"},
		{"necesidad", "necesidad necesidades", "necesita"},
		{"doctor", "doctor doctores doctors", "doctora"},
		{"luz", "luz luces", "lucha"},
		{"urgente", "urgente urgentes", "urgentemente"},
	} {
		for said, want := range map[string]bool{c.yes: true, c.no: false} {
			for _, w := range strings.Fields(said) {
				if got := len(listen(call.Call{Summary: "the " + w + " today"}).find([]string{c.phrase})) > 0; got != want {
					t.Errorf("the phrase %q in %q: got %v", c.phrase, w, got)
				}
			}
		}
	}
	s := listen(call.Call{Summary: "two burst pipes, and price lists, prices list"})
	for phrase, want := range map[string]string{"burst pipe": "burst pipes", "price list": "price lists"} {
		if q := s.find([]string{phrase}); len(q) != 1 || q[0].Phrase != want {
			t.Errorf("%q: got %+v: only the last word of a phrase varies, and it is shown as said", phrase, q)
		}
	}
}

func TestAPhraseMayLeaveWordsOpenAndTakeWordsOut(t *testing.T) {
	for _, c := range []struct{ list, said, counts, negated string }{
		{"call … back", "please call back", "call back", ""},
		{"call … back", "please call my wife back", "call my wife back", ""},
		{"call ... back", "please call my wife back", "call my wife back", ""},
		{"call … back", "please call my dear wife back", "", ""},
		{"call … back", "call nobody back", "", ""},
		{"call … back", "call, then come back", "", ""},
		{"call … back", "don't call my wife back", "", "don't"},
		{"get … quote", "can I get three quotes", "get three quotes", ""},
		{"… quote …", "a quote please", "quote", ""},
		{"a … b … c", "a x x b x x c", "a x x b x x c", ""},
		{"sign the contract|papers", "we sign the papers", "sign the papers", ""},
		{"sign the contract | papers", "we sign the contracts", "sign the contracts", ""},
		{"sign the contract|papers", "we sign the wall", "", ""},
		{"quot*|price list", "a quotation list", "quotation list", ""},
		{"pre-approved|chosen for", "you are pre approved for", "pre approved for", ""},
		{"emergency\nnot: emergency contact", "this is an emergency", "emergency", ""},
		{"emergency\nnot: emergency contact", "my emergency contact has changed", "", "emergency contact"},
		{"emergency\nnot: emergency contacts", "my emergency contact has changed", "emergency", ""},
		{"emergency\nNot: Emergency contact", "my emergency contact has changed", "", "emergency contact"},
		{"emergency\nnot: emergency contact", "my emergency contact called about an emergency", "emergency", ""},
		{"emergency\ncontact\nnot: my emergency", "my emergency contact", "contact", ""},
		{"not: emergency contact", "my emergency contact", "", ""},
		{"price\nnot: than … price", "more than the agreed price", "", "than the agreed price"},
	} {
		var counts, negated string
		for _, q := range listen(call.Call{Summary: c.said}).find(strings.Split(c.list, "\n")) {
			if q.Negated == "" {
				counts = q.Phrase
			} else if counts == "" {
				negated = q.Negated
			}
		}
		if counts != c.counts || negated != c.negated {
			t.Errorf("%q in %q: got %q, negated by %q", c.list, c.said, counts, negated)
		}
	}
}

func TestAPhraseThatMeansTooManyIsRefused(t *testing.T) {
	many := strings.Repeat("a|b|c ", 5)
	for phrase, ok := range map[string]bool{"a … b … c … d": true, "a … b … c … d … e": false, many: false, "a|b|c a|b|c a|b|c": true, "…": false, "not: |": false} {
		if problems := checkPhrases([]string{phrase}); (len(problems) == 0) != ok {
			t.Errorf("%q: %v", phrase, problems)
		}
	}
	for _, l := range DefaultPhrases() {
		if problems := checkPhrases(l.Phrases); len(problems) > 0 {
			t.Errorf("%s: %v", l.Name, problems)
		}
	}
}

func TestAListThatIsChangedIsReadAnew(t *testing.T) {
	s := listen(call.Call{Summary: "a quote for the roof"})
	phrases := []string{"quote"}
	if len(s.find(phrases)) != 1 {
		t.Fatal("the phrase was not found")
	}
	phrases[0] = "cellar"
	if q := s.find(phrases); len(q) != 0 {
		t.Errorf("the old phrase was found: %+v", q)
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

// FuzzFindIsAsGoodAsLookingAtEachPlace has the tree of phrases compared with the plain search.
func FuzzFindIsAsGoodAsLookingAtEachPlace(f *testing.F) {
	f.Add("we need quotes for the burst pipes, and so on", "quote\nburst pipe\nneed* quot*\n*")
	f.Add("a a a b’s Ünïcode … \xff don't", "a a\na a b\nb\nÜN*\n\xff\nan't")
	f.Add("call my wife back at the office about the emergency contact", "call … back\ncontact|office\n… x|\nnot: emergency contact\nemergency\ncall … … wife")
	f.Add("never call no one back", "call … back\n| |…\nnot:\nnot: …")
	f.Fuzz(func(t *testing.T, said, list string) {
		phrases := strings.Split(list, "\n")
		if len(list) > 2000 || len(said) > 5000 {
			return
		}
		s := listen(call.Call{Summary: said})
		quotes := s.find(phrases)
		plain := 0
		for _, p := range phrases {
			slots, exempt := parse(p)
			if len(slots) == 0 || exempt {
				continue
			}
			for _, c := range s.clauses {
				for at := range c.words {
					plain += ways(c.words[at:], slots)
				}
			}
		}
		if (plain > 0) != (len(quotes) > 0) || len(quotes) > maxQuotes || len(quotes) > plain {
			t.Errorf("%q in %q: %d places, %d quotes: %+v", phrases, said, plain, len(quotes), quotes)
		}
		for i, q := range quotes {
			if utf8.RuneCountInString(q.Text) > 160 || i > 0 && q.Negated == "" && quotes[i-1].Negated != "" {
				t.Errorf("quote %d of %+v", i, quotes)
			}
		}
	})
}

// ways counts how the words begin with a phrase.
func ways(words []string, slots []slot) int {
	n := 0
	for _, way := range slots[0] {
		switch {
		case way[0] == gap:
			for skip := 0; skip <= gapReach && skip < len(words); skip++ {
				n += ways(words[skip:], slots[1:])
				if negators[words[skip]] {
					break
				}
			}
		case len(slots) > 1:
			if indexOf(words[:min(len(way), len(words))], way, 0) == 0 {
				n += ways(words[len(way):], slots[1:])
			}
		default:
			for _, form := range forms(way[len(way)-1]) {
				if indexOf(words[:min(len(way), len(words))], append(slices.Clone(way[:len(way)-1]), form), 0) == 0 {
					n++
				}
			}
		}
	}
	return n
}
