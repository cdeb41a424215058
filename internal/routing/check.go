package routing

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// MostEarlier is how many earlier calls from a number facts hold.
const MostEarlier = 50

// Limits of a set; what exceeds them is refused on save.
const (
	maxRules   = 200
	maxPhrases = 500 // in a list or a condition
	maxText    = 200 // characters of a name, a phrase or a value
	maxLists   = 100 // phrase lists

	maxOutcomes = 20   // of a rule
	maxTasks    = 5    // of a rule
	maxValues   = 50   // of a record's own
	maxTemplate = 4000 // characters of such a value
)

// takenIDs name other things than a rule where its id stands: in decisions, and in addresses of pages.
var takenIDs = []string{DefaultRule, "new", "try", "phrases"}

// maxKey is how many characters the id of a rule and the name of a phrase list have at most.
const maxKey = 64

// isKey reports whether a text can name a rule or a list wherever one is named: in an address, too.
func isKey(s string) bool {
	foreign := func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	return s != "" && len(s) <= maxKey && !strings.ContainsFunc(s, foreign)
}

// Problem is what is wrong with a rule, in words.
type Problem struct {
	Rule     string // id
	Sentence string
}

// Check says what keeps a set from being saved. It is pure: whether a stage exists in the organisation is asked
// where the stages are known.
func (s Set) Check() []Problem {
	var out []Problem
	add := func(rule, format string, args ...any) {
		out = append(out, Problem{Rule: rule, Sentence: fmt.Sprintf(format, args...)})
	}
	switch {
	case len(s.Rules) > maxRules:
		add("", "There are %d rules; %d are the most.", len(s.Rules), maxRules)
		return out
	case len(s.Phrases) > maxLists:
		add("", "There are %d phrase lists; %d are the most.", len(s.Phrases), maxLists)
		return out
	}
	lists := s.Lists()
	seen, names := map[string]bool{}, map[string]bool{}
	for _, r := range s.Rules {
		name := strings.TrimSpace(r.Name)
		switch {
		case !isKey(r.ID):
			add(r.ID, "A rule needs an id of 1 to %d letters, digits, dashes and underscores; %q is none.", maxKey, clip(r.ID, 80))
		case slices.Contains(takenIDs, r.ID):
			add(r.ID, "No rule can have the id %q: it stands for something else.", r.ID)
		case seen[r.ID]:
			add(r.ID, "Two rules have the id %q.", r.ID)
		case name == "":
			add(r.ID, "Give the rule a name.")
		case len([]rune(name)) > maxText:
			add(r.ID, "The rule's name is longer than %d characters.", maxText)
		case names[strings.ToLower(name)]:
			add(r.ID, "Another rule is named “%s” too.", name)
		}
		seen[r.ID], names[strings.ToLower(name)] = true, true
		nodes := 0
		for _, p := range checkCondition(r.When, lists, 1, &nodes) {
			add(r.ID, "%s", p)
		}
		for _, p := range checkOutcomes(r.Then, lists) {
			add(r.ID, "%s", p)
		}
	}
	named := map[string]bool{}
	for _, l := range s.Phrases {
		switch {
		case !isKey(l.Name):
			add("", "A phrase list needs a name of 1 to %d letters, digits, dashes and underscores; %q is none.", maxKey, clip(l.Name, 80))
		case strings.TrimSpace(l.Label) == "":
			add("", "The phrase list %q needs a label.", l.Name)
		case len([]rune(l.Label)) > maxText:
			add("", "The label of the phrase list “%s” is longer than %d characters.", clip(l.Label, 40), maxText)
		case named[l.Name]:
			add("", "Two phrase lists have the name %q.", l.Name)
		}
		named[l.Name] = true
		for _, p := range append(checkPhrases(l.Phrases), checkPhrases(l.Intents)...) {
			add("", "The %s: %s", l.Label, p)
		}
	}
	return out
}

func checkCondition(c Condition, lists map[string]PhraseList, depth int, nodes *int) []string {
	*nodes++
	if depth > maxDepth {
		return []string{fmt.Sprintf("Conditions are nested deeper than %d groups.", maxDepth)}
	}
	switch {
	case *nodes == maxNodes+1:
		return []string{fmt.Sprintf("The rule has more than %d conditions.", maxNodes)}
	case *nodes > maxNodes: // said already
		return nil
	}
	groups := 0
	var out []string
	for _, of := range [][]Condition{c.All, c.Any, c.None} {
		if of == nil {
			continue
		}
		groups++
		if len(of) == 0 {
			out = append(out, "A group of conditions is empty.")
		}
		for _, child := range of {
			if *nodes > maxNodes {
				break
			}
			if child.isZero() {
				out = append(out, "A condition in a group is empty.")
				continue
			}
			out = append(out, checkCondition(child, lists, depth+1, nodes)...)
		}
	}
	if groups > 1 || groups == 1 && c.Field != "" {
		out = append(out, "A condition is either one group or one test.")
	}
	if groups > 0 || c.Field == "" {
		return out
	}
	return append(out, checkTest(c, lists)...)
}

func (c Condition) isZero() bool {
	return c.All == nil && c.Any == nil && c.None == nil && c.Field == ""
}

// checkTest compares the operator and the values with the field's kind: a text is not compared with a number.
func checkTest(c Condition, lists map[string]PhraseList) []string {
	info, ok := InfoOf(c.Field)
	if !ok {
		return []string{fmt.Sprintf("There is no fact named “%s”.", clip(string(c.Field), 40))}
	}
	if !slices.Contains(info.Ops(), c.Op) {
		return []string{misused(info, c.Op)}
	}
	if c.Op.ComparesNumber() {
		if c.Number < 0 || c.Number > 1e15 || c.Days < 0 || c.Days > 90 {
			return []string{"Numbers start at 0, and a condition looks back 90 days at most."}
		}
		if c.Field == FieldRepeat && c.Number > MostEarlier {
			return []string{fmt.Sprintf("Of a number's earlier calls the last %d are counted: compare with no more.", MostEarlier)}
		}
		return nil
	}
	switch info.kind {
	case choice:
		if len(c.Values) == 0 {
			return []string{fmt.Sprintf("Choose what “%s” is compared with.", info.Label)}
		}
		for _, v := range c.Values {
			if !slices.ContainsFunc(info.Choices, func(ch Choice) bool { return ch.Value == v }) {
				return []string{fmt.Sprintf("“%s” is never “%s”.", info.Label, clip(v, 40))}
			}
		}
		return nil
	case words:
		if len(c.Values) == 0 && len(c.Lists) == 0 {
			return []string{"Name the words to listen for, or choose a list of phrases."}
		}
		for _, l := range c.Lists {
			if _, ok := lists[l]; !ok {
				return []string{fmt.Sprintf("There is no phrase list named “%s”.", clip(l, 40))}
			}
		}
		return checkPhrases(c.Values)
	case clock:
		if _, _, ok := spanOf(c); !ok {
			return []string{"A time of day lies between two different times, such as 22:00 and 06:00."}
		}
		return nil
	}
	if len(c.Values) == 0 {
		return []string{fmt.Sprintf("Say what “%s” is compared with.", info.Label)}
	}
	return checkPhrases(c.Values)
}

// misused says why an operator does not go with a field.
func misused(info FieldInfo, op Op) string {
	switch {
	case op.ComparesNumber():
		return fmt.Sprintf("“%s” is no number and cannot be compared with one.", info.Label)
	case info.kind == number:
		return fmt.Sprintf("“%s” is a number: compare it with a number, by at least, at most, more than or less than.", info.Label)
	case info.kind == clock:
		return fmt.Sprintf("“%s” lies between two times and is compared in no other way.", info.Label)
	}
	return fmt.Sprintf("“%s” cannot be used with “%s”.", clip(string(op), 40), info.Label)
}

func checkPhrases(phrases []string) []string {
	if len(phrases) > maxPhrases {
		return []string{fmt.Sprintf("%d phrases are the most.", maxPhrases)}
	}
	for _, p := range phrases {
		switch {
		case len([]rune(p)) > maxText:
			return []string{fmt.Sprintf("“%s” is longer than %d characters.", clip(p, 40), maxText)}
		case empty(p):
			return []string{fmt.Sprintf("“%s” holds no word.", p)}
		case !readable(p):
			return []string{fmt.Sprintf("“%s” can be said in too many ways: %d are the most, with %d gaps. Write it as several phrases.", clip(p, 40), maxWays, maxGaps)}
		}
	}
	return nil
}

func checkOutcomes(then []Outcome, lists map[string]PhraseList) []string {
	if len(then) == 0 {
		return []string{"Say what the rule does."}
	}
	if len(then) > maxOutcomes {
		return []string{fmt.Sprintf("A rule does at most %d things.", maxOutcomes)}
	}
	var out []string
	kinds := map[ActionKind]int{}
	for _, o := range then {
		kinds[o.Do]++
		switch {
		case o.Do == AddTask && kinds[o.Do] == maxTasks+1:
			out = append(out, fmt.Sprintf("A rule adds at most %d Tasks.", maxTasks))
		case o.Do != AddTask && kinds[o.Do] == 2:
			out = append(out, "A rule does each thing once at most, but for Tasks.")
		}
		out = append(out, checkWith(o)...)
		switch o.Do {
		case HandOver:
			if len([]rune(o.Why)) > maxText {
				out = append(out, fmt.Sprintf("What the person is told has at most %d characters.", maxText))
			}
		case CreateLead, Ignore:
		case CreateDeal:
			if o.Within < 0 || o.Within > 3650 {
				out = append(out, "The days within which no second Deal is made lie between 0 and 3650.")
			}
		case LogCall:
			if !slices.Contains([]string{"deal", "contact", "lead"}, o.On) {
				out = append(out, "A Call is logged on the deal, the contact or the lead.")
			}
		case AddTask:
			if s := strings.TrimSpace(o.Subject); s == "" || len([]rune(s)) > maxText {
				out = append(out, fmt.Sprintf("Say in at most %d characters what the Task is about.", maxText))
			}
			if o.Days < 0 || o.Days > 90 {
				out = append(out, "A Task is due within 0 to 90 business days.")
			}
		case AddTags:
			out = append(out, checkTags(o)...)
		case SetOwner:
			if o.Owner == "" || len(o.Owner) > 30 || strings.Trim(o.Owner, "0123456789") != "" {
				out = append(out, "Choose the user who shall own what is created.")
			}
		case MoveStage:
			if o.Stage == "" || len(o.Stage) > maxText {
				out = append(out, "Choose the stage that the Deal moves to.")
			}
			out = append(out, checkIf(o, lists)...)
		case BlueprintStep:
			out = append(out, checkStep(o, lists)...)
		default:
			out = append(out, fmt.Sprintf("A rule cannot do %q.", o.Do))
		}
	}
	if kinds[SetOwner] > 0 && !slices.ContainsFunc(then, func(o Outcome) bool {
		return slices.Contains([]ActionKind{CreateLead, CreateDeal, LogCall, AddTask}, o.Do)
	}) {
		out = append(out, "An owner is for what the rule creates, and this rule creates nothing.")
	}
	if beforeItsLead(then) {
		out = append(out, "The Call is logged on the new Lead, so the Lead comes first: move “Create a Lead” above “Log the Call”.")
	}
	if kinds[Ignore] > 0 && len(then) > 1 {
		out = append(out, "A rule that writes nothing does nothing else.")
	}
	if kinds[HandOver] > 0 && len(then) > 1 {
		out = append(out, "A rule that hands the call to a person does nothing else.")
	}
	return out
}

// beforeItsLead says whether a Call is logged on a Lead that is created only after it.
func beforeItsLead(then []Outcome) bool {
	logged := slices.IndexFunc(then, func(o Outcome) bool { return o.Do == LogCall && o.On == "lead" })
	return logged >= 0 && slices.ContainsFunc(then[logged:], func(o Outcome) bool { return o.Do == CreateLead })
}

func checkIf(o Outcome, lists map[string]PhraseList) []string {
	if o.If == nil {
		return nil
	}
	nodes := 0
	return checkCondition(*o.If, lists, 1, &nodes)
}

func checkStep(o Outcome, lists map[string]PhraseList) []string {
	var out []string
	if o.On != "lead" && o.On != "deal" {
		out = append(out, "A Blueprint step is taken of the lead or of the deal.")
	}
	if strings.TrimSpace(o.Transition) == "" || len([]rune(o.Transition)) > maxText {
		out = append(out, fmt.Sprintf("Name in at most %d characters the Blueprint step, as its button is named in Zoho.", maxText))
	}
	if o.Quiet {
		out = append(out, "What Zoho has set up for a Blueprint step always runs: it cannot be kept quiet.")
	}
	return append(out, checkIf(o, lists)...)
}

// checkWith looks at values of a record's own. Whether the field takes them is asked where the fields are known.
func checkWith(o Outcome) []string {
	switch {
	case len(o.With) == 0:
		return nil
	case o.Do.Creates() == "" || o.Do == FindAccount:
		return []string{"Only a Lead, a Deal, a Call or a Task that the rule makes can have values of its own."}
	case len(o.With) > maxValues:
		return []string{fmt.Sprintf("A record has at most %d values of its own.", maxValues)}
	}
	seen := map[string]bool{}
	for _, v := range o.With {
		switch {
		case v.Field == "" || len(v.Field) > 100 || strings.ContainsFunc(v.Field, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }):
			return []string{fmt.Sprintf("“%s” is no field's name.", clip(v.Field, 40))}
		case seen[v.Field]:
			return []string{fmt.Sprintf("“%s” has two values.", v.Field)}
		case len([]rune(v.Value)) > maxTemplate:
			return []string{fmt.Sprintf("The value of “%s” is longer than %d characters.", v.Field, maxTemplate)}
		}
		seen[v.Field] = true
	}
	return nil
}

// Limits of Zoho's tags: characters of a name, and tags on a record (Zoho's API, "Add tags"; the latter from memory).
const (
	maxTag  = 25
	maxTags = 10
)

func checkTags(o Outcome) []string {
	if len(o.Tags) == 0 || len(o.Tags) > maxTags {
		return []string{fmt.Sprintf("Name 1 to %d tags.", maxTags)}
	}
	if o.On != "" && o.On != "deal" {
		return []string{"Tags go to the caller's record or to the deal."}
	}
	for _, t := range o.Tags {
		if strings.TrimSpace(t) == "" || strings.ContainsAny(t, ",\n") || len([]rune(t)) > maxTag {
			return []string{fmt.Sprintf("“%s” cannot be a tag: it has 1 to %d characters and no comma.", clip(t, 40), maxTag)}
		}
	}
	return nil
}
