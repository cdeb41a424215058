package zoho

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// lost stands for Unknown where something was being written, and Transient where Zoho was only asked.
const lost Class = "lost"

// refusals are the rows of what Zoho says no with (Zoho's API, "Status codes" and the errors of each operation), as the flat
// object. The test reads each in every shape in which it may come, while reading and while writing.
var refusals = []struct {
	name   string
	status int
	body   string
	want   Class
	code   string
	field  string
}{
	{"an expired token", 401, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`, Token, "INVALID_TOKEN", ""},
	{"a token by its older name", 401, `{"code":"INVALID_OAUTHTOKEN","details":{},"message":"x","status":"error"}`, Token, "INVALID_OAUTHTOKEN", ""},
	{"no token", 401, `{"code":"AUTHENTICATION_FAILURE","details":{},"message":"Authentication failed","status":"error"}`, Token, "AUTHENTICATION_FAILURE", ""},
	{"a 401 that nobody has seen", 401, `{"code":"SOMETHING","status":"error"}`, Token, "SOMETHING", ""},
	{"a missing scope", 401, `{"code":"OAUTH_SCOPE_MISMATCH","details":{},"message":"Unauthorized","status":"error"}`, Scope, "OAUTH_SCOPE_MISMATCH", ""},
	{"a missing right", 403, `{"code":"NO_PERMISSION","details":{"permissions":["Crm_Implied_View_Leads"]},"message":"permission denied","status":"error"}`, Permission, "NO_PERMISSION", ""},
	{"a missing right told with 400", 400, `{"code":"AUTHORIZATION_FAILED","details":{},"message":"x","status":"error"}`, Permission, "AUTHORIZATION_FAILED", ""},
	{"a missing right told with 403", 403, `{"code":"AUTHORIZATION_FAILED","details":{},"message":"x","status":"error"}`, Permission, "AUTHORIZATION_FAILED", ""},
	{"a 403 that nobody has seen", 403, `{"code":"SOMETHING","status":"error"}`, Permission, "SOMETHING", ""},
	{"a field refused", 400, `{"code":"INVALID_DATA","details":{"expected_data_type":"double","api_name":"Amount","json_path":"$.data[0].Amount"},"message":"invalid data","status":"error"}`, Refused, "INVALID_DATA", "Amount"},
	{"a lookup refused", 400, `{"code":"INVALID_DATA","details":{"api_name":"id","json_path":"$.data[0].Who_Id.id"},"message":"the id given seems to be invalid","status":"error"}`, Refused, "INVALID_DATA", "Who_Id"},
	{"a required field", 400, `{"code":"MANDATORY_NOT_FOUND","details":{"api_name":"Last_Name","json_path":"$.data[0].Last_Name"},"message":"required field not found","status":"error"}`, Refused, "MANDATORY_NOT_FOUND", "Last_Name"},
	{"a dependent field", 400, `{"code":"DEPENDENT_FIELD_MISSING","details":{"api_name":"Stage"},"status":"error"}`, Refused, "DEPENDENT_FIELD_MISSING", "Stage"},
	{"a dependent mismatch", 400, `{"code":"DEPENDENT_MISMATCH","details":{"api_name":"Stage"},"status":"error"}`, Refused, "DEPENDENT_MISMATCH", "Stage"},
	{"a stage outside the pipeline", 400, `{"code":"MAPPING_MISMATCH","details":{"mapped_field":"Pipeline","api_name":"Stage"},"status":"error"}`, Refused, "MAPPING_MISMATCH", "Stage"},
	{"expected fields", 400, `{"code":"EXPECTED_FIELD_MISSING","details":{"expected_fields":[{"api_name":"Note_Content"}]},"status":"error"}`, Refused, "EXPECTED_FIELD_MISSING", "Note_Content"},
	{"too many", 400, `{"code":"LIMIT_EXCEEDED","details":{"maximum_length":100,"api_name":"data"},"status":"error"}`, Refused, "LIMIT_EXCEEDED", "data"},
	{"a pattern", 400, `{"code":"PATTERN_NOT_MATCHED","details":{"api_name":"Website"},"status":"error"}`, Refused, "PATTERN_NOT_MATCHED", "Website"},
	{"several errors in one record", 400, `{"code":"MULTIPLE_OR_MULTI_ERRORS","details":{"errors":[{"code":"INVALID_DATA","details":{"api_name":"Phone"},"message":"invalid data"},{"code":"MANDATORY_NOT_FOUND","details":{"api_name":"Email"}}]},"status":"error"}`, Refused, "INVALID_DATA", "Phone"},
	{"several errors, told beside the details", 400, `{"code":"MULTIPLE_OR_MULTI_ERRORS","errors":[{"code":"INVALID_DATA","details":{"api_name":"Phone"}}],"status":"error"}`, Refused, "INVALID_DATA", "Phone"},
	{"several errors, one of them that the record exists", 400, `{"code":"MULTIPLE_OR_MULTI_ERRORS","details":{"errors":[{"code":"INVALID_DATA","details":{"api_name":"Phone"}},{"code":"DUPLICATE_DATA","details":{"api_name":"Hookline_Ref","id":"5725767000000524157"}}]},"status":"error"}`, Duplicate, "DUPLICATE_DATA", "Hookline_Ref"},
	{"several errors that are not told", 400, `{"code":"MULTIPLE_OR_MULTI_ERRORS","details":{},"status":"error"}`, Refused, "MULTIPLE_OR_MULTI_ERRORS", ""},
	{"a body too large", 413, `{"code":"BODY_SIZE_REACHED","details":{},"status":"error"}`, Refused, "BODY_SIZE_REACHED", ""},
	{"a code that nobody has seen", 400, `{"code":"BRAND_NEW","details":{"api_name":"X"},"status":"error"}`, Refused, "BRAND_NEW", "X"},
	{"a malformed id", 400, `{"code":"INVALID_DATA","details":{"resource_path_index":1},"message":"the id given seems to be invalid","status":"error"}`, Gone, "INVALID_DATA", ""},
	{"an id that is gone", 400, `{"code":"INVALID_DATA","details":{"id":"554023000000527002"},"message":"the id given seems to be invalid","status":"error"}`, Gone, "INVALID_DATA", ""},
	{"an id that is gone, by its name", 400, `{"code":"INVALID_DATA","details":{"api_name":"id","json_path":"$.data[0].id"},"status":"error"}`, Gone, "INVALID_DATA", "id"},
	{"a duplicate", 400, `{"code":"DUPLICATE_DATA","details":{"api_name":"Email","id":"5725767000000524157"},"message":"duplicate data","status":"error"}`, Duplicate, "DUPLICATE_DATA", "Email"},
	{"a duplicate that is not named", 400, `{"code":"DUPLICATE_DATA","details":{"api_name":"Email"},"message":"duplicate data","status":"error"}`, Duplicate, "DUPLICATE_DATA", "Email"},
	{"a record in a blueprint", 400, `{"code":"RECORD_IN_BLUEPRINT","details":{},"status":"error"}`, RecordState, "RECORD_IN_BLUEPRINT", ""},
	{"a record outside its blueprint", 400, `{"code":"RECORD_NOT_IN_PROCESS","details":{},"status":"error"}`, RecordState, "RECORD_NOT_IN_PROCESS", ""},
	{"a locked record", 400, `{"code":"RECORD_LOCKED","details":{},"status":"error"}`, RecordState, "RECORD_LOCKED", ""},
	{"not approved", 400, `{"code":"NOT_APPROVED","details":{},"status":"error"}`, RecordState, "NOT_APPROVED", ""},
	{"not reviewed", 400, `{"code":"NOT_REVIEWED","details":{},"status":"error"}`, RecordState, "NOT_REVIEWED", ""},
	{"a converted lead", 400, `{"code":"CONVERTED_RECORD","details":{},"status":"error"}`, RecordState, "CONVERTED_RECORD", ""},
	{"converted twice", 400, `{"code":"ID_ALREADY_CONVERTED","details":{"resource_path_index":1},"status":"error"}`, RecordState, "ID_ALREADY_CONVERTED", ""},
	{"not now", 400, `{"code":"CANNOT_PERFORM_ACTION","details":{},"status":"error"}`, RecordState, "CANNOT_PERFORM_ACTION", ""},
	{"not this", 400, `{"code":"NOT_ALLOWED","details":{},"status":"error"}`, RecordState, "NOT_ALLOWED", ""},
	{"changed meanwhile", 412, `{"code":"ALREADY_MODIFIED","details":{"id":"5725767000000524157","Modified_Time":"2026-01-20T10:00:00+00:00"},"status":"error"}`, RecordState, "ALREADY_MODIFIED", ""},
	{"a feature of another edition", 400, `{"code":"FEATURE_NOT_SUPPORTED","details":{},"status":"error"}`, Unsupported, "FEATURE_NOT_SUPPORTED", ""},
	{"not supported", 400, `{"code":"NOT_SUPPORTED","details":{},"status":"error"}`, Unsupported, "NOT_SUPPORTED", ""},
	{"a module that is hidden", 400, `{"code":"INVALID_MODULE","details":{"resource_path_index":0},"message":"the module name given seems to be invalid","status":"error"}`, Unsupported, "INVALID_MODULE", ""},
	{"no space left", 400, `{"code":"STORAGE_SPACE_EXCEEDED","details":{},"status":"error"}`, Unsupported, "STORAGE_SPACE_EXCEEDED", ""},
	{"a wrong verb", 400, `{"code":"INVALID_REQUEST_METHOD","details":{},"status":"error"}`, OurBug, "INVALID_REQUEST_METHOD", ""},
	{"a wrong path", 404, `{"code":"INVALID_URL_PATTERN","details":{},"status":"error"}`, OurBug, "INVALID_URL_PATTERN", ""},
	{"a missing parameter", 400, `{"code":"REQUIRED_PARAM_MISSING","details":{"param_name":"fields"},"status":"error"}`, OurBug, "REQUIRED_PARAM_MISSING", ""},
	{"too much in a parameter", 400, `{"code":"LIMIT_EXCEEDED","details":{"limit":50,"param_name":"fields"},"status":"error"}`, OurBug, "LIMIT_EXCEEDED", ""},
	{"a query without where", 400, `{"code":"SYNTAX_ERROR","details":{"clause":"where"},"message":"missing clause","status":"error"}`, OurBug, "SYNTAX_ERROR", ""},
	{"a query of a field that is not there", 400, `{"code":"INVALID_QUERY","details":{},"message":"column given seems to be invalid","status":"error"}`, OurBug, "INVALID_QUERY", ""},
	{"a service behind Zoho", 400, `{"code":"DEPENDENT_SERVICE_ERROR","details":{},"status":"error"}`, Transient, "DEPENDENT_SERVICE_ERROR", ""},
	{"429 with a text code", 429, `{"code":"TOO_MANY_REQUESTS","details":{},"message":"x","status":"error"}`, Limited, "TOO_MANY_REQUESTS", ""},
	{"429 with a number as code", 429, `{"code":429,"error":"TOO_MANY_REQUESTS","error_info":"Many requests fired","details":[]}`, Limited, "TOO_MANY_REQUESTS", ""},
	{"429 as the spec has it", 429, `{"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests. Please try again later.","status":"error"}`, Limited, "RATE_LIMIT_EXCEEDED", ""},
	{"429 with a code of another kind", 429, `{"code":"INVALID_DATA","details":{"api_name":"X"},"status":"error"}`, Limited, "INVALID_DATA", "X"},
	{"a limit told with 503", 503, `{"code":"TOO_MANY_REQUESTS","status":"error"}`, Limited, "TOO_MANY_REQUESTS", ""},
	{"Zoho's own fault", 500, `{"code":"INTERNAL_ERROR","details":{},"message":"Internal Server Error","status":"error"}`, lost, "INTERNAL_ERROR", ""},
	{"Zoho's own fault told with 400", 400, `{"code":"INTERNAL_SERVER_ERROR","details":{},"status":"error"}`, lost, "INTERNAL_SERVER_ERROR", ""},
	{"a fault with a number as code", 500, `{"code":500,"details":{},"status":"error"}`, lost, "500", ""},
	{"a service that is away", 503, `{"code":"SERVICE_UNAVAILABLE","status":"error"}`, lost, "SERVICE_UNAVAILABLE", ""},
	{"500 with a code of a refusal still tells nothing", 500, `{"code":"INVALID_DATA","details":{"api_name":"X"},"status":"error"}`, lost, "INVALID_DATA", "X"},
	{"500 with a word about the token still tells nothing", 500, `{"code":"INVALID_TOKEN","details":{},"status":"error"}`, lost, "INVALID_TOKEN", ""},
	{"a gateway's own JSON", 502, `{"timestamp":1,"status":502,"error":"Bad Gateway","path":"/"}`, lost, "Bad Gateway", ""},
}

func TestEveryRefusalOfZohoHasAClass(t *testing.T) {
	t.Parallel()
	shapes := map[string]string{
		"flat": "%s", "in data[]": `{"data":[%s]}`, "in data[] behind a success": `{"data":[{"code":"SUCCESS","details":{"id":"1"},"status":"success"},%s]}`,
		"in an array of another name": `{"fields":[%s]}`, "in a bare array": "[%s]", "behind a byte order mark": "\ufeff%s",
	}
	for _, tt := range refusals {
		for shape, format := range shapes {
			for _, write := range []bool{false, true} {
				want := tt.want
				if want == lost {
					want = map[bool]Class{false: Transient, true: Unknown}[write]
				}
				e := decodeError(answer{status: tt.status, header: http.Header{}, body: fmt.Appendf(nil, format, tt.body), write: write}, time.Now())
				switch {
				case e == nil:
					t.Errorf("%s, %s: taken for a yes", tt.name, shape)
				case e.Class != want || e.Code != tt.code || e.Field != tt.field || e.Status != tt.status:
					t.Errorf("%s, %s, write %t: got %s %q on %q, want %s %q on %q", tt.name, shape, write, e.Class, e.Code, e.Field, want, tt.code, tt.field)
				}
			}
		}
	}
}

// What follows says no without a code, or a code with a status that promises the opposite.
func TestAnAnswerThatIsNoAnswerHasAClass(t *testing.T) {
	t.Parallel()
	const html = `<html><body>Bad gateway</body></html>`
	tests := []struct {
		name   string
		status int
		body   string
		read   Class
		write  Class
	}{
		{"HTML with 401", 401, html, Token, Token},
		{"HTML with 403", 403, html, Transient, Unknown},
		{"HTML with 404", 404, html, Transient, Unknown},
		{"HTML with 413", 413, html, Refused, Refused},
		{"HTML with 429", 429, html, Limited, Limited},
		{"HTML with 502", 502, html, Transient, Unknown},
		{"HTML with 400", 400, html, Transient, Unknown},
		{"HTML with 200", 200, html, Transient, Unknown},
		{"nothing with 500", 500, ``, Transient, Unknown},
		{"nothing with 503", 503, ``, Transient, Unknown},
		{"nothing with 408", 408, ``, Transient, Unknown},
		{"nothing with 429", 429, ``, Limited, Limited},
		{"nothing with 200", 200, ``, Transient, Unknown},
		{"nothing with 202", 202, ``, Transient, Unknown},
		{"a redirect", 302, ``, Transient, Unknown},
		{"JSON cut short with 201", 201, `{"data":[{"code":"SUC`, Transient, Unknown},
		{"JSON cut short with 400", 400, `{"data":[{"code":"INVALID_DATA","det`, Transient, Unknown},
		{"two documents", 200, `{"data":[]}{"data":[]}`, Transient, Unknown},
		{"a document and a rest", 200, `{"data":[]}]`, Transient, Unknown},
		{"null", 200, `null`, Transient, Unknown},
		{"a list with 200", 200, `[]`, Transient, Unknown},
		{"an empty list with 400", 400, `[]`, Transient, Unknown},
		{"an empty object with 400", 400, `{}`, Transient, Unknown},
		{"only a success with 500", 500, `{"data":[{"code":"SUCCESS","details":{"id":"1"},"status":"success"}]}`, Transient, Unknown},
		{"a refusal with 200", 200, `{"code":"INVALID_DATA","details":{"api_name":"X"},"status":"error"}`, Refused, Refused},
		{"a word about the token with 200", 200, `{"code":"INVALID_TOKEN","status":"error"}`, Token, Token},
		{"a limit with 200", 200, `{"code":429,"error":"TOO_MANY_REQUESTS"}`, Limited, Limited},
		{"a fault of Zoho's with 200", 200, `{"code":"INTERNAL_ERROR","status":"error"}`, Transient, Unknown},
		{"an unknown code that says error with 200", 200, `{"code":"BRAND_NEW","status":"error"}`, Refused, Refused},
		{"an unknown code alone with 200", 200, `{"code":"BRAND_NEW"}`, Transient, Unknown},
	}
	for _, tt := range tests {
		for write, want := range map[bool]Class{false: tt.read, true: tt.write} {
			e := decodeError(answer{status: tt.status, header: http.Header{}, body: []byte(tt.body), write: write}, time.Now())
			if e == nil {
				t.Errorf("%s, write %t: taken for a yes", tt.name, write)
			} else if e.Class != want {
				t.Errorf("%s, write %t: got %s, want %s", tt.name, write, e.Class, want)
			}
		}
	}
}

// Older versions of the API answer 202 for what each record of a write came to, and a read may hold an error in place of a
// record.
func TestElementsAreReadUnderAnyPromisingStatus(t *testing.T) {
	t.Parallel()
	api := &API{client: NewClient(Options{Centres: Production()})}
	for _, status := range []int{200, 201, 202, 207, 400} {
		results, ok := readResults(answer{status: status, write: true, body: []byte(`{"data":[
			{"code":"DUPLICATE_DATA","details":{"api_name":"Hookline_Ref","id":"57"},"status":"error"},
			{"code":"SUCCESS","details":{"id":"58"},"status":"success"},
			{"code":"INTERNAL_ERROR","status":"error"}]}`)}, 3, api)
		if !ok || results[0].Err == nil || results[0].Err.DuplicateID != "57" || results[1].ID != "58" || results[2].Err == nil || results[2].Err.Class != Unknown {
			t.Errorf("%d: %t %+v", status, ok, results)
		}
	}
	const body = `{"data":[{"code":"NO_PERMISSION","details":{},"message":"x","status":"error"}]}`
	if e := decodeError(answer{status: 202, body: []byte(body)}, time.Now()); e == nil || e.Class != Permission {
		t.Errorf("an error in place of a record: %v", e)
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
		"a record":       {status: 200, body: []byte(`{"data":[{"id":"1","Code":"x","code":"INVALID_DATA","status":"error"}]}`)},
		"a count":        {status: 200, body: []byte(`{"data":[{"code":"NL","count(id)":3}]}`)},
		"an insert":      {status: 201, body: []byte(`{"data":[{"code":"SUCCESS","details":{"id":"1"},"status":"success"}]}`), write: true},
		"a mixed insert": {status: 207, body: []byte(`{"data":[{"code":"INVALID_DATA","status":"error"},{"code":"SUCCESS"}]}`), write: true},
	} {
		if e := decodeError(a, time.Now()); e != nil {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// FuzzError holds what must be true of any bytes: no panic, a class for every failure, and a write counts as safe to
// repeat only where Zoho says so in words that are known.
func FuzzError(f *testing.F) {
	f.Add(200, []byte(`{"data":[{"code":{"a":1},"details":"x","status":[]}]}`), true)
	f.Add(500, []byte(`<html>`), true)
	f.Add(200, []byte(`{"error":"invalid_code"}`), false)
	for _, r := range refusals {
		f.Add(r.status, []byte(r.body), true)
		f.Add(r.status, []byte(`{"data":[`+r.body+`]}`), false)
	}
	api := &API{client: NewClient(Options{Centres: Production()})}
	f.Fuzz(func(t *testing.T, status int, body []byte, write bool) {
		a := answer{status: status, header: http.Header{}, body: body, write: write}
		if doc, err := decodeObject(body); err == nil {
			if oauthError(a, doc).Class == "" {
				t.Fatal("no class")
			}
			readField(doc)
		}
		errs := []*Error{decodeError(a, time.Unix(0, 0))}
		if errs[0] == nil && !a.good() {
			t.Fatalf("status %d taken for a yes", status)
		}
		results, ok := readResults(a, 1, api)
		if ok {
			errs = append(errs, results[0].Err)
		}
		for _, e := range errs {
			if e == nil {
				continue
			}
			known := classes[e.Code] == e.Class
			switch {
			case e.Error() == "" || e.Class == "":
				t.Fatal("no class")
			case !write || e.Class == Unknown || known && (status < 500 || e.Class == Limited):
			case status >= 500, e.Class == Transient, e.Class == Limited && status != 429, e.Class == Token && status != 401:
				t.Fatalf("a write answered %d %q is %s", status, e.Code, e.Class)
			}
		}
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
