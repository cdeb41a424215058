package routing

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
