package routing

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hookline/internal/identity"
)

// DefaultRule and DefaultName are the Decision.Rule and .Name of a call that no rule fits.
const (
	DefaultRule = "default"
	DefaultName = "No rule fits"
)

// Slots of a call's actions.
const (
	SlotLead    = "lead"
	SlotCall    = "call"
	SlotDeal    = "deal"
	SlotStage   = "deal.stage"
	SlotAccount = "account"
	SlotTags    = "tags"

	SlotLeadStep = "blueprint.lead"
	SlotDealStep = "blueprint.deal"
)

// SlotTask names the Task that a rule adds as its n-th.
func SlotTask(n int) string { return fmt.Sprintf("task.%d", n) }

// Decide says what happens to a call: the first rule that fits is followed; where none does, a known caller's call
// is logged and a new caller becomes a Lead, so that no call ends in silence.
func Decide(set Set, f Facts) Decision {
	e := &evaluation{facts: f, phrases: set.Lists()}
	d := Decision{Version: set.Version}
	d.Trace.Rules = make([]RuleTrace, 0, len(set.Rules))
	fired := -1
	for i, r := range set.Rules {
		t := RuleTrace{ID: r.ID, Name: r.Name, Off: r.Off, Check: e.check(r.When)}
		t.Fits = t.Check.Pass
		if t.Fits && !r.Off && fired < 0 {
			fired = i
			t.Fired = true
		}
		d.Trace.Rules = append(d.Trace.Rules, t)
	}
	d.Trace.Notes = append(d.Trace.Notes, f.Match.Notes...)
	outcomes := defaultOutcomes(f)
	d.Rule, d.Name = DefaultRule, DefaultName
	if fired >= 0 {
		d.Rule, d.Name, outcomes = set.Rules[fired].ID, set.Rules[fired].Name, set.Rules[fired].Then
	} else {
		d.Trace.Notes = append(d.Trace.Notes, "No rule fits this call, so the default applies: known callers get a Call, new callers become a Lead.")
	}
	p := plan{e: e, d: &d}
	for _, o := range outcomes {
		before := len(d.Actions)
		p.do(o)
		for i := before; i < len(d.Actions); i++ {
			a := &d.Actions[i]
			if a.Quiet = o.Quiet; a.Kind == o.Do {
				a.With = o.With
			}
		}
	}
	p.setOwner(outcomes)
	d.Outcome = p.outcome()
	d.Trace.RunnerUp = runnerUp(set.Rules, d.Trace.Rules, fired, e.phrases)
	return d
}

// Modules are those beyond Leads, Contacts, Deals and Calls that the rules write to.
func (s Set) Modules() []string {
	uses := func(test func(Outcome) bool) bool {
		return slices.ContainsFunc(s.Rules, func(r Rule) bool { return !r.Off && slices.ContainsFunc(r.Then, test) })
	}
	var modules []string
	if uses(func(o Outcome) bool { return o.Do == AddTask }) {
		modules = append(modules, "Tasks")
	}
	if uses(func(o Outcome) bool { return o.Account }) {
		modules = append(modules, "Accounts")
	}
	return modules
}

// Lists are the phrase lists by name.
func (s Set) Lists() map[string]PhraseList {
	m := make(map[string]PhraseList, len(s.Phrases))
	for _, l := range s.Phrases {
		m[l.Name] = l
	}
	return m
}

func defaultOutcomes(f Facts) []Outcome {
	switch {
	case f.Match.Person() != nil:
		return []Outcome{{Do: LogCall, On: "deal"}}
	case f.Match.Unusable != "":
		return []Outcome{{Do: Ignore}}
	}
	return []Outcome{{Do: CreateLead}, {Do: LogCall, On: "lead"}}
}

// plan turns a rule's outcomes into actions on records that exist or will.
type plan struct {
	e     *evaluation
	d     *Decision
	tasks int
}

func (p *plan) note(format string, args ...any) {
	p.d.Trace.Notes = append(p.d.Trace.Notes, fmt.Sprintf(format, args...))
}

func (p *plan) has(slot string) bool {
	return slices.ContainsFunc(p.d.Actions, func(a Action) bool { return a.Slot == slot })
}

func (p *plan) do(o Outcome) {
	switch o.Do {
	case Ignore:
	case HandOver:
		p.d.Handed = handed(p.d.Name, o.Why)
	case CreateLead:
		p.createLead()
	case CreateDeal:
		p.createDeal(o)
	case LogCall:
		p.logCall(o)
	case MoveStage:
		p.moveStage(o)
	case BlueprintStep:
		p.takeStep(o)
	case AddTask:
		p.addTask(o)
	case AddTags:
		p.addTags(o)
	}
}

// setOwner gives what is created to one user.
func (p *plan) setOwner(outcomes []Outcome) {
	for _, o := range outcomes {
		if o.Do != SetOwner {
			continue
		}
		for i := range p.d.Actions {
			if a := &p.d.Actions[i]; a.Kind.Creates() != "" {
				a.Owner = o.Owner
			}
		}
	}
}

func (p *plan) createLead() {
	m := p.e.facts.Match
	switch {
	case m.Unusable != "":
		p.note("No Lead was made: %s.", m.Unusable)
	case m.Person() != nil:
		p.note("No Lead was made: %s is in Zoho already.", named(m.Person().Name))
	case !p.has(SlotLead):
		p.d.Actions = append(p.d.Actions, Action{Slot: SlotLead, Kind: CreateLead})
	}
}

func (p *plan) createDeal(o Outcome) {
	m := p.e.facts.Match
	if m.Contact == nil {
		p.note("No Deal was made: a Deal is linked to a Contact, and the caller is none yet.")
		if m.Person() == nil {
			p.createLead() // whoever asks to buy is not lost
		}
		return
	}
	if p.has(SlotDeal) {
		return
	}
	if r := m.RecentDeal; r != nil && o.Within > 0 && !r.CreatedAt.IsZero() &&
		p.e.facts.DecidedAt.Sub(r.CreatedAt) < time.Duration(o.Within)*24*time.Hour {
		p.note("No second Deal was made: “%s” was created on %s, less than %s ago.", r.Name,
			r.CreatedAt.In(p.e.facts.DecidedAt.Location()).Format("2 January"), plural(o.Within, "day"))
		return
	}
	a := Action{Slot: SlotDeal, Kind: CreateDeal, Contact: contactTarget(m)}
	company := strings.TrimSpace(p.e.facts.Call.Company)
	switch {
	case m.Contact.AccountID != "":
		a.Account = &Target{Module: "Accounts", ID: m.Contact.AccountID, Name: m.Contact.AccountName}
	case !o.Account:
		p.note("The Deal has no Account, because the Contact %s has none.", named(m.Contact.Name))
	case company == "":
		p.note("The Deal has no Account, because the Contact %s has none and the caller named no company.", named(m.Contact.Name))
	default:
		p.note("The Contact %s has no Account, so the Deal gets the one named “%s”, made where Zoho has none.", named(m.Contact.Name), company)
		p.d.Actions = append(p.d.Actions, Action{Slot: SlotAccount, Kind: FindAccount, Company: company})
		a.Account = &Target{Module: "Accounts", Slot: SlotAccount, Name: company}
	}
	p.d.Actions = append(p.d.Actions, a)
}

// addTask hangs a Task on the Deal that the call is about, else on the caller's record.
func (p *plan) addTask(o Outcome) {
	m := p.e.facts.Match
	p.tasks++
	a := Action{Slot: SlotTask(p.tasks), Kind: AddTask, Contact: contactTarget(m), About: p.deal(), Subject: o.Subject}
	if a.About == nil && m.Contact == nil {
		a.About = p.caller()
	}
	if a.About == nil && a.Contact == nil {
		p.note("The Task hangs on no record, because there is none of the caller.")
	}
	a.Due = dueDay(p.e.facts, o.Days).Format(time.DateOnly)
	p.d.Actions = append(p.d.Actions, a)
}

// dueDay is so many business days after the decision; that day itself, or the next business day, for none.
func dueDay(f Facts, days int) time.Time {
	open := f.Weekdays
	if len(open) == 0 {
		open = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	}
	business := func(at time.Time) bool {
		return slices.Contains(open, at.Weekday()) && !slices.Contains(f.Holidays, at.Format(time.DateOnly))
	}
	at := f.DecidedAt
	for days > 0 || !business(at) {
		at = at.AddDate(0, 0, 1)
		if days > 0 && business(at) {
			days--
		}
	}
	return at
}

// addTags tags a record that exists, or that this call makes: with its creation.
func (p *plan) addTags(o Outcome) {
	about := p.caller()
	if o.On == "deal" {
		about = p.deal()
	}
	if about == nil {
		p.note("Nothing was tagged: there is no %s.", map[bool]string{true: "open Deal", false: "record of the caller"}[o.On == "deal"])
		return
	}
	if about.Slot == "" {
		p.d.Actions = append(p.d.Actions, Action{Slot: SlotTags, Kind: AddTags, About: about, Tags: o.Tags})
		return
	}
	for i := range p.d.Actions {
		if p.d.Actions[i].Slot == about.Slot {
			p.d.Actions[i].Tags = o.Tags
		}
	}
}

// caller is the caller's record: the Contact, the Lead that this call makes, or the Lead that was found.
func (p *plan) caller() *Target {
	m := p.e.facts.Match
	switch {
	case m.Contact != nil:
		return contactTarget(m)
	case p.has(SlotLead):
		return &Target{Module: "Leads", Slot: SlotLead}
	case m.Lead != nil:
		return &Target{Module: "Leads", ID: m.Lead.ID, Name: m.Lead.Name}
	}
	return nil
}

// logCall hangs the Call where the outcome says, or on the nearest record that there is.
func (p *plan) logCall(o Outcome) {
	if p.has(SlotCall) {
		return
	}
	m := p.e.facts.Match
	a := Action{Slot: SlotCall, Kind: LogCall, Contact: contactTarget(m)}
	switch {
	case o.On == "deal":
		a.About = p.deal()
		if a.About == nil && m.Contact != nil {
			p.note("No open Deal is there, so the Call is logged on the Contact.")
		}
	case o.On == "contact" && m.Contact == nil, o.On == "lead" && m.Contact != nil:
		p.note("The caller is no %s, so the Call is logged on the record that was found.", o.On)
	}
	if a.About == nil && m.Contact == nil {
		if a.About = p.caller(); a.About == nil {
			p.note("The Call is logged without a Contact or Lead, because there is none.")
		}
	}
	p.d.Actions = append(p.d.Actions, a)
}

// deal is the Deal that the call is about: the one this call makes, else the open one that was modified last.
func (p *plan) deal() *Target {
	if p.has(SlotDeal) {
		return &Target{Module: "Deals", Slot: SlotDeal}
	}
	deals := p.e.facts.Match.OpenDeals
	if len(deals) == 0 {
		return nil
	}
	if len(deals) > 1 {
		p.note("The Contact has %d open Deals: “%s” was modified last and is taken.", len(deals), deals[0].Name)
	}
	return &Target{Module: "Deals", ID: deals[0].ID, Name: deals[0].Name}
}

// applies reports whether what an outcome needs beside the rule's conditions holds, and notes what it lacks.
func (p *plan) applies(o Outcome, idle string) bool {
	if o.If == nil {
		return true
	}
	k := p.e.check(*o.If)
	if !k.Pass {
		p.note("%s: %s.", idle, lackSentence(*o.If, k, p.e.phrases))
	}
	return k.Pass
}

// takeStep takes a step of a record that was in Zoho before the call. Whether its Blueprint offers the step is known
// when it is taken.
func (p *plan) takeStep(o Outcome) {
	name := strings.TrimSpace(o.Transition)
	idle := fmt.Sprintf("The Blueprint step “%s” was not taken", name)
	if !p.applies(o, idle) {
		return
	}
	m := p.e.facts.Match
	a := Action{Slot: SlotLeadStep, Kind: BlueprintStep, Transition: name}
	switch {
	case o.On == "deal" && len(m.OpenDeals) == 0:
		p.note("%s: the caller has no open Deal.", idle)
		return
	case o.On == "deal":
		a.Slot, a.About = SlotDealStep, &Target{Module: "Deals", ID: m.OpenDeals[0].ID, Name: m.OpenDeals[0].Name}
	case m.Contact != nil || m.Lead == nil:
		p.note("%s: the caller was no Lead in Zoho before this call.", idle)
		return
	default:
		a.About = &Target{Module: "Leads", ID: m.Lead.ID, Name: m.Lead.Name}
	}
	p.d.Actions = append(p.d.Actions, a)
}

func (p *plan) moveStage(o Outcome) {
	if !p.applies(o, "The stage was not moved") {
		return
	}
	deals := p.e.facts.Match.OpenDeals
	if len(deals) == 0 {
		p.note("No stage was moved: the caller has no open Deal.")
		return
	}
	d := deals[0]
	if len(o.From) > 0 && !contains(o.From, d.Stage) {
		p.note("The stage of “%s” was not moved: it is in %s, and the rule moves only out of %s.", d.Name, d.Stage, either(o.From))
		return
	}
	to := ""
	switch {
	case len(d.Ahead) == 0:
		p.note("The stage of “%s” was not moved: nothing lies ahead of %s.", d.Name, d.Stage)
		return
	case o.Stage == NextStage:
		to = d.Ahead[0]
	default:
		for _, s := range d.Ahead {
			if strings.EqualFold(s, o.Stage) {
				to = s
			}
		}
	}
	if to == "" {
		p.note("The stage of “%s” was not moved: %s does not lie ahead of %s, and stages only move forward.", d.Name, o.Stage, d.Stage)
		return
	}
	p.d.Actions = append(p.d.Actions, Action{
		Slot: SlotStage, Kind: MoveStage, Stage: to, About: &Target{Module: "Deals", ID: d.ID, Name: d.Name},
	})
}

func contactTarget(m identity.Match) *Target {
	if m.Contact == nil {
		return nil
	}
	return &Target{Module: "Contacts", ID: m.Contact.ID, Name: m.Contact.Name}
}

// outcome says the actions in the few words that the log shows.
func (p *plan) outcome() string {
	switch {
	case p.d.Handed != "":
		return "Handed to a person"
	case len(p.d.Actions) == 0:
		p.d.Ignored = true
		return "Kept, nothing written"
	}
	var parts []string
	for _, a := range p.d.Actions {
		switch a.Kind {
		case CreateLead:
			parts = append(parts, "Lead created")
		case CreateDeal:
			parts = append(parts, "Deal created")
		case MoveStage:
			parts = append(parts, "stage moved to "+a.Stage)
		case BlueprintStep:
			parts = append(parts, Step(a.Transition, a.About.Module)+" taken")
		case AddTask:
			switch {
			case a.Slot != SlotTask(1): // said with the first
			case p.tasks > 1:
				parts = append(parts, plural(p.tasks, "Task")+" added")
			default:
				parts = append(parts, "Task added")
			}
		case AddTags:
			parts = append(parts, singular(a.About.Module)+" tagged")
		case LogCall:
			switch {
			case a.About != nil && a.About.Slot != "": // said by the record's own creation
			case a.About != nil && a.About.Module == "Deals":
				parts = append(parts, "Call on Deal")
			case a.About != nil:
				parts = append(parts, "Call on Lead")
			case a.Contact != nil:
				parts = append(parts, "Call on Contact")
			default:
				parts = append(parts, "Call logged")
			}
		}
	}
	return strings.Join(parts, " · ")
}

// Step names a step of the Blueprint of a module's record: Blueprint step “Contacted” of the Lead.
func Step(name, module string) string {
	return "Blueprint step “" + name + "” of the " + singular(module)
}

// handed says why a person shall look at a call.
func handed(rule, why string) string {
	if why = strings.TrimSpace(why); why == "" {
		return fmt.Sprintf("The rule “%s” hands this call to a person. Nothing was written to Zoho.", rule)
	}
	return fmt.Sprintf("The rule “%s” hands this call to a person: %s", rule, why)
}

func singular(module string) string { return strings.TrimSuffix(module, "s") }

// runnerUp names the rule that came nearest to firing instead, and what it lacked.
func runnerUp(rules []Rule, traces []RuleTrace, fired int, lists map[string]PhraseList) string {
	best, bestScore := -1, -1.0
	for i, t := range traces {
		if i == fired || t.Off || t.Fits {
			continue
		}
		// A rule of which more held is nearer; of two alike, the one that words would have made fit, then the one
		// that stands higher.
		s := score(t.Check)
		if _, k, _ := lacking(rules[i].When, t.Check); k.Field == FieldSaid {
			s += 0.01
		}
		if s > bestScore {
			best, bestScore = i, s
		}
	}
	for i, t := range traces {
		if fired >= 0 && i > fired && t.Fits && !t.Off && bestScore < 0.5 {
			return fmt.Sprintf("“%s” fits too, but stands lower in the list.", t.Name)
		}
	}
	if best < 0 {
		return ""
	}
	return fmt.Sprintf("Not “%s”: %s.", rules[best].Name, lackSentence(rules[best].When, traces[best].Check, lists))
}

// lackSentence says why a condition does not hold: "none of your buying words in the caller's 14 sentences".
func lackSentence(c Condition, k Check, lists map[string]PhraseList) string {
	c, k, against := lacking(c, k)
	saw := ""
	if k.Saw != "" {
		saw = ". Here: " + k.Saw
	}
	switch {
	case against:
		return "it needs that " + unless(c, lists) + saw
	case k.Field == FieldSaid:
		return k.Saw
	}
	return "it needs that " + Sentence(c, lists) + saw
}

// score is the share of a check that held, between 0 and 1.
func score(k Check) float64 {
	if len(k.Of) == 0 || k.Pass {
		if k.Pass {
			return 1
		}
		return 0
	}
	total := 0.0
	for _, c := range k.Of {
		s := score(c)
		switch k.Group {
		case "any":
			total = max(total, s*float64(len(k.Of)))
		case "none":
			total += 1 - s
		default:
			total += s
		}
	}
	return total / float64(len(k.Of))
}

// lacking goes down to the condition that a check failed by, of several the first; against says that it holds and must
// not.
func lacking(c Condition, k Check) (at Condition, how Check, against bool) {
	of := c.All
	switch {
	case c.Any != nil:
		of = c.Any
	case c.None != nil:
		of = c.None
	}
	for i, part := range k.Of {
		switch {
		case k.Group == "none" && part.Pass:
			return of[i], part, true
		case k.Group != "none" && !part.Pass:
			return lacking(of[i], part)
		}
	}
	return c, k, false
}
