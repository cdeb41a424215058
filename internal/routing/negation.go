package routing

import (
	"slices"
	"strings"
)

// How many words a negation reaches ahead within its clause.
const (
	negationReach = 5  // "I don't really want to buy"
	opinionReach  = 10 // "I don't think that we are going to be needing a quote"
)

// maxOpening is how many words before a question may be greetings.
const maxOpening = 8

// negation finds the word of a clause that turns round the phrase which stands from at to end, "" for none.
func negation(words []string, at, end int) string {
	if w := dismissed(words[end:]); w != "" {
		return w
	}
	if w := thanked(words[:at]); w != "" {
		return w
	}
	if w := past(words, at, end); w != "" {
		return w
	}
	for i := at - 1; i >= 0 && at-i <= opinionReach; i-- {
		w, next := words[i], words[i+1]
		if !negates(w, next) || at-i > negationReach && !opinions[next] {
			continue
		}
		switch {
		case twice(words, i):
			return ""
		case w == "no" && answers[next]: // "no I'd like a quote": an answer, not a negation
		case strings.HasPrefix(w, "not") && (next == "only" || next == "just"), w == "no" && strings.HasPrefix(next, "sol"):
		case lacks(words[i+1:at], words[end:]): // "I don't know the price" asks for it
		case asks(words[:at], i), welcomes(words[i+1 : at]), restarts(words[i+1 : at]):
		default:
			return w
		}
	}
	return ""
}

// negates reports whether a word negates what follows it.
func negates(w, next string) bool {
	switch w {
	case "stop", "quit":
		return strings.HasSuffix(next, "ing") // "stop sending me quotes"
	case "deje", "dejen", "deja", "instead":
		return next == "de" || next == "of"
	case "rather":
		return next == "than"
	}
	return negators[w]
}

// dismissed finds what says after a phrase that it is not wanted: "a quote won't be necessary", "quotes no thanks".
func dismissed(after []string) string {
	for i, w := range after[:min(len(after), 2)] {
		rest := after[i+1 : min(len(after), i+4)]
		switch {
		case !negators[w]:
		case i == 0 && w == "no" && len(rest) > 0 && (rest[0] == "thanks" || rest[0] == "thank" || rest[0] == "gracias"),
			slices.ContainsFunc(rest, func(r string) bool { return needless[r] }):
			return w
		}
	}
	return ""
}

// thanked finds the thanks for what a phrase names, which then is done: "thanks for the estimate", "gracias por
// llamarme".
func thanked(before []string) string {
	for i := len(before) - 1; i > 0 && len(before)-i <= 2; i-- {
		switch {
		case before[i] == "for" && (before[i-1] == "thanks" || i > 1 && before[i-1] == "you" && before[i-2] == "thank"):
			return "thanks for"
		case before[i] == "por" && before[i-1] == "gracias":
			return "gracias por"
		}
	}
	return ""
}

// past finds what says beside a phrase that it was long ago: "last winter a pipe burst", "we had some flooding two
// years back". Days and weeks are not long: who got a quote last week may want it still.
func past(words []string, at, end int) string {
	for i := max(at-4, 0); i < at-1; i++ {
		if longAgo(words[i : i+2]) {
			return words[i] + " " + words[i+1]
		}
	}
	for i := end; i+1 < len(words) && i < end+3; i++ {
		if longAgo(words[i : i+2]) {
			return words[i] + " " + words[i+1]
		}
	}
	return ""
}

func longAgo(two []string) bool {
	return (two[0] == "last" || two[0] == "previous") && spans[two[1]] ||
		spans[two[0]] && (two[1] == "ago" || two[1] == "back" || two[1] == "before" || two[1] == "pasado" || two[1] == "atras") ||
		spans[two[1]] && (two[0] == "hace" || two[0] == "pasado")
}

// twice reports whether the negation at i is undone by one before it: "we can't decide without a quote", "it's not
// that I don't want a quote", "I wouldn't say no to a quote".
func twice(words []string, i int) bool {
	before := words[max(0, i-negationReach):i]
	first := slices.IndexFunc(before, func(w string) bool { return negators[w] })
	if first < 0 {
		return false
	}
	between := before[first+1:]
	switch words[i] {
	case "without", "unless", "sin":
		return true
	case "no":
		if len(between) == 1 && between[0] == "say" {
			return true
		}
	}
	return len(between) > 0 && len(between) < 4 && (between[0] == "that" || between[0] == "like" || between[0] == "because" ||
		len(between) > 1 && between[0] == "es" && between[1] == "que")
}

// restarts reports whether a new statement begins after a negation, as speech recognition writes it without a mark
// between: "don't bother looking I just need the price", "it's not working and there's water everywhere". What hangs on
// an opinion or a report does not: "I don't think I need", "she didn't say we want", "not sure it's urgent".
func restarts(after []string) bool {
	for i := 1; i < len(after); i++ {
		switch w, before := after[i], after[i-1]; {
		case reports[before]:
		case starters[w], spanishWants[w] && i+1 < len(after), (before == "and" || before == "y") && goesOn[w]:
			return true
		case i+1 < len(after) && subjects[w] && wants[after[i+1]]:
			return true
		}
	}
	return false
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
	start := len(opening) <= maxOpening && !slices.ContainsFunc(opening, func(w string) bool { return !openings[w] })
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

// lacks reports whether the verb after a negation says that the caller has not got, heard or understood the thing,
// which is a way to ask for it. "I don't have a leak" has none and asks for none; "I don't have a quote yet" does.
func lacks(after, then []string) bool {
	for i, w := range after[:min(len(after), 3)] {
		if !lackVerbs[w] || w == "se" && i+1 < len(after) && !known[after[i+1]] {
			continue
		}
		if w != "have" && w != "got" || i+1 == len(after) || slices.Contains(then[:min(len(then), 2)], "yet") {
			return true
		}
		switch after[i+1] {
		case "to":
			return false
		case "a", "an", "any":
		default:
			return true
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
		wouldn't wouldnt can't cant cannot couldn't couldnt
		shouldn't shouldnt haven't havent hasn't hasnt hadn't ain't hardly neither nor without unless nobody nothing none
		sin nunca ni tampoco jamas`)
	answers = set(`i i'm i'd i've i'll we we're we'd we'll it it's that that's this thanks thank problem worries yeah
		yes actually just please gracias my you the could can would what how cuanto mire oiga pues yo`)
	lackVerbs = set(`know see find have get got receive received remember understand wait hesitate seem hear caught catch heard knowing asking
		seeing hearing idea sure certain clear told gave given sent mentioned
		sabe se tengo encuentro recibi entiendo seguro segura mandado enviado mandaron dieron dijeron`)
	// inverting stand before their subject in questions only.
	inverting = set(`can't cant couldn't couldnt won't wont wouldn't wouldnt don't dont isn't isnt aren't arent didn't didnt
		haven't havent`)
	inverted = set(`you we i there`)
	openings = set(`hi hello hey well ok okay um uh yeah yes sorry please and hola bueno oiga oye disculpe y`)
	// spanishRequests are verbs by which "no" at the start asks for something.
	spanishRequests = set(`puede puedes pueden podria podrias podrian`)
	breaks          = set(`but however although though because so then pero aunque porque sino`)
	// known are what "no sé" is said of; before a verb "se" is another word: "no se preocupe por el precio".
	known    = set(`el la los las un una cual cuales cuanto cuantos que si como bien su sus nada de sobre exactamente todavia aun muy`)
	opinions = set(`think believe suppose imagine guess creo pienso`)
	reports  = set(`think believe suppose imagine guess say said saying says mean know sure feel like that if whether where why how when until as
		creo pienso que si cuando`)
	// starters begin a statement of their own, goesOn do so after an "and".
	starters     = set(`there's it's we're i'm hay`)
	goesOn       = set(`i we it he she they there now you i'd we'd i've we've i'll we'll he's she's they're se esta ya yo`)
	spans        = set(`year years month months winter summer spring fall autumn decade ano anos mes meses invierno verano`)
	subjects     = set(`i we i'd we'd`)
	wants        = set(`want need just like would wanted really`)
	spanishWants = set(`quiero quisiera necesito queremos quisieramos necesitamos`)
	needless     = set(`necessary needed required wanted necesario necesaria falta`)
)
