package mapping

import (
	"fmt"
	"strings"
	"testing"
)

const guideLead = `POST https://www.zohoapis.com/crm/v2/Leads
{
  "data": [{
    "Last_Name": "{{last_name}}",
    "First_Name": "{{first_name}}",
    "Company": "{{company_name}}",
    "Phone": "{{caller_number}}",
    "Email": "{{email}}",
    "Lead_Source": "Inbound Call",
    "Description": "{{call_summary}}",
    "Lead_Status": "Not Contacted"
  }]
}`

const guideCall = `{
  "data": [{
    "Call_Type": "Inbound",
    "Call_Duration": "{{call_duration_seconds}}",
    "Call_Result": "Connected",
    "Subject": "Inbound call - {{call_summary}}",
    "Description": "{{full_transcript}}",
    "Who_Id": "{{zoho_contact_id}}",
    "Call_Start_Time": "{{call_timestamp}}"
  }]
}`

const guideDeal = `{
  "data": [{
    "Deal_Name": "{{company_name}} - {{product_interest}}",
    "Amount": "{{estimated_deal_value}}",
    "Stage": "Qualification",
    "Contact_Name": "{{zoho_contact_id}}",
    "Closing_Date": "{{estimated_close_date}}",
    "Description": "Inbound call inquiry: {{call_summary}}"
  }]
}`

func rowsIn(in Import) string {
	var b strings.Builder
	for _, r := range in.Rows {
		fmt.Fprintf(&b, "%s=%s\n", r.Field, r.Value)
	}
	return b.String()
}

func TestTheGuidesWebhookBodiesAreImported(t *testing.T) {
	for _, c := range []struct{ body, module, rows, notes string }{
		{guideLead, "Leads", "Last_Name={{last_name}}\nFirst_Name={{first_name}}\nCompany={{company_name}}\nPhone={{caller_number}}\nEmail={{email}}\n" +
			"Lead_Source=Inbound Call\nDescription={{call_summary}}\nLead_Status=Not Contacted\n", ""},
		{guideCall, "Calls", "Call_Type=Inbound\nCall_Duration={{ call_duration }}\nCall_Result=Connected\nSubject=Inbound call - {{call_summary}}\n" +
			"Description={{full_transcript}}\nCall_Start_Time={{call_timestamp}}\n", "Who_Id was left out: Hookline sets it itself, to the Contact that called."},
		{guideDeal, "Deals", "Deal_Name={{company_name}} - {{product_interest}}\nAmount={{estimated_deal_value}}\nStage=Qualification\nClosing_Date={{estimated_close_date}}\n" +
			"Description=Inbound call inquiry: {{call_summary}}\n", "Contact_Name was left out"},
	} {
		in := ImportBody(c.body)
		if in.Module != c.module || rowsIn(in) != c.rows || len(in.Problems) > 0 || !strings.Contains(strings.Join(in.Notes, "\n"), c.notes) {
			t.Errorf("%s: %s\n%q\n%+v", in.Module, rowsIn(in), in.Notes, in.Problems)
		}
	}
	if lead := ImportBody(guideLead); !lead.Rows[5].AddToList {
		t.Error("the source that the guide writes is not added to the list")
	}
}

func TestABodyInOtherShapesIsImported(t *testing.T) {
	for body, want := range map[string]string{
		`{"Last_Name":"{{name}}","Company":"x"}`:                                      "Last_Name={{ caller_name }}\nCompany=x\n",
		`[{"Last_Name":"a"},{"Last_Name":"b"}]`:                                       "Last_Name=a\n",
		`{"data":{"Last_Name":"a"},"trigger":["workflow"]}`:                           "Last_Name=a\n",
		`{"Deal_Name":"a","Amount":{{budget}},"Probability":50,"Email_Opt_Out":true}`: "Deal_Name=a\nAmount={{ estimated_deal_value }}\nProbability=50\nEmail_Opt_Out=true\n",
		`{"Last_Name":"a","Owner":{"id":"5725767000000100001"}}`:                      "Last_Name=a\nOwner=5725767000000100001\n",
		`{"Last_Name":"a","Languages":["English","Spanish"]}`:                         "Last_Name=a\nLanguages=English, Spanish\n",
		`{"Last_Name":"a","Fax":null}`:                                                "Last_Name=a\n",
		`{"Last_Name":"it's \"{{ email }}\" \u00e9"}`:                                 "Last_Name=it's \"{{ email }}\" é\n",
	} {
		if in := ImportBody(body); rowsIn(in) != want || len(in.Problems) > 0 {
			t.Errorf("%s\n%s\n%q\n%+v", body, rowsIn(in), in.Notes, in.Problems)
		}
	}
}

func TestWhatABodyCannotSayIsRefusedByName(t *testing.T) {
	for body, want := range map[string]string{
		`{"Last_Name":"{{caller_nmber}}"}`:                 "Did you mean “caller_number”?",
		`{"Last_Name":"{{lead_score}}"}`:                   "answers.lead_score",
		`{"Last_Name":"{{#if x}}"}`:                        "Last_Name cannot be read",
		`{"Last_Name":"a","Address":{"street":"x"}}`:       "Address holds an object",
		`{"Last_Name":"a","Items":[{"a":1}]}`:              "Items holds a list of objects",
		`{"Last_Name":"a","Last_Name":"b"}`:                "twice",
		`{"id":"5725767000000100001","Last_Name":"a"}`:     "id is set by Zoho",
		`{"Last Name":"a"}`:                                "API name",
		`{"Last_Name":"a"`:                                 "ends too early",
		`{"Last_Name" "a"}`:                                "near character",
		`nothing`:                                          "no JSON",
		`{"data":[]}`:                                      "no record",
		strings.Repeat("[", 1000):                          "nested too deeply",
		`{"a":"` + strings.Repeat("x", maxBody) + `"}`:     "longer than",
		`{"a":"` + strings.Repeat("x", maxSource+1) + `"}`: "a cannot be read",
		"{" + strings.Repeat(`"A":1,`, 3) + `"B":1}`:       "A is there twice",
		"{\"Last_Name\":\"\xff\"}":                         "not text",
	} {
		in := ImportBody(body)
		said := ""
		for _, p := range in.Problems {
			said += p.Sentence
		}
		if !strings.Contains(said, want) {
			t.Errorf("%.60q: %+v", body, in.Problems)
		}
	}
	var b strings.Builder
	for i := range maxRows + 50 {
		fmt.Fprintf(&b, `"F%d":"x",`, i)
	}
	if in := ImportBody("{" + b.String() + `"Z":1}`); len(in.Rows) != maxRows || len(in.Problems) != 1 {
		t.Errorf("%d rows, %+v", len(in.Rows), in.Problems)
	}
}

func TestAnExportedBodyIsImportedAsItWas(t *testing.T) {
	set := DefaultSet()
	set.Modules["Leads"] = append(set.Modules["Leads"], Row{Field: "Title", Value: "a \"b\" <c> {{ answers.x | map: \"a\", 'b', \"it''s\" }}\n\u2028é"}, Row{Field: "Fax", Value: ""})
	for _, module := range Modules {
		in := ImportBody(ExportBody(set, module))
		if len(set.Modules[module]) == 0 {
			continue
		}
		if in.Module != module || len(in.Notes)+len(in.Problems) > 0 || fmt.Sprint(in.Rows) != fmt.Sprint(set.Modules[module]) {
			t.Errorf("%s: %+v", module, in)
		}
	}
}

func FuzzImportBody(f *testing.F) {
	for _, body := range []string{guideLead, guideCall, guideDeal, `{"a":{{b}}}`, `[{"data":{"x":[1,{"y":null}]}}]`, ExportBody(DefaultSet(), "Deals")} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		in := ImportBody(body)
		if len(in.Rows) > maxRows || len(in.Problems) > maxSaid || len(in.Notes) > maxSaid {
			t.Fatalf("%d rows, %d problems", len(in.Rows), len(in.Problems))
		}
		module := in.Module
		if module == "" || len(in.Rows) == 0 || len(in.Problems) > 0 {
			return
		}
		again := ImportBody("POST https://www.zohoapis.com/crm/v8/" + module + "\n" + ExportBody(Set{Modules: map[string][]Row{module: in.Rows}}, module))
		if rowsIn(again) != rowsIn(in) {
			t.Fatalf("%q became %q", rowsIn(in), rowsIn(again))
		}
	})
}
