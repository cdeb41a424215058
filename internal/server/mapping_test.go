package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hookline/internal/mapping"
	"hookline/internal/server/servertest"
)

func mappingForm(rows []mapping.Row, version string) url.Values {
	form := url.Values{"revision": {version}, "act": {"save"}}
	for _, r := range rows {
		form.Add("field", r.Field)
		form.Set("value."+r.Field, r.Value)
		if r.AddToList {
			form.Set("list."+r.Field, "on")
		}
	}
	return form
}

func TestAMappingIsEditedCheckedAndSaved(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	if p := owner.Get("/mapping"); p.Location != "/mapping/Leads" {
		t.Errorf("to %q", p.Location)
	}
	for _, module := range mapping.Modules {
		if p := owner.Get("/mapping/" + module); p.Status != 200 || !strings.Contains(p.Body, "Zoho is not connected") {
			t.Errorf("%s: %d", module, p.Status)
		}
	}
	rows := mapping.DefaultSet().Modules["Leads"]
	form := mappingForm(rows, "0")
	form.Set("value.Description", "Interest: {{ product_interest }}\r\n{{ call_summary }}")
	if p := owner.Post("/mapping/Leads", form); p.Status != 303 {
		t.Fatalf("save: %d\n%s", p.Status, p.Body)
	}
	saved := draftMapping(t, owner).Modules["Leads"]
	t.Run("each row says how it writes into a record that exists", func(t *testing.T) {
		contacts := mappingForm([]mapping.Row{{Field: "Description", Value: "{{ call_summary }}"}, {Field: "Title", Value: "Buyer"}}, "1")
		contacts.Set("mode.Description", "append")
		contacts.Set("mode.Title", "never")
		contacts.Set("act", "preview")
		if p := owner.Post("/mapping/Contacts", contacts); p.Status != 200 || !strings.Contains(p.Body, `<option value="append" selected`) || !strings.Contains(p.Body, `<option value="never" selected`) {
			t.Errorf("%d", p.Status)
		}
		contacts = mappingForm([]mapping.Row{{Field: "Email", Value: "{{ email }}"}}, "1")
		contacts.Set("mode.Email", "append")
		if p := owner.Post("/mapping/Contacts", contacts); p.Status != 422 || !strings.Contains(p.Body, "a line cannot be added to it") {
			t.Errorf("%d", p.Status)
		}
	})
	if len(saved) != len(rows) || saved[7].Value != "Interest: {{ product_interest }}\n{{ call_summary }}" || saved[0] != rows[0] || !saved[5].AddToList {
		t.Errorf("saved %+v", saved)
	}
	t.Run("the example shows what was typed before it is saved", func(t *testing.T) {
		form := mappingForm(saved, "1")
		form.Set("value.Company", "Company {{ company_name | upcase }}")
		form.Set("act", "preview")
		p := owner.Post("/mapping/Leads", form)
		if p.Status != 200 || !strings.Contains(p.Body, "Company ABC CORP") || !strings.Contains(p.Body, "Not saved yet") || draftOf(t, owner).Revision != 1 {
			t.Errorf("%d", p.Status)
		}
	})
	t.Run("a value that Zoho would refuse is named beside its row, with the values it takes", func(t *testing.T) {
		form := mappingForm(saved, "1")
		form.Del("list.Lead_Status")
		form.Set("value.Lead_Status", "Hot")
		p := owner.Post("/mapping/Leads", form)
		if p.Status != 422 || !strings.Contains(p.Body, "not one of the values of Lead Status") || !strings.Contains(p.Body, "Attempted to Contact") {
			t.Errorf("%d", p.Status)
		}
	})
	t.Run("a required field without a row is offered at its anchor", func(t *testing.T) {
		form := mappingForm(saved, "1")
		form.Set("act", "remove Last_Name")
		p := owner.Post("/mapping/Leads", form)
		if p.Status != 200 || !strings.Contains(p.Body, "Zoho requires Last Name on Leads. Add the field, for example with {{ last_name | default: caller_label }}") ||
			!strings.Contains(p.Body, `id="field-Last_Name"`) {
			t.Errorf("%d", p.Status)
		}
	})
	t.Run("a field can be added by address, as the link of a refused field does", func(t *testing.T) {
		if p := owner.Get("/mapping/Leads?add=Industry"); !strings.Contains(p.Body, `id="field-Industry"`) {
			t.Error("no row for Industry")
		}
	})
	t.Run("a form of an older draft that changes the same row is refused, and nothing typed is lost", func(t *testing.T) {
		form := mappingForm(mapping.DefaultSet().Modules["Leads"], "0")
		form.Set("value.Description", "typed in vain")
		if p := owner.Post("/mapping/Leads", form); p.Status != 409 || !strings.Contains(p.Body, "ann@acme.test changed the same") || !strings.Contains(p.Body, "typed in vain") {
			t.Errorf("%d", p.Status)
		}
	})
	t.Run("a form of an older draft that changes another row is merged", func(t *testing.T) {
		form := mappingForm(mapping.DefaultSet().Modules["Leads"], "0")
		form.Set("value.Company", "Firm {{ company_name }}")
		if p := owner.Post("/mapping/Leads", form); p.Status != 303 {
			t.Errorf("%d", p.Status)
		}
		rows := draftMapping(t, owner).Modules["Leads"]
		if !strings.Contains(rows[7].Value, "product_interest") || !slices.ContainsFunc(rows, func(r mapping.Row) bool { return r.Value == "Firm {{ company_name }}" }) {
			t.Errorf("%+v", rows)
		}
	})
	if p := owner.Get("/draft"); !strings.Contains(p.Body, "Leads: Description gets") {
		t.Error("the draft does not say what changed")
	}
}

// Every act of the page works as a plain form post; nothing of it is kept before Save.
func TestAMappingIsEditedWithoutScript(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	saved := mapping.DefaultSet().Modules["Leads"]
	post := func(t *testing.T, act string, change func(url.Values)) servertest.Page {
		t.Helper()
		form := mappingForm(saved, "0")
		form.Set("act", act)
		if change != nil {
			change(form)
		}
		return owner.Post("/mapping/Leads", form)
	}
	has := func(t *testing.T, p servertest.Page, status int, texts ...string) {
		t.Helper()
		if p.Status != status {
			t.Errorf("answers %d, want %d", p.Status, status)
		}
		for _, text := range texts {
			if !strings.Contains(p.Body, text) {
				t.Errorf("the page lacks %q", text)
			}
		}
	}
	t.Run("a field that is added begins with the value that it most likely wants", func(t *testing.T) {
		p := post(t, "add", func(f url.Values) { f.Set("add", "Mobile"); f.Set("value.Company", "typed before") })
		has(t, p, 200, "\ntyped before</textarea>", "Not saved yet", "autofocus")
		if !regexp.MustCompile(`name="value.Mobile"[^>]*>\n\{\{ caller_number \}\}</textarea>`).MatchString(p.Body) {
			t.Error("no value is proposed")
		}
	})
	t.Run("a row that is removed can be put back", func(t *testing.T) {
		p := post(t, "remove Company", func(f url.Values) { f.Set("value.Company", "typed {{ company_name }}") })
		has(t, p, 200, "Company is no longer filled.", `value="put Company typed {{ company_name }}"`)
		if strings.Contains(p.Body, `id="value-Company"`) {
			t.Error("the row is still there")
		}
	})
	t.Run("without Last Name the page says that it is mandatory and offers a default that puts itself in", func(t *testing.T) {
		p := post(t, "remove Last_Name", nil)
		offer := regexp.MustCompile(`value="(put Last_Name [^"]+)"[^>]*>\s*(<svg.*?</svg>)?<span data-label>Use `).FindStringSubmatch(p.Body)
		has(t, p, 200, "Zoho requires Last Name on Leads", `id="field-Last_Name"`)
		if offer == nil {
			t.Fatal("no default is offered")
		}
		without := slices.DeleteFunc(slices.Clone(saved), func(r mapping.Row) bool { return r.Field == "Last_Name" })
		form := mappingForm(without, "0")
		form.Set("act", offer[1])
		p = owner.Post("/mapping/Leads", form)
		has(t, p, 200, "\n{{ last_name | default: caller_label }}</textarea>")
		if strings.Contains(p.Body, "Zoho requires Last Name") {
			t.Error("the default does not mend it")
		}
		form.Set("act", "save")
		has(t, owner.Post("/mapping/Leads", form), 422, "Not saved: Zoho would refuse this.", `href="#value-Last_Name"`)
	})
	t.Run("an allowed value is a button that puts it in", func(t *testing.T) {
		wrong := func(f url.Values) { f.Del("list.Lead_Status"); f.Set("value.Lead_Status", "Hot") }
		has(t, post(t, "save", wrong), 422, "Not saved: Zoho would refuse this.", `value="put Lead_Status Attempted to Contact"`)
		has(t, post(t, "put Lead_Status Attempted to Contact", wrong), 200, "\nAttempted to Contact</textarea>")
	})
	t.Run("or Zoho is let add the value", func(t *testing.T) {
		wrong := func(f url.Values) { f.Del("list.Lead_Status"); f.Set("value.Lead_Status", "Hot") }
		has(t, post(t, "save", wrong), 422, `value="grow Lead_Status"`)
		has(t, post(t, "grow Lead_Status", wrong), 200, `name="list.Lead_Status" value="on" checked`, "Zoho adds it with the first record")
	})
	t.Run("discarded changes can be brought back", func(t *testing.T) {
		p := post(t, "discard", func(f url.Values) { f.Set("value.Company", "typed in vain") })
		has(t, p, 200, "Your changes were discarded.", "Bring them back", `name="value.Company" value="typed in vain"`, "default: &#34;Not provided&#34; }}</textarea>")
		if p := post(t, "discard", nil); strings.Contains(p.Body, "Bring them back") {
			t.Error("there was nothing to bring back")
		}
	})
	t.Run("a list of another call shows the record of that call", func(t *testing.T) {
		has(t, post(t, "preview", func(f url.Values) { f.Set("call", "preset:emergency") }), 200, "a pipe burst", `value="preset:emergency" selected`)
	})
	t.Run("what is shown only, in the layout's order, is no change", func(t *testing.T) {
		turned := slices.Clone(saved)
		slices.Reverse(turned)
		form := mappingForm(turned, "0")
		form.Set("act", "preview")
		if p := owner.Post("/mapping/Leads", form); strings.Contains(p.Body, "Not saved yet") {
			t.Error("another order counts as a change")
		}
		if p := owner.Post("/mapping/Leads", mappingForm(turned, "0")); p.Status != http.StatusSeeOther || draftOf(t, owner).Revision != 0 {
			t.Errorf("%d", p.Status)
		}
	})
	t.Run("the script gets the record and what is said beside the rows, nothing else", func(t *testing.T) {
		owner.Headers.Set("HX-Request", "true")
		owner.Headers.Set("HX-Request-Type", "partial")
		p := post(t, "", func(f url.Values) { f.Set("value.Company", "{{ compny_name }}") })
		owner.Headers.Del("HX-Request")
		owner.Headers.Del("HX-Request-Type")
		has(t, p, 200, `id="example"`, `hx-swap-oob="innerHTML:#says-Company"`, "Did you mean", "Not saved yet")
		if strings.Contains(p.Body, "<textarea") || strings.Contains(p.Body, "<html") {
			t.Error("it gets the whole page")
		}
	})
	if d := draftOf(t, owner); d.Revision != 0 {
		t.Errorf("the draft was changed %d times", d.Revision)
	}
}

// Who saves second sees both sides beside the row, and loses neither what they typed nor what others changed elsewhere.
func TestTwoPeopleMapTheSameField(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	ann := s.Owner("ann@acme.test")
	bob := s.Member(ann.Tenant, "bob@acme.test", "admin")
	rows := mapping.DefaultSet().Modules["Leads"]
	theirs := mappingForm(rows, "0")
	theirs.Set("value.Description", "Bob: {{ call_summary }}")
	theirs.Set("value.Company", "Bob's {{ company_name }}")
	if p := bob.Post("/mapping/Leads", theirs); p.Status != 303 {
		t.Fatalf("%d", p.Status)
	}
	mine := mappingForm(rows, "0")
	mine.Set("value.Description", "Ann: {{ call_summary }}")
	p := ann.Post("/mapping/Leads", mine)
	for _, text := range []string{"bob@acme.test changed the same", "Ann: {{ call_summary }}</textarea>", "<b>bob@acme.test</b> made it “Bob: {{ call_summary }}”", `value="theirs Description"`,
		"Bob&#39;s {{ company_name }}</textarea>", `name="revision" value="1"`} {
		if p.Status != 409 || !strings.Contains(p.Body, text) {
			t.Errorf("%d, the page lacks %q", p.Status, text)
		}
	}
	mine.Set("revision", "1")
	mine.Set("value.Company", "Bob's {{ company_name }}")
	mine.Set("act", "theirs Description")
	if p := ann.Post("/mapping/Leads", mine); !strings.Contains(p.Body, "\nBob: {{ call_summary }}</textarea>") {
		t.Error("theirs cannot be taken")
	}
	mine.Set("act", "save")
	if p := ann.Post("/mapping/Leads", mine); p.Status != 303 {
		t.Fatalf("saved again: %d", p.Status)
	}
	for field, want := range map[string]string{"Description": "Ann: {{ call_summary }}", "Company": "Bob's {{ company_name }}"} {
		if !slices.ContainsFunc(draftMapping(t, ann).Modules["Leads"], func(r mapping.Row) bool { return r.Field == field && r.Value == want }) {
			t.Errorf("%s is not %q", field, want)
		}
	}
}
