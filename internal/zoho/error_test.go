package zoho

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestEveryRefusalOfZohoHasAClass(t *testing.T) {
	t.Parallel()
	const (
		read  = false
		write = true
	)
	tests := []struct {
		name   string
		status int
		body   string
		write  bool
		want   Class
		code   string
		field  string
	}{
		{"an expired token", 401, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`, write, Token, "INVALID_TOKEN", ""},
		{"the token error of the docs", 401, `{"code":"INVALID_OAUTHTOKEN","status":"error"}`, read, Token, "INVALID_OAUTHTOKEN", ""},
		{"no header at all", 401, `{"code":"AUTHENTICATION_FAILURE","message":"Authentication failed","status":"error"}`, read, Token, "AUTHENTICATION_FAILURE", ""},
		{"a 401 without a body", 401, ``, write, Token, "", ""},
		{"a missing scope is not an old token", 401, `{"code":"OAUTH_SCOPE_MISMATCH","details":{},"message":"Unauthorized","status":"error"}`, write, Scope, "OAUTH_SCOPE_MISMATCH", ""},
		{"a missing right", 403, `{"code":"NO_PERMISSION","details":{"permissions":["Crm_Implied_View_Leads"]},"message":"permission denied","status":"error"}`, read, Permission, "NO_PERMISSION", ""},
		{"a missing right told with 400", 400, `{"code":"AUTHORIZATION_FAILED","details":{},"message":"x","status":"error"}`, read, Permission, "AUTHORIZATION_FAILED", ""},
		{"a missing right wrapped in data", 403, `{"data":[{"code":"AUTHORIZATION_FAILED","details":{},"message":"x","status":"error"}]}`, write, Permission, "AUTHORIZATION_FAILED", ""},
		{"a field refused", 400, `{"data":[{"code":"INVALID_DATA","details":{"expected_data_type":"double","api_name":"Amount","json_path":"$.data[0].Amount"},"message":"invalid data","status":"error"}]}`, write, Refused, "INVALID_DATA", "Amount"},
		{"a field refused, flat", 400, `{"code":"INVALID_DATA","details":{"api_name":"Email"},"message":"invalid data","status":"error"}`, write, Refused, "INVALID_DATA", "Email"},
		{"a required field", 400, `{"data":[{"code":"MANDATORY_NOT_FOUND","details":{"api_name":"Last_Name","json_path":"$.data[0].Last_Name"},"message":"required field not found","status":"error"}]}`, write, Refused, "MANDATORY_NOT_FOUND", "Last_Name"},
		{"a dependent field", 400, `{"data":[{"code":"DEPENDENT_FIELD_MISSING","details":{"api_name":"Stage"},"status":"error"}]}`, write, Refused, "DEPENDENT_FIELD_MISSING", "Stage"},
		{"a dependent mismatch", 400, `{"data":[{"code":"DEPENDENT_MISMATCH","details":{"api_name":"Stage"},"status":"error"}]}`, write, Refused, "DEPENDENT_MISMATCH", "Stage"},
		{"a stage outside the pipeline", 400, `{"data":[{"code":"MAPPING_MISMATCH","details":{"mapped_field":"Pipeline","api_name":"Stage"},"status":"error"}]}`, write, Refused, "MAPPING_MISMATCH", "Stage"},
		{"expected fields", 400, `{"data":[{"code":"EXPECTED_FIELD_MISSING","details":{"expected_fields":[{"api_name":"Note_Content"}]},"status":"error"}]}`, write, Refused, "EXPECTED_FIELD_MISSING", "Note_Content"},
		{"too many", 400, `{"code":"LIMIT_EXCEEDED","details":{"maximum_length":100,"api_name":"data"},"status":"error"}`, write, Refused, "LIMIT_EXCEEDED", "data"},
		{"a pattern", 400, `{"code":"PATTERN_NOT_MATCHED","details":{"api_name":"Website"},"status":"error"}`, write, Refused, "PATTERN_NOT_MATCHED", "Website"},
		{"several errors in one record", 400, `{"data":[{"code":"MULTIPLE_OR_MULTI_ERRORS","details":{"errors":[{"code":"INVALID_DATA","details":{"api_name":"Phone"},"message":"invalid data"}]},"status":"error"}]}`, write, Refused, "MULTIPLE_OR_MULTI_ERRORS", "Phone"},
		{"a code that nobody has seen", 400, `{"code":"BRAND_NEW","details":{"api_name":"X"},"status":"error"}`, write, Refused, "BRAND_NEW", "X"},
		{"a malformed id", 400, `{"code":"INVALID_DATA","details":{"resource_path_index":1},"message":"the id given seems to be invalid","status":"error"}`, read, Gone, "INVALID_DATA", ""},
		{"an id that is gone", 400, `{"data":[{"code":"INVALID_DATA","details":{"id":"554023000000527002"},"message":"the id given seems to be invalid","status":"error"}]}`, write, Gone, "INVALID_DATA", ""},
		{"a duplicate", 400, `{"data":[{"code":"DUPLICATE_DATA","details":{"api_name":"Email","id":"5725767000000524157"},"message":"duplicate data","status":"error"}]}`, write, Duplicate, "DUPLICATE_DATA", "Email"},
		{"a record in a blueprint", 400, `{"data":[{"code":"RECORD_IN_BLUEPRINT","details":{},"status":"error"}]}`, write, RecordState, "RECORD_IN_BLUEPRINT", ""},
		{"a locked record", 400, `{"data":[{"code":"RECORD_LOCKED","details":{},"status":"error"}]}`, write, RecordState, "RECORD_LOCKED", ""},
		{"not approved", 400, `{"data":[{"code":"NOT_APPROVED","details":{},"status":"error"}]}`, write, RecordState, "NOT_APPROVED", ""},
		{"not reviewed", 400, `{"data":[{"code":"NOT_REVIEWED","details":{},"status":"error"}]}`, write, RecordState, "NOT_REVIEWED", ""},
		{"a converted lead", 400, `{"data":[{"code":"CONVERTED_RECORD","details":{},"status":"error"}]}`, write, RecordState, "CONVERTED_RECORD", ""},
		{"converted twice", 400, `{"data":[{"code":"ID_ALREADY_CONVERTED","details":{"resource_path_index":1},"status":"error"}]}`, write, RecordState, "ID_ALREADY_CONVERTED", ""},
		{"changed meanwhile", 412, `{"data":[{"code":"ALREADY_MODIFIED","details":{},"status":"error"}]}`, write, RecordState, "ALREADY_MODIFIED", ""},
		{"a feature of another edition", 400, `{"code":"FEATURE_NOT_SUPPORTED","details":{},"status":"error"}`, read, Unsupported, "FEATURE_NOT_SUPPORTED", ""},
		{"not supported", 400, `{"code":"NOT_SUPPORTED","details":{},"status":"error"}`, read, Unsupported, "NOT_SUPPORTED", ""},
		{"a module that is hidden", 400, `{"code":"INVALID_MODULE","details":{"resource_path_index":0},"message":"the module name given seems to be invalid","status":"error"}`, read, Unsupported, "INVALID_MODULE", ""},
		{"no space left", 400, `{"code":"STORAGE_SPACE_EXCEEDED","details":{},"status":"error"}`, write, Unsupported, "STORAGE_SPACE_EXCEEDED", ""},
		{"a wrong verb", 400, `{"code":"INVALID_REQUEST_METHOD","details":{},"status":"error"}`, write, OurBug, "INVALID_REQUEST_METHOD", ""},
		{"a wrong path", 404, `{"code":"INVALID_URL_PATTERN","details":{},"status":"error"}`, read, OurBug, "INVALID_URL_PATTERN", ""},
		{"a query without where", 400, `{"code":"SYNTAX_ERROR","details":{"clause":"where"},"message":"missing clause","status":"error"}`, read, OurBug, "SYNTAX_ERROR", ""},
		{"a service behind Zoho", 400, `{"code":"DEPENDENT_SERVICE_ERROR","details":{},"status":"error"}`, write, Transient, "DEPENDENT_SERVICE_ERROR", ""},
		{"429 with a text code", 429, `{"code":"TOO_MANY_REQUESTS","details":{},"message":"x","status":"error"}`, write, Limited, "TOO_MANY_REQUESTS", ""},
		{"429 with a number as code", 429, `{"code":429,"error":"TOO_MANY_REQUESTS","error_info":"Many requests fired","details":[]}`, write, Limited, "TOO_MANY_REQUESTS", ""},
		{"429 as the spec has it", 429, `{"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests. Please try again later.","status":"error"}`, write, Limited, "RATE_LIMIT_EXCEEDED", ""},
		{"429 of a gateway", 429, `<html>slow down</html>`, write, Limited, "", ""},
		{"500 while reading", 500, `{"code":"INTERNAL_ERROR","details":{},"message":"Internal Server Error","status":"error"}`, read, Transient, "INTERNAL_ERROR", ""},
		{"500 while writing", 500, `{"code":"INTERNAL_ERROR","details":{},"message":"Internal Server Error","status":"error"}`, write, Unknown, "INTERNAL_ERROR", ""},
		{"500 with a code of a refusal still tells nothing", 500, `{"code":"INVALID_DATA","details":{"api_name":"X"},"status":"error"}`, write, Unknown, "INVALID_DATA", "X"},
		{"502 HTML while writing", 502, `<html><body>Bad gateway</body></html>`, write, Unknown, "", ""},
		{"503 while reading", 503, ``, read, Transient, "", ""},
		{"503 while writing", 503, `{"code":"SERVICE_UNAVAILABLE","status":"error"}`, write, Unknown, "SERVICE_UNAVAILABLE", ""},
		{"HTML with 200 while writing", 200, `<html>maintenance</html>`, write, Unknown, "", ""},
		{"HTML with 200 while reading", 200, `<html>maintenance</html>`, read, Transient, "", ""},
		{"an empty 200 while writing", 200, ``, write, Unknown, "", ""},
		{"JSON cut short while writing", 201, `{"data":[{"code":"SUC`, write, Unknown, "", ""},
		{"two documents", 200, `{"data":[]}{"data":[]}`, read, Transient, "", ""},
		{"null", 200, `null`, write, Unknown, "", ""},
		{"a list", 200, `[]`, read, Transient, "", ""},
		{"a redirect while writing", 302, ``, write, Unknown, "", ""},
		{"a flat error with 200", 200, `{"code":"INVALID_DATA","details":{"api_name":"X"},"status":"error"}`, write, Refused, "INVALID_DATA", "X"},
		{"an unreadable 400 while writing", 400, `<html>`, write, Unknown, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := decodeError(answer{status: tt.status, header: http.Header{}, body: []byte(tt.body), write: tt.write}, time.Now())
			if e == nil {
				t.Fatal("taken for a yes")
			}
			if e.Class != tt.want || e.Code != tt.code || e.Field != tt.field {
				t.Errorf("got %s %q on %q, want %s %q on %q", e.Class, e.Code, e.Field, tt.want, tt.code, tt.field)
			}
		})
	}
}

func TestARefusalKeepsWhatHelpsThePerson(t *testing.T) {
	t.Parallel()
	e := decodeError(answer{status: 403, header: http.Header{}, body: []byte(`{"code":"NO_PERMISSION","details":{"permissions":["Crm_Implied_View_Leads"]},"status":"error"}`)}, time.Now())
	if got := e.Permissions(); len(got) != 1 || got[0] != "Crm_Implied_View_Leads" {
		t.Errorf("permissions %v", got)
	}
	for name, body := range map[string]string{
		"as text":             `{"data":[{"code":"DUPLICATE_DATA","details":{"id":"5725767000000524157"},"status":"error"}]}`,
		"as a number":         `{"data":[{"code":"DUPLICATE_DATA","details":{"id":5725767000000524157},"status":"error"}]}`,
		"as duplicate_record": `{"data":[{"code":"DUPLICATE_DATA","details":{"duplicate_record":{"id":"5725767000000524157"}},"status":"error"}]}`,
	} {
		e := decodeError(answer{status: 400, header: http.Header{}, body: []byte(body), write: true}, time.Now())
		if e.DuplicateID != "5725767000000524157" {
			t.Errorf("id %s: got %q", name, e.DuplicateID)
		}
	}
}

func TestRetryAfterIsHeededWithinReason(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"30":                            30 * time.Second,
		"Mon, 02 Mar 2026 12:05:00 GMT": 5 * time.Minute,
		"99999999999":                   time.Hour,
		"Mon, 02 Mar 2099 12:05:00 GMT": time.Hour,
		"-5":                            0,
		"soon":                          0,
		"NaN":                           0,
		"":                              0,
	} {
		e := decodeError(answer{status: 429, header: http.Header{"Retry-After": {value}}}, now)
		if e.RetryAfter != want {
			t.Errorf("%q: waits %s, want %s", value, e.RetryAfter, want)
		}
	}
}

func TestNoErrorIsSeenWhereZohoSaidYes(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]answer{
		"nothing found":  {status: 204},
		"a record":       {status: 200, body: []byte(`{"data":[{"id":"1","Code":"x"}]}`)},
		"an insert":      {status: 201, body: []byte(`{"data":[{"code":"SUCCESS","details":{"id":"1"},"status":"success"}]}`), write: true},
		"a mixed insert": {status: 207, body: []byte(`{"data":[{"code":"INVALID_DATA","status":"error"},{"code":"SUCCESS"}]}`), write: true},
	} {
		if e := decodeError(a, time.Now()); e != nil {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// FuzzError holds what must be true of any bytes: no panic, a class for every failure, and a write whose answer
// is not understood never counts as safe to repeat.
func FuzzError(f *testing.F) {
	f.Add(400, []byte(`{"data":[{"code":"INVALID_DATA","details":{"api_name":"X"}}]}`), true)
	f.Add(429, []byte(`{"code":429,"error":"TOO_MANY_REQUESTS","details":[]}`), false)
	f.Add(200, []byte(`{"data":[{"code":{"a":1},"details":"x","status":[]}]}`), true)
	f.Add(500, []byte(`<html>`), true)
	f.Fuzz(func(t *testing.T, status int, body []byte, write bool) {
		a := answer{status: status, header: http.Header{}, body: body, write: write}
		e := decodeError(a, time.Unix(0, 0))
		if e == nil {
			if status < 200 || status > 299 {
				t.Fatalf("status %d taken for a yes", status)
			}
			return
		}
		if e.Class == "" {
			t.Fatal("no class")
		}
		if write && status >= 500 && e.Class != Unknown && e.Class != Limited && e.Class != Token {
			t.Fatalf("a write answered %d is %s", status, e.Class)
		}
		_ = e.Error()
		readResults(a, 1, &API{client: NewClient(Options{Centres: Production()})})
	})
}

func TestQueriesAreQuotedAndBracketed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 20, 10, 0, 0, 123, time.FixedZone("", -5*3600))
	tests := []struct {
		name string
		q    Query
		want string
	}{
		{"spellings over several fields", Query{Select: []string{"id", "Full_Name"}, From: "Contacts",
			Where: Or(In("Phone", "+15551234567", "5551234567"), In("Mobile", "+15551234567"), In("Home_Phone", "+15551234567")), Limit: 10},
			"select id, Full_Name from Contacts where ((Phone in ('+15551234567', '5551234567') or Mobile in ('+15551234567')) or Home_Phone in ('+15551234567')) limit 10"},
		{"a call by person and second", Query{Select: []string{"id"}, From: "Calls",
			Where: And(Equal("Who_Id", "57"), Equal("Call_Start_Time", at))},
			"select id from Calls where (Who_Id = '57' and Call_Start_Time = '2026-01-20T15:00:00+00:00') limit 200"},
		{"open deals through a lookup", Query{Select: []string{"id", "Contact_Name.id"}, From: "Deals",
			Where: And(Equal("Contact_Name.id", "57"), NotIn("Stage", "Closed Won", "Closed Lost")), Order: "Modified_Time"},
			"select id, Contact_Name.id from Deals where (Contact_Name.id = '57' and Stage not in ('Closed Won', 'Closed Lost')) order by Modified_Time desc limit 200"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.q.Build()
			if err != nil || got != tt.want {
				t.Errorf("got  %s\nwant %s\nerr %v", got, tt.want, err)
			}
		})
	}
}

func TestAQueryThatCannotBeWrittenSafelyIsRefused(t *testing.T) {
	t.Parallel()
	ok := Equal("id", "1")
	for name, q := range map[string]Query{
		"a quote in a text":       {Select: []string{"id"}, From: "Leads", Where: Equal("Last_Name", "x' or id != '")},
		"a backslash":             {Select: []string{"id"}, From: "Leads", Where: Equal("Last_Name", `x\`)},
		"a line break":            {Select: []string{"id"}, From: "Leads", Where: Equal("Last_Name", "a\nb")},
		"a module with a space":   {Select: []string{"id"}, From: "Leads where", Where: ok},
		"a field with a bracket":  {Select: []string{"count(id)"}, From: "Leads", Where: ok},
		"a condition's field":     {Select: []string{"id"}, From: "Leads", Where: Equal("id = '1' or id", "1")},
		"no condition":            {Select: []string{"id"}, From: "Leads"},
		"no fields":               {From: "Leads", Where: ok},
		"an error inside a join":  {Select: []string{"id"}, From: "Leads", Where: And(ok, Or(ok, Equal("x", "'")))},
		"a list without values":   {Select: []string{"id"}, From: "Leads", Where: In[string]("Phone")},
		"a limit beyond the page": {Select: []string{"id"}, From: "Leads", Where: ok, Limit: 201},
		"a kind that has no form": {Select: []string{"id"}, From: "Leads", Where: Equal("id", []int{1})},
	} {
		if built, err := q.Build(); err == nil {
			t.Errorf("%s: built %s", name, built)
		}
	}
}

// FuzzQuery holds that no text can leave its quotes: a built query has exactly the quotes that were put there.
func FuzzQuery(f *testing.F) {
	f.Add("Last_Name", "O'Brien")
	f.Add("Contact_Name.id", "x' or '1' = '1")
	f.Fuzz(func(t *testing.T, field, value string) {
		built, err := Query{Select: []string{"id"}, From: "Leads", Where: And(Equal(field, value), In("Phone", value))}.Build()
		if err != nil {
			return
		}
		if strings.Count(built, "'") != 4 || strings.ContainsAny(built, "\\\"\n\r\x00") {
			t.Fatalf("escaped: %s", built)
		}
		inside := strings.Split(built, "'")
		if inside[1] != value || inside[3] != value {
			t.Fatalf("changed: %s", built)
		}
	})
}
