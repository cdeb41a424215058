package routing

import "strings"

// Does says in words what a rule does: "create a Lead and log the Call on it".
func Does(then []Outcome, lists map[string]PhraseList) string {
	parts := make([]string, len(then))
	made := ""
	for i, o := range then {
		switch o.Do {
		case CreateLead:
			parts[i], made = "create a Lead", "lead"
		case CreateDeal:
			parts[i], made = "create a Deal", "deal"
			if o.Within > 0 {
				parts[i] += " (not a second within " + plural(o.Within, "day") + ")"
			}
			if o.Account {
				parts[i] += " with the Account of the caller's company"
			}
		case LogCall:
			switch {
			case o.On == made:
				parts[i] = "log the Call on it"
			case o.On == "deal":
				parts[i] = "log the Call on the open Deal"
			case o.On == "contact":
				parts[i] = "log the Call on the Contact"
			default:
				parts[i] = "log the Call on the Lead"
			}
		case MoveStage:
			to := "to “" + o.Stage + "”"
			if o.Stage == NextStage {
				to = "one step forward"
			}
			parts[i] = "move the Deal " + to
			if len(o.From) > 0 {
				parts[i] += " out of " + either(quoted(o.From))
			}
		case BlueprintStep:
			on := "Lead"
			if o.On == "deal" {
				on = "open Deal"
			}
			parts[i] = "take the Blueprint step “" + o.Transition + "” of the " + on
		case AddTask:
			due := "today"
			if o.Days > 0 {
				due = "in " + plural(o.Days, "business day")
			}
			parts[i] = "add the Task “" + o.Subject + "” due " + due
		case AddTags:
			on := "the caller"
			if o.On == "deal" {
				on = "the Deal"
			}
			parts[i] = "tag " + on + " " + strings.Join(quoted(o.Tags), ", ")
		case SetOwner:
			name := o.OwnerName
			if name == "" {
				name = "the user " + o.Owner
			}
			parts[i] = "give what is created to " + name
		case Ignore:
			parts[i] = "keep the call here and write nothing to Zoho"
		case HandOver:
			parts[i] = "hand the call to a person and write nothing to Zoho"
			if o.Why != "" {
				parts[i] += ", saying “" + o.Why + "”"
			}
		}
		if o.If != nil {
			parts[i] += " (only if " + Sentence(*o.If, lists) + ")"
		}
		if len(o.With) > 0 {
			parts[i] += " (" + values(o.With) + ")"
		}
		if o.Quiet {
			parts[i] += " without Zoho's own workflows"
		}
	}
	if len(parts) == 0 {
		return "do nothing"
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// values says what a record gets beside its mapping: "Industry: “Plumbing”".
func values(with []Value) string {
	parts := make([]string, len(with))
	for i, v := range with {
		parts[i] = strings.ReplaceAll(v.Field, "_", " ") + ": “" + clip(v.Value, 60) + "”"
		if strings.TrimSpace(v.Value) == "" {
			parts[i] = strings.ReplaceAll(v.Field, "_", " ") + ": empty"
		}
	}
	return strings.Join(parts, ", ")
}

// Sentence says a condition in words, as rules and traces show it. Groups within groups stand in brackets.
func Sentence(c Condition, lists map[string]PhraseList) string {
	switch {
	case c.All != nil:
		return joinSentences(c.All, "and", lists)
	case c.Any != nil:
		return joinSentences(c.Any, "or", lists)
	case c.None != nil:
		if len(c.None) == 1 {
			return unless(c.None[0], lists)
		}
		return "none of these holds: " + joinSentences(c.None, "or", lists)
	case c.Field == "":
		return "any call comes in"
	}
	info, known := InfoOf(c.Field)
	if !known {
		return string(c.Field)
	}
	labels := make([]string, len(c.Values))
	for i, v := range c.Values {
		labels[i] = info.label(v)
	}
	switch {
	case info.kind == words:
		parts := []string{}
		for _, l := range c.Lists {
			if p, ok := lists[l]; ok {
				parts = append(parts, p.Label)
			} else {
				parts = append(parts, l)
			}
		}
		return "the caller says " + either(append(parts, quoted(c.Values)...))
	case c.Op.ComparesNumber():
		return numberSentence(c, info)
	case info.kind == clock && len(c.Values) == 2:
		return "the call came between " + c.Values[0] + " and " + c.Values[1]
	case info.kind == choice:
		verb := " is "
		if c.Field == FieldHours {
			verb = " are "
		}
		if c.Op == IsNot {
			verb += "not "
		}
		return info.Label + verb + either(labels)
	case c.Op == Contains:
		return info.Label + " contains " + either(quoted(c.Values))
	case c.Op == IsNot:
		return info.Label + " is not " + either(quoted(c.Values))
	}
	return info.Label + " is " + either(quoted(c.Values))
}

func joinSentences(of []Condition, with string, lists map[string]PhraseList) string {
	parts := make([]string, len(of))
	comma := ""
	for i, child := range of {
		parts[i] = Sentence(child, lists)
		switch n := len(child.All) + len(child.Any) + len(child.None); {
		case n > 1:
			parts[i] = "(" + parts[i] + ")"
		case strings.Contains(parts[i], " or ") || strings.Contains(parts[i], " and "):
			comma = ","
		}
	}
	return strings.Join(parts, comma+" "+with+" ")
}

// unless says that a condition does not hold.
func unless(c Condition, lists map[string]PhraseList) string {
	info, _ := InfoOf(c.Field)
	switch {
	case len(c.None) == 1:
		return Sentence(c.None[0], lists)
	case c.All != nil || c.Any != nil || c.None != nil:
		return "it is not so that (" + Sentence(c, lists) + ")"
	case info.kind == words:
		return strings.Replace(Sentence(c, lists), "says", "does not say", 1)
	case info.kind == choice && c.Op == Is:
		c.Op = IsNot
		return Sentence(c, lists)
	case info.kind == clock:
		return strings.Replace(Sentence(c, lists), "came", "did not come", 1)
	}
	return "it is not so that " + Sentence(c, lists)
}

func numberSentence(c Condition, info FieldInfo) string {
	n := formatNumber(c.Number)
	bound := map[Op]string{AtLeast: "at least ", AtMost: "at most ", MoreThan: "more than ", LessThan: "less than "}[c.Op]
	switch c.Field {
	case FieldOpenDeals:
		if c.Op == AtLeast && c.Number == 1 {
			return "an open Deal is there"
		}
		if c.Op == AtMost && c.Number == 0 {
			return "no open Deal is there"
		}
		return bound + n + " open Deals are there"
	case FieldDuration:
		return "the talk lasted " + bound + plural(int(c.Number), "second")
	case FieldRepeat:
		times := " times"
		if c.Number == 1 {
			times = " time"
		}
		return "the number called " + bound + n + times + " before within " + plural(days(c), "day")
	}
	return info.Label + " is " + bound + n
}
