package backtest_test

import (
	"strings"
	"testing"

	"hookline/internal/backtest"
	"hookline/internal/config"
	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/routing"
)

func TestACallIsComparedByWhatHappensInZoho(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	known := s.factsOf("That is all for today.")
	contact(&known)
	stranger := s.factsOf("That is all for today.")
	row := func(set *config.Set, module, field, template string) {
		rows := set.Mappings.Modules[module]
		for i := range rows {
			if rows[i].Field == field {
				rows[i].Value = template
				return
			}
		}
		set.Mappings.Modules[module] = append(rows, mapping.Row{Field: field, Value: template})
	}
	edited := func(change func(*config.Set)) config.Set {
		set := config.Defaults()
		change(&set)
		return set
	}

	t.Run("the same on both sides changes nothing", func(t *testing.T) {
		c := backtest.Compare(config.Defaults(), config.Defaults(), known, nil)
		if c.Changes || c.Reruled || c.Failing || len(c.Records) > 0 || c.Live.Outcome != "Call on Contact" || c.Live.Credits != 1 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("a keyword makes a Deal", func(t *testing.T) {
		c := backtest.Compare(config.Defaults(), quoting(), known, nil)
		if !c.Changes || !c.Reruled || c.Draft.Outcome != "Deal created" || c.Draft.Rule != "Contact who wants to buy" || c.Live.Rule != "Known Contact" {
			t.Fatalf("%+v", c)
		}
		// The Account is looked for, then made; the Deal; the Call.
		if c.Live.Credits != 1 || c.Draft.Credits != 4 {
			t.Errorf("credits %d → %d", c.Live.Credits, c.Draft.Credits)
		}
		var got []string
		for _, r := range c.Records {
			got = append(got, r.What+" "+r.Slot+" "+r.Module)
		}
		if strings.Join(got, ", ") != "added account Accounts, added deal Deals, changed call Calls" {
			t.Errorf("%v", got)
		}
		on := c.Records[2].Fields
		if len(on) != 1 || on[0].Field != "What_Id" || on[0].Label != "What Id" || on[0].Old != "" || on[0].New == "" {
			t.Errorf("%+v", on)
		}
	})
	t.Run("another rule with the same effect is no change", func(t *testing.T) {
		c := backtest.Compare(config.Defaults(), edited(func(set *config.Set) {
			set.Rules.Rules = append([]routing.Rule{{ID: "early", Name: "Early", When: set.Rules.Rules[4].When, Then: set.Rules.Rules[4].Then}}, set.Rules.Rules...)
		}), known, nil)
		if c.Changes || !c.Reruled {
			t.Errorf("%+v", c)
		}
	})
	t.Run("a mapping changes a field", func(t *testing.T) {
		c := backtest.Compare(config.Defaults(), edited(func(set *config.Set) { row(set, "Leads", "Lead_Source", "Cold Call") }), stranger, nil)
		if !c.Changes || c.Reruled || len(c.Records) != 1 || len(c.Records[0].Fields) != 1 {
			t.Fatalf("%+v", c.Records)
		}
		if f := c.Records[0].Fields[0]; f.Field != "Lead_Source" || f.Label != "Lead Source" || f.New != "Cold Call" || f.Old == "" || f.Old == f.New {
			t.Errorf("%+v", f)
		}
	})
	t.Run("a field that is sent no more has no new value", func(t *testing.T) {
		c := backtest.Compare(config.Defaults(), edited(func(set *config.Set) { row(set, "Leads", "Lead_Source", "") }), stranger, nil)
		if len(c.Records) != 1 || c.Records[0].Fields[0].New != "" || c.Records[0].Fields[0].Old == "" {
			t.Errorf("%+v", c.Records)
		}
	})
	t.Run("what Zoho is known to refuse makes the call fail, and only where it did not before", func(t *testing.T) {
		bad := edited(func(set *config.Set) { row(set, "Leads", "Last_Name", "") })
		c := backtest.Compare(config.Defaults(), bad, stranger, nil)
		if !c.Changes || !c.Failing || len(c.Failures) != 1 || c.Failures[0].Field != "Last_Name" || c.Draft.Credits != 0 {
			t.Errorf("%+v", c)
		}
		if c := backtest.Compare(bad, bad, stranger, nil); c.Failing || c.Changes || !c.Draft.Fails {
			t.Errorf("failing already: %+v", c)
		}
		if c := backtest.Compare(bad, config.Defaults(), stranger, nil); !c.Mended || c.Failing {
			t.Errorf("mended: %+v", c)
		}
		if c := backtest.Compare(config.Defaults(), bad, known, nil); c.Changes {
			t.Errorf("a call that makes no Lead: %+v", c)
		}
	})
	t.Run("a rule that runs without Zoho's workflows, and a stage", func(t *testing.T) {
		f := known
		f.Match.OpenDeals = []identity.Deal{{ID: "7", Name: "Seats", Stage: "Qualification", Ahead: []string{"Needs Analysis"}}}
		c := backtest.Compare(config.Defaults(), edited(func(set *config.Set) {
			set.Rules.Rules[2].Then = []routing.Outcome{{Do: routing.LogCall, On: "deal", Quiet: true}, {Do: routing.MoveStage, Stage: routing.NextStage}}
		}), f, nil)
		if len(c.Records) != 2 || c.Records[0].Fields[0].Label != "Zoho's own workflows" || c.Records[1].What != backtest.Added || c.Draft.Credits-c.Live.Credits != 2 {
			t.Errorf("%+v", c.Records)
		}
	})
	t.Run("a Blueprint step of another name", func(t *testing.T) {
		f := known
		f.Match.OpenDeals = []identity.Deal{{ID: "7", Name: "Seats", Stage: "Qualification"}}
		step := func(name string) config.Set {
			return edited(func(set *config.Set) {
				set.Rules.Rules[2].Then = []routing.Outcome{{Do: routing.LogCall, On: "deal"}, {Do: routing.BlueprintStep, On: "deal", Transition: name}}
			})
		}
		c := backtest.Compare(step("Qualify"), step("Needs analysis"), f, nil)
		if len(c.Records) != 1 || c.Records[0].What != backtest.Changed || len(c.Records[0].Fields) != 1 ||
			c.Records[0].Fields[0] != (backtest.FieldChange{Field: mapping.StepField, Label: "Blueprint step", Old: "Qualify", New: "Needs analysis"}) {
			t.Errorf("%+v", c.Records)
		}
		c = backtest.Compare(config.Defaults(), step("Qualify"), f, nil)
		if len(c.Records) != 1 || c.Records[0].What != backtest.Added || c.Records[0].Fields[0].New != "Qualify" || c.Draft.Credits-c.Live.Credits != 3 {
			t.Errorf("%+v, credits %d → %d", c.Records, c.Live.Credits, c.Draft.Credits)
		}
	})
}
