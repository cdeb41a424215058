package harness

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// landing is one call, or what several webhooks tell of one, and every record that the CRM holds afterwards and did
// not hold before.
type landing struct {
	name   string
	via    string                                  // provider
	seed   func(crm *crm, phone string)            // what the CRM knows before
	bodies func(phone, id string) []map[string]any // the webhooks, in order
	status string                                  // of the call; empty: delivered
	want   []landed                                // exactly these, in any order
}

type dict = map[string]any

// landed is a record that is expected, by the fields that it must have. A value is compared as it stands; a func(any)
// bool is asked.
type landed struct {
	module string
	fields dict
}

func starts(with string) func(any) bool {
	return func(v any) bool { s, _ := v.(string); return strings.HasPrefix(s, with) }
}
func holds(part string) func(any) bool {
	return func(v any) bool { s, _ := v.(string); return strings.Contains(s, part) }
}
func length(runes int) func(any) bool {
	return func(v any) bool { s, _ := v.(string); return utf8.RuneCountInString(s) <= runes && s != "" }
}
func absent(v any) bool { return v == nil || v == "" }

// names is a lookup to the record of that name.
func names(name string) func(any) bool {
	return func(v any) bool { m, _ := v.(dict); return m != nil && m["name"] == name }
}
func instant(text string) func(any) bool {
	want, _ := time.Parse(time.RFC3339, text)
	return func(v any) bool {
		s, _ := v.(string)
		at, err := time.Parse(time.RFC3339, s)
		return err == nil && at.Equal(want)
	}
}
func inDays(n int) func(any) bool {
	return func(v any) bool {
		s, _ := v.(string)
		at, err := time.Parse(time.DateOnly, s)
		days := time.Until(at).Hours() / 24
		return err == nil && days > float64(n)-2 && days < float64(n)+2
	}
}

// crm is one tenant's organisation in the sandbox.
type crm struct {
	t   *testing.T
	s   *System
	ctx context.Context
	org Tenant
}

func (c *crm) put(module string, record dict) string {
	c.t.Helper()
	var answer struct {
		Data []struct {
			ID      string `json:"id"`
			Details struct{ ID string }
		} `json:"data"`
	}
	if err := c.s.Control(c.ctx, http.MethodPost, "/_sandbox/records/"+module+"?org="+c.org.Org, dict{"data": []dict{record}}, &answer); err != nil {
		c.t.Fatal(err)
	}
	if len(answer.Data) == 0 {
		c.t.Fatal("the sandbox put nothing in")
	}
	if answer.Data[0].ID != "" {
		return answer.Data[0].ID
	}
	return answer.Data[0].Details.ID
}

func (c *crm) contact(phone, field, first, last, account string) string {
	record := dict{"First_Name": first, "Last_Name": last, field: phone}
	if account != "" {
		record["Account_Name"] = dict{"id": c.put("Accounts", dict{"Account_Name": account})}
	}
	return c.put("Contacts", record)
}

func (c *crm) deal(name, stage, contact string) string {
	return c.put("Deals", dict{"Deal_Name": name, "Stage": stage, "Amount": 1000, "Closing_Date": "2027-01-31", "Contact_Name": dict{"id": contact}})
}

var modules = []string{"Leads", "Contacts", "Accounts", "Deals", "Calls", "Tasks", "Events", "Notes"}

// all is every record there is, by id.
func (c *crm) all() map[string]landed {
	c.t.Helper()
	found := map[string]landed{}
	for _, module := range modules {
		records, err := c.s.Records(c.ctx, c.org, module)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, r := range records {
			found[fmt.Sprint(r["id"])] = landed{module, r}
		}
	}
	return found
}

const (
	start = "2026-11-20T17:04:05-08:00"
	said  = "Hello there"
)

func native(more dict) func(phone, id string) []dict {
	return func(phone, id string) []dict {
		body := dict{"type": "call.completed", "call_id": id, "direction": "inbound", "status": "completed", "from": phone, "to": "+14155550100",
			"started_at": start, "duration_seconds": 245, "caller": dict{"first_name": "Sarah", "last_name": "Johnson", "company": "ABC Corp", "email": "sarah@abc.example"},
			"summary": "Asks about the delivery on Tuesday.", "transcript": []dict{{"role": "agent", "text": "How can I help?", "at_seconds": 0}, {"role": "caller", "text": said, "at_seconds": 3}}}
		maps.Copy(body, more)
		for key, value := range body {
			if value == nil && key != "from" {
				delete(body, key)
			}
			if text, ok := value.(string); ok {
				body[key] = strings.ReplaceAll(text, "PHONE", phone)
			}
		}
		return []dict{body}
	}
}

func callerSays(text string) []dict {
	return []dict{{"role": "agent", "text": "What is the price you had in mind?", "at_seconds": 0}, {"role": "caller", "text": text, "at_seconds": 4}}
}

func nextphone(more dict) func(phone, id string) []dict {
	return func(phone, id string) []dict {
		body := dict{"call_id": id, "last_name": "Johnson", "first_name": "Sarah", "company_name": "ABC Corp", "caller_number": phone, "email": "sarah@abc.example",
			"call_summary": "Asks about the delivery on Tuesday.", "full_transcript": "Agent: How can I help?\nCaller: " + said, "call_duration_seconds": "125",
			"call_timestamp": start}
		maps.Copy(body, more)
		return []dict{body}
	}
}

func retell(ended, analyzed dict) func(phone, id string) []dict {
	return func(phone, id string) []dict {
		at, _ := time.Parse(time.RFC3339, start)
		base := func() dict {
			return dict{"call_type": "phone_call", "call_id": id, "direction": "inbound", "from_number": phone, "to_number": "+14155550100", "call_status": "ended",
				"start_timestamp": at.UnixMilli(), "end_timestamp": at.Add(95 * time.Second).UnixMilli(), "duration_ms": 95000, "disconnection_reason": "user_hangup",
				"agent_name": "Ava", "transcript_object": []dict{{"role": "agent", "content": "How can I help?"}, {"role": "user", "content": said}}}
		}
		var bodies []dict
		if ended != nil {
			c := base()
			maps.Copy(c, ended)
			bodies = append(bodies, dict{"event": "call_ended", "call": c})
		}
		if analyzed != nil {
			c := base()
			c["call_analysis"] = dict{"call_summary": "Asks about the delivery on Tuesday.", "in_voicemail": false, "custom_analysis_data": dict{"customer_name": "Sarah Johnson", "company_name": "ABC Corp", "email": "sarah@abc.example"}}
			maps.Copy(c, analyzed)
			bodies = append(bodies, dict{"event": "call_analyzed", "call": c})
		}
		return bodies
	}
}

// lead and callOn are the usual records; more overrides.
func lead(more dict) landed {
	f := dict{"Last_Name": "Johnson", "First_Name": "Sarah", "Company": "ABC Corp", "Email": "sarah@abc.example", "Lead_Source": "Inbound Call", "Lead_Status": "Not Contacted",
		"Description": starts("Asks about the delivery on Tuesday.")}
	maps.Copy(f, more)
	return landed{"Leads", f}
}

func callOn(more dict) landed {
	f := dict{"Subject": starts("Inbound call - Asks about the delivery on Tuesday."), "Call_Type": "Inbound", "Call_Start_Time": instant(start), "Call_Duration": "04:05", "Description": holds(said)}
	maps.Copy(f, more)
	return landed{"Calls", f}
}

func onLead(name string) dict {
	return dict{"What_Id": names(name), "$se_module": "Leads", "Who_Id": absent}
}

func both(a, b dict) dict { c := maps.Clone(a); maps.Copy(c, b); return c }

var landings = []landing{
	{name: "a new caller becomes a Lead with its Call", via: "native", bodies: native(nil),
		want: []landed{lead(nil), callOn(onLead("Sarah Johnson"))}},
	{name: "a known Contact gets the Call", via: "native", bodies: native(nil),
		seed: func(c *crm, phone string) { c.contact(phone, "Phone", "Maria", "Lopez", "Harbor Dental") },
		want: []landed{callOn(dict{"Who_Id": names("Maria Lopez"), "What_Id": absent})}},
	{name: "a Contact is known by its mobile number in a national spelling", via: "native", bodies: native(nil),
		seed: func(c *crm, phone string) {
			c.contact("("+phone[2:5]+") "+phone[5:8]+"-"+phone[8:], "Mobile", "Maria", "Lopez", "")
		},
		want: []landed{callOn(dict{"Who_Id": names("Maria Lopez")})}},
	{name: "a Contact is known by its home number with dots", via: "native", bodies: native(nil),
		seed: func(c *crm, phone string) {
			c.contact(phone[2:5]+"."+phone[5:8]+"."+phone[8:], "Home_Phone", "Maria", "Lopez", "")
		},
		want: []landed{callOn(dict{"Who_Id": names("Maria Lopez")})}},
	{name: "a known Lead gets the Call and no second Lead", via: "native", bodies: native(nil),
		seed: func(c *crm, phone string) {
			c.put("Leads", dict{"First_Name": "Lena", "Last_Name": "Vogel", "Company": "Vogel", "Phone": phone})
		},
		want: []landed{callOn(onLead("Lena Vogel"))}},
	{name: "a known Lead that wants to buy gets the Call and no Deal", via: "native", bodies: native(dict{"transcript": callerSays("I want to buy the Enterprise plan.")}),
		seed: func(c *crm, phone string) {
			c.put("Leads", dict{"First_Name": "Lena", "Last_Name": "Vogel", "Company": "Vogel", "Phone": phone})
		},
		want: []landed{callOn(both(onLead("Lena Vogel"), dict{"Description": holds("buy")}))}},
	{name: "a converted Lead leads to its Contact", via: "native", bodies: native(nil),
		seed: func(c *crm, phone string) {
			id := c.put("Leads", dict{"First_Name": "Carl", "Last_Name": "Converted", "Company": "Converted Co", "Phone": phone})
			if err := c.s.Control(c.ctx, http.MethodPost, "/_sandbox/records/Leads/"+id+"/convert?org="+c.org.Org, dict{}, nil); err != nil {
				c.t.Fatal(err)
			}
		},
		want: []landed{callOn(dict{"Who_Id": names("Carl Converted")})}},
	{name: "a Contact wins over a Lead with the same number", via: "native", bodies: native(nil),
		seed: func(c *crm, phone string) {
			c.put("Leads", dict{"Last_Name": "Older", "Company": "Older", "Phone": phone})
			c.contact(phone, "Phone", "Maria", "Lopez", "")
		},
		want: []landed{callOn(dict{"Who_Id": names("Maria Lopez")})}},
	{name: "a Contact with an open Deal gets the Call on the Deal", via: "native", bodies: native(nil),
		seed: func(c *crm, phone string) {
			c.deal("Peak Legal - Plan", "Qualification", c.contact(phone, "Phone", "Devon", "Clark", "Peak Legal"))
		},
		want: []landed{callOn(dict{"Who_Id": names("Devon Clark"), "What_Id": names("Peak Legal - Plan"), "$se_module": "Deals"})}},
	{name: "a closed Deal is not open", via: "native", bodies: native(nil),
		seed: func(c *crm, phone string) {
			c.deal("Won long ago", "Closed Won", c.contact(phone, "Phone", "Devon", "Clark", ""))
		},
		want: []landed{callOn(dict{"Who_Id": names("Devon Clark"), "What_Id": absent})}},
	{name: "a Contact who wants to buy gets a Deal with its Account, and the Call on it", via: "native",
		bodies: native(dict{"transcript": callerSays("What's the pricing for 50 users?"), "answers": dict{"interest": "Enterprise plan", "budget": "$50K", "timeline": "Q1"}}),
		seed:   func(c *crm, phone string) { c.contact(phone, "Phone", "Sarah", "Buyer", "ABC Corp") },
		want: []landed{
			{"Deals", dict{"Deal_Name": "ABC Corp - Enterprise plan", "Amount": 50000.0, "Stage": "Qualification", "Pipeline": "Standard (Standard)", "Contact_Name": names("Sarah Buyer"),
				"Account_Name": names("ABC Corp"), "Closing_Date": length(10), "Description": starts("Inbound call inquiry: ")}},
			callOn(dict{"Who_Id": names("Sarah Buyer"), "What_Id": names("ABC Corp - Enterprise plan"), "$se_module": "Deals", "Description": holds("pricing")})}},
	{name: "a Contact without an Account gets a Deal with that of the company named", via: "native",
		bodies: native(dict{"caller": dict{"company": "Solo Boilers"}, "transcript": callerSays("I would like a quote for a new boiler.")}),
		seed:   func(c *crm, phone string) { c.contact(phone, "Phone", "Solo", "Buyer", "") },
		want: []landed{{"Accounts", dict{"Account_Name": "Solo Boilers"}},
			{"Deals", dict{"Contact_Name": names("Solo Buyer"), "Account_Name": names("Solo Boilers"), "Closing_Date": inDays(30)}},
			callOn(dict{"Who_Id": names("Solo Buyer"), "$se_module": "Deals", "Description": holds("boiler")})}},
	{name: "a Contact without an Account who names no company gets a Deal without one", via: "native",
		bodies: native(dict{"caller": dict{"company": ""}, "transcript": callerSays("I would like a quote for a new boiler.")}),
		seed:   func(c *crm, phone string) { c.contact(phone, "Phone", "Solo", "Buyer", "") },
		want: []landed{{"Deals", dict{"Contact_Name": names("Solo Buyer"), "Account_Name": absent, "Closing_Date": inDays(30)}},
			callOn(dict{"Who_Id": names("Solo Buyer"), "$se_module": "Deals", "Description": holds("boiler")})}},
	{name: "a buying word of the agent's makes no Deal", via: "native", bodies: native(dict{"transcript": callerSays("When do you open on Monday?")}),
		seed: func(c *crm, phone string) { c.contact(phone, "Phone", "Maria", "Lopez", "") },
		want: []landed{callOn(dict{"Who_Id": names("Maria Lopez"), "What_Id": absent, "Description": holds("Monday")})}},
	{name: "a negated buying word makes no Deal", via: "native", bodies: native(dict{"transcript": callerSays("I do not want to buy anything, I only have a question.")}),
		seed: func(c *crm, phone string) { c.contact(phone, "Phone", "Maria", "Lopez", "") },
		want: []landed{callOn(dict{"Who_Id": names("Maria Lopez"), "What_Id": absent, "Description": holds("question")})}},
	{name: "a missed call of a new number becomes a Lead with a Missed call without duration", via: "native",
		bodies: native(dict{"status": "missed", "duration_seconds": 0, "summary": nil, "transcript": nil, "caller": nil}),
		want: []landed{{"Leads", dict{"Last_Name": holds("+1"), "First_Name": absent, "Lead_Source": "Inbound Call"}},
			{"Calls", dict{"Call_Type": "Missed", "Subject": starts("Missed call"), "Call_Duration": absent, "$se_module": "Leads"}}}},
	{name: "a voicemail is a missed Call with what was said", via: "native", bodies: native(dict{"status": "voicemail"}),
		want: []landed{lead(nil), callOn(both(onLead("Sarah Johnson"), dict{"Subject": holds("Asks about the delivery"), "Call_Type": "Missed", "Call_Duration": absent}))}},
	{name: "a withheld number makes nothing", via: "native", bodies: native(dict{"from": "anonymous"}), status: "ignored"},
	{name: "a null number makes nothing", via: "native", bodies: native(dict{"from": nil}), status: "ignored"},
	{name: "an extension is no customer", via: "native", bodies: native(dict{"from": "204"}), status: "ignored"},
	{name: "spam makes nothing", via: "native", bodies: native(dict{"transcript": callerSays("We are calling about your car's extended warranty.")}), status: "ignored"},
	{name: "a one-word name is the last name", via: "native", bodies: native(dict{"caller": dict{"first_name": "", "last_name": "Prince"}}),
		want: []landed{lead(dict{"Last_Name": "Prince", "First_Name": absent, "Company": "Not provided", "Email": absent}), callOn(onLead("Prince"))}},
	{name: "a summary of 300 characters is cut in the subject and whole in the description", via: "native", bodies: native(dict{"summary": strings.Repeat("pipe ", 60)}),
		want: []landed{lead(dict{"Description": starts(strings.TrimSpace(strings.Repeat("pipe ", 60)))}), callOn(both(onLead("Sarah Johnson"), dict{"Subject": length(255), "Description": holds(strings.TrimSpace(strings.Repeat("pipe ", 60)))}))}},
	{name: "a transcript of 40,000 characters goes on in a Note", via: "native",
		bodies: native(dict{"transcript": []dict{{"role": "caller", "text": strings.Repeat("and then the water came ", 1700)}}}),
		want: []landed{lead(nil), callOn(both(onLead("Sarah Johnson"), dict{"Description": length(32000)})),
			{"Notes", dict{"Parent_Id": names("Sarah Johnson"), "Note_Title": holds("part 2 of 2"), "Note_Content": holds("and then the water came")}}}},
	{name: "emoji in a name survive", via: "native", bodies: native(dict{"caller": dict{"first_name": "Zoë 🌸", "last_name": "van der Berg", "company": "Tulip & Thorn 🌷"}}),
		want: []landed{lead(dict{"First_Name": "Zoë 🌸", "Last_Name": "van der Berg", "Company": "Tulip & Thorn 🌷", "Email": absent}), callOn(onLead("Zoë 🌸 van der Berg"))}},
	{name: "a right-to-left name survives", via: "native", bodies: native(dict{"caller": dict{"first_name": "شيرين", "last_name": "الخطيب", "company": "شركة النور"}}),
		want: []landed{lead(dict{"First_Name": "شيرين", "Last_Name": "الخطيب", "Company": "شركة النور", "Email": absent}), callOn(onLead("شيرين الخطيب"))}},
	{name: "an e-mail address that is none is left out", via: "native", bodies: native(dict{"caller": dict{"last_name": "Johnson", "first_name": "Sarah", "company": "ABC Corp", "email": "sarah at abc"}}),
		want: []landed{lead(dict{"Email": absent}), callOn(onLead("Sarah Johnson"))}},
	{name: "a call of over an hour keeps its minutes", via: "native", bodies: native(dict{"duration_seconds": 4509}),
		want: []landed{lead(nil), callOn(both(onLead("Sarah Johnson"), dict{"Call_Duration": "75:09"}))}},
	{name: "a template in a caller's words stays text", via: "native", bodies: native(dict{"summary": "She said {{ secret }} and {% for %}."}),
		want: []landed{lead(dict{"Description": starts("She said {{ secret }} and {% for %}.")}), callOn(both(onLead("Sarah Johnson"), dict{"Subject": holds("{{ secret }}")}))}},
	{name: "an outbound call is logged on whom we called", via: "native",
		bodies: func(phone, id string) []dict {
			return native(dict{"direction": "outbound", "from": "+14155550100", "to": phone})(phone, id)
		},
		seed: func(c *crm, phone string) { c.contact(phone, "Phone", "Maria", "Lopez", "") },
		want: []landed{callOn(dict{"Who_Id": names("Maria Lopez"), "Call_Type": "Outbound", "Outgoing_Call_Status": "Completed", "Subject": starts("Outbound call - ")})}},
	{name: "a late summary updates the same Call", via: "native",
		bodies: func(phone, id string) []dict {
			first := native(dict{"summary": nil, "transcript": nil})(phone, id)
			return append(first, dict{"type": "call.updated", "call_id": id, "summary": "Asks about the delivery on Tuesday.", "transcript": []dict{{"role": "caller", "text": said}}})
		},
		want: []landed{lead(nil), callOn(onLead("Sarah Johnson"))}},
	{name: "an update that overtakes its call is joined to it", via: "native",
		bodies: func(phone, id string) []dict {
			call := native(dict{"summary": nil})(phone, id)[0]
			return []dict{{"type": "call.updated", "call_id": id, "summary": "Asks about the delivery on Tuesday."}, call}
		},
		want: []landed{lead(nil), callOn(onLead("Sarah Johnson"))}},

	{name: "NextPhone: a new caller becomes a Lead with its Call", via: "nextphone", bodies: nextphone(nil),
		want: []landed{lead(nil), callOn(both(onLead("Sarah Johnson"), dict{"Call_Duration": "02:05"}))}},
	{name: "NextPhone: a known Contact gets the Call", via: "nextphone", bodies: nextphone(nil),
		seed: func(c *crm, phone string) { c.contact(phone, "Other_Phone", "Maria", "Lopez", "") },
		want: []landed{callOn(dict{"Who_Id": names("Maria Lopez"), "Call_Duration": "02:05"})}},
	{name: "NextPhone: a buyer's Deal has the guide's fields", via: "nextphone",
		bodies: nextphone(dict{"full_transcript": "Agent: Hello.\nCaller: What is the pricing for 50 users?", "product_interest": "Enterprise plan", "estimated_deal_value": "$50,000", "estimated_close_date": "2027-03-31"}),
		seed:   func(c *crm, phone string) { c.contact(phone, "Phone", "Sarah", "Buyer", "ABC Corp") },
		want: []landed{{"Deals", dict{"Deal_Name": "ABC Corp - Enterprise plan", "Amount": 50000.0, "Closing_Date": "2027-03-31", "Contact_Name": names("Sarah Buyer"), "Account_Name": names("ABC Corp")}},
			callOn(dict{"What_Id": names("ABC Corp - Enterprise plan"), "Call_Duration": "02:05", "Description": holds("pricing")})}},
	{name: "NextPhone: unfilled placeholders count as not known", via: "nextphone", bodies: nextphone(dict{"last_name": "{{last_name}}", "first_name": "{{first_name}}", "company_name": "", "email": "N/A"}),
		want: []landed{lead(dict{"Last_Name": holds("+1"), "First_Name": absent, "Company": "Not provided", "Email": absent}), callOn(dict{"Call_Duration": "02:05", "$se_module": "Leads"})}},
	{name: "NextPhone: a withheld number makes nothing", via: "nextphone", bodies: nextphone(dict{"caller_number": "anonymous"}), status: "ignored"},

	{name: "Retell: call_ended and call_analyzed are one Lead and one Call", via: "retell", bodies: retell(dict{}, dict{}),
		want: []landed{lead(nil), callOn(both(onLead("Sarah Johnson"), dict{"Call_Duration": "01:35"}))}},
	{name: "Retell: call_analyzed alone suffices", via: "retell", bodies: retell(nil, dict{}),
		want: []landed{lead(nil), callOn(both(onLead("Sarah Johnson"), dict{"Call_Duration": "01:35"}))}},
	{name: "Retell: the analysis may come first", via: "retell", bodies: func(phone, id string) []dict {
		b := retell(dict{}, dict{})(phone, id)
		slices.Reverse(b)
		return b
	}, want: []landed{lead(nil), callOn(both(onLead("Sarah Johnson"), dict{"Call_Duration": "01:35"}))}},
	{name: "Retell: a known Contact gets the Call", via: "retell", bodies: retell(nil, dict{}),
		seed: func(c *crm, phone string) { c.contact(phone, "Phone", "Maria", "Lopez", "") },
		want: []landed{callOn(dict{"Who_Id": names("Maria Lopez"), "Call_Duration": "01:35"})}},
	{name: "Retell: nobody answered", via: "retell", bodies: retell(nil, dict{"disconnection_reason": "dial_no_answer", "duration_ms": 0, "transcript_object": []dict{}, "end_timestamp": nil}),
		want: []landed{lead(nil), {"Calls", dict{"Call_Type": "Missed", "Call_Duration": absent, "$se_module": "Leads"}}}},
}

// TestEveryCallLandsWhereItBelongsAndNothingElseIsMade sends each call through the real program, into an organisation
// whose records are compared before and after.
func TestEveryCallLandsWhereItBelongsAndNothingElseIsMade(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s := newSystem(t, ctx, program(t))
	if _, err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	tenants := map[string]Tenant{}
	for _, via := range []string{"native", "nextphone", "retell"} {
		tenant, err := s.AddTenantOf(ctx, "Landing "+via, via)
		if err != nil {
			t.Fatal(err)
		}
		tenants[via] = tenant
	}
	if err := s.Control(ctx, http.MethodPost, "/_sandbox/settings", dict{"search_index_lag_ms": 0}, nil); err != nil {
		t.Fatal(err)
	}
	for n, l := range landings {
		t.Run(l.name, func(t *testing.T) {
			c := &crm{t: t, s: s, ctx: ctx, org: tenants[l.via]}
			phone, id := "+1415200"+strconv.Itoa(1000+n), "landing-"+strconv.Itoa(n)
			if l.seed != nil {
				l.seed(c, phone)
			}
			before := c.all()
			for i, body := range l.bodies(phone, id) {
				post(t, ctx, c.org, l.via, id+"-"+strconv.Itoa(i), body)
			}
			if err := s.Settle(ctx); err != nil {
				t.Fatal(err)
			}
			if status := c.statusOf(id); status != cmpOr(l.status, "delivered") {
				t.Errorf("the call is %s", status)
			}
			var fresh []landed
			for id, r := range c.all() {
				if _, known := before[id]; !known {
					fresh = append(fresh, r)
				}
			}
			for _, want := range l.want {
				match := slices.IndexFunc(fresh, func(r landed) bool { return r.module == want.module })
				if match < 0 {
					t.Errorf("no %s was made", want.module)
					continue
				}
				for field, value := range want.fields {
					got := fresh[match].fields[field]
					switch v := value.(type) {
					case func(any) bool:
						if !v(got) {
							t.Errorf("%s.%s is %.200v", want.module, field, got)
						}
					default:
						if got != value {
							t.Errorf("%s.%s is %.200v, want %v", want.module, field, got, value)
						}
					}
				}
				if want.module == "Leads" && fresh[match].fields["Phone"] != phone {
					t.Errorf("Leads.Phone is %v, want %s", fresh[match].fields["Phone"], phone)
				}
				fresh = slices.Delete(fresh, match, match+1)
			}
			for _, r := range fresh {
				t.Errorf("made beside: %s %v", r.module, r.fields)
			}
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// statusOf is the call's status by the database; the provider's id may be wrapped by the source.
func (c *crm) statusOf(id string) (status string) {
	conn, err := c.s.Database(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(c.ctx) }()
	if err := conn.QueryRow(c.ctx, `SELECT status FROM calls WHERE provider_call_id = $1 AND tenant_id::text = $2`, id, c.org.ID).Scan(&status); err != nil {
		c.t.Fatalf("call %s: %v", id, err)
	}
	return status
}

// post sends one webhook in a provider's dialect.
func post(t *testing.T, ctx context.Context, to Tenant, via, event string, body dict) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	switch via {
	case "native":
		req.Header = Sign(to.Secret, "event-"+event, now, text)
	case "nextphone":
		req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + to.Secret}}
	case "retell":
		stamp := strconv.FormatInt(now.UnixMilli(), 10)
		mac := hmac.New(sha256.New, []byte(to.Secret))
		mac.Write(text)
		mac.Write([]byte(stamp))
		req.Header = http.Header{"Content-Type": {"application/json"}, "X-Retell-Signature": {"v=" + stamp + ",d=" + hex.EncodeToString(mac.Sum(nil))}}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		t.Fatalf("answered %s: %s", resp.Status, answer)
	}
}
