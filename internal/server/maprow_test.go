package server_test

import (
	"net/url"
	"strings"
	"testing"

	"hookline/internal/mapping"
	"hookline/internal/server/servertest"
)

// A value is built of texts, values of the call and steps, by plain form posts; a picklist's values pair by pair.
func TestAValueIsBuiltWithoutWritingIt(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	rows := mapping.DefaultSet().Modules["Leads"]
	base := func() url.Values {
		form := mappingForm(rows, "0")
		form.Set("pieces", "1")
		return form
	}
	post := func(t *testing.T, field string, form url.Values, texts ...string) servertest.Page {
		t.Helper()
		p := owner.Post("/mapping/Leads/"+field, form)
		for _, text := range texts {
			if p.Status != 200 || !strings.Contains(p.Body, text) {
				t.Errorf("%d, the page lacks %q", p.Status, text)
			}
		}
		return p
	}
	t.Run("a value is taken apart, with what was typed on the page before", func(t *testing.T) {
		form := mappingForm(rows, "0")
		form.Set("act", "open")
		form.Set("value.Last_Name", `Mr {{ last_name | title | default: caller_label }}`)
		form.Set("value.Company", "typed elsewhere")
		post(t, "Last_Name", form, `name="p.0.text"`, "Mr ", `<option value="last_name" selected`, "Title Case", "Otherwise use", `value="{{ caller_label }}"`, `value="typed elsewhere"`)
	})
	t.Run("steps, parts and their order are changed", func(t *testing.T) {
		form := base()
		for name, v := range map[string]string{"p.0.is": "text", "p.0.text": "Budget ", "p.1.is": "value", "p.1.value": "estimated_deal_value", "p.1.add": "default", "act": "help 1"} {
			form.Set(name, v)
		}
		post(t, "Description", form, `name="p.1.h.0" value="default"`, `value="Not provided"`, "{{ estimated_deal_value | default: &#34;Not provided&#34; }}")
		form.Set("p.1.h.0", "default")
		form.Set("p.1.h.0.a.0", "{{ call_summary }}")
		form.Set("act", "up 1")
		post(t, "Description", form, "{{ estimated_deal_value | default: call_summary }}Budget ")
		form.Set("act", "unhelp 1 0")
		post(t, "Description", form, "Budget {{ estimated_deal_value }}")
		form.Set("act", "drop 0")
		post(t, "Description", form, `name="p.0.is" value="value"`)
	})
	t.Run("a choice is made pair by pair from the field's own values, and handed back to the mapping", func(t *testing.T) {
		form := base()
		for name, v := range map[string]string{"p.0.is": "value", "p.0.value": "intent", "p.0.h.0": "map", "p.0.h.0.when.0": "pricing", "p.0.h.0.then.0": "Contacted", "act": "pair 0 0"} {
			form.Set(name, v)
		}
		p := post(t, "Lead_Status", form, `name="p.0.h.0.when.1"`, `<option value="Contacted" selected`, `<option value="Junk Lead">`)
		if !strings.Contains(p.Body, `{{ intent | map: &#34;pricing&#34;, &#34;Contacted&#34; }}`) {
			t.Error("the pair that is empty still counts")
		}
		form.Set("p.0.h.0.when.1", "spam")
		form.Set("p.0.h.0.then.1", "Junk Lead")
		form.Set("p.0.h.0.else", "Not Contacted")
		form.Set("act", "done")
		const built = `{{ intent | map: &#34;pricing&#34;, &#34;Contacted&#34;, &#34;spam&#34;, &#34;Junk Lead&#34;, &#34;Not Contacted&#34; }}</textarea>`
		post(t, "Lead_Status", form, built, "Not saved yet", `action="/mapping/Leads"`)
		form.Set("act", "cancel")
		if p := post(t, "Lead_Status", form, "\nNot Contacted</textarea>"); strings.Contains(p.Body, built) {
			t.Error("cancelled, and yet changed")
		}
	})
	t.Run("what cannot be taken apart can be corrected", func(t *testing.T) {
		form := mappingForm(rows, "0")
		form.Set("act", "open")
		form.Set("value.Email", "{{ email")
		post(t, "Email", form, "cannot be taken apart", "{{ email</textarea>")
		form = base()
		form.Set("whole", "{{ email }}")
		form.Set("act", "whole")
		post(t, "Email", form, `<option value="email" selected`)
	})
	if p := owner.Get("/mapping/Leads/Nonsense"); p.Status != 404 {
		t.Errorf("an unknown field: %d", p.Status)
	}
	if d := draftOf(t, owner); d.Revision != 0 {
		t.Error("the draft was changed")
	}
}
