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
