package zoho

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Class says what an Error allows its caller to do.
type Class string

const (
	Transient   Class = "transient"    // nothing was written: try again later
	Unknown     Class = "unknown"      // a write may or may not have landed: look before sending again
	Limited     Class = "limited"      // Zoho asks to slow down, nothing was written: wait RetryAfter
	Token       Class = "token"        // the token is not accepted: expired, revoked or of another centre
	Scope       Class = "scope"        // the consent lacks a right: only a new consent helps
	Permission  Class = "permission"   // the connected Zoho user lacks a right in the CRM
	Refused     Class = "refused"      // Zoho will not take this record as it is: Field says where
	Duplicate   Class = "duplicate"    // the record exists: DuplicateID names it
	RecordState Class = "record_state" // the record's state forbids it: blueprint, lock, approval, converted, changed meanwhile
	Gone        Class = "gone"         // no record with that id
	Unsupported Class = "unsupported"  // this organisation has no such module, feature or space left
	OurBug      Class = "our_bug"      // a request that no retry and no customer can mend
	Operator    Class = "operator"     // Hookline's own Zoho client is set up wrongly
)

// Error is Zoho's no, in whichever of its shapes it came.
type Error struct {
	Class       Class
	Status      int            // HTTP status; 0 when no answer came
	Code        string         // Zoho's code, such as MANDATORY_NOT_FOUND; empty when the answer held none
	Message     string         // Zoho's words, or ours when Zoho gave none; wording varies, never branch on it
	Field       string         // api_name of the field at fault
	JSONPath    string         // such as $.data[0].Last_Name
	Details     map[string]any // as received, numbers as json.Number
	RetryAfter  time.Duration  // not before; 0 when Zoho did not say
	DuplicateID string         // of the record that exists, for Duplicate
	cause       error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("zoho: ")
	b.WriteString(string(e.Class))
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d", e.Status)
	}
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Field != "" {
		b.WriteString(" on " + e.Field)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.cause }

// Permissions are the rights that Zoho says are missing, such as Crm_Implied_View_Leads.
func (e *Error) Permissions() []string {
	list, _ := e.Details["permissions"].([]any)
	var names []string
	for _, v := range list {
		if s := text(v); s != "" {
			names = append(names, s)
		}
	}
	return names
}

// classes of Zoho's codes, whatever the HTTP status (Zoho's API, "Status codes" and the error lists of each
// operation). INTERNAL_ERROR and the like are missing on purpose: they depend on whether something was being
// written. A code that is not here counts as Refused below 500.
var classes = map[string]Class{
	"INVALID_TOKEN":          Token,
	"INVALID_OAUTHTOKEN":     Token,
	"AUTHENTICATION_FAILURE": Token,
	"OAUTH_SCOPE_MISMATCH":   Scope,
	"NO_PERMISSION":          Permission,
	"AUTHORIZATION_FAILED":   Permission,
	"PERMISSION_DENIED":      Permission,

	"INVALID_DATA":             Refused,
	"MANDATORY_NOT_FOUND":      Refused,
	"DEPENDENT_FIELD_MISSING":  Refused,
	"DEPENDENT_MISMATCH":       Refused,
	"MAPPING_MISMATCH":         Refused,
	"EXPECTED_FIELD_MISSING":   Refused,
	"LIMIT_EXCEEDED":           Refused,
	"PATTERN_NOT_MATCHED":      Refused,
	"MULTIPLE_OR_MULTI_ERRORS": Refused,
	"BODY_SIZE_REACHED":        Refused,

	"DUPLICATE_DATA": Duplicate,

	"RECORD_IN_BLUEPRINT":   RecordState,
	"RECORD_NOT_IN_PROCESS": RecordState,
	"RECORD_LOCKED":         RecordState,
	"NOT_APPROVED":          RecordState,
	"NOT_REVIEWED":          RecordState,
	"CONVERTED_RECORD":      RecordState,
	"ID_ALREADY_CONVERTED":  RecordState,
	"CANNOT_PERFORM_ACTION": RecordState,
	"NOT_ALLOWED":           RecordState,
	"ALREADY_MODIFIED":      RecordState,

	"FEATURE_NOT_SUPPORTED":  Unsupported,
	"NOT_SUPPORTED":          Unsupported,
	"INVALID_MODULE":         Unsupported,
	"STORAGE_SPACE_EXCEEDED": Unsupported,

	"INVALID_REQUEST_METHOD":             OurBug,
	"INVALID_URL_PATTERN":                OurBug,
	"INVALID_REQUEST":                    OurBug,
	"REQUIRED_PARAM_MISSING":             OurBug,
	"EXPECTED_PARAM_MISSING":             OurBug,
	"SYNTAX_ERROR":                       OurBug,
	"INVALID_QUERY":                      OurBug,
	"CRITERIA_LIMIT_EXCEEDED":            OurBug,
	"LIMIT_REACHED":                      OurBug,
	"DISCRETE_PAGINATION_LIMIT_EXCEEDED": OurBug,
	"PAGINATION_LIMIT_EXCEEDED":          OurBug,
	"EXPIRED_VALUE":                      OurBug,
	"TOKEN_BOUND_DATA_MISMATCH":          OurBug,

	"DEPENDENT_SERVICE_ERROR": Transient,

	"TOO_MANY_REQUESTS":   Limited,
	"RATE_LIMIT_EXCEEDED": Limited,
	"429":                 Limited,
}

// answer is what came back for one request, before it is known to be good.
type answer struct {
	status int
	header http.Header
	body   []byte
	write  bool // the request could change something in Zoho
}

// lost is the class of an answer that does not say what happened.
func (a answer) lost() Class {
	if a.write {
		return Unknown
	}
	return Transient
}

// decodeError reads the no in an answer: a flat object, or the first failed element of data[]. It gives nil for
// an answer that holds no error; whether such an answer is a usable yes is for the caller to say.
func decodeError(a answer, now time.Time) *Error {
	whole := !a.good()
	doc, err := decodeObject(a.body)
	if err != nil && whole {
		doc, err = decodeList(a.body)
	}
	switch {
	case err == nil:
	case whole:
		return byStatus(a, now)
	case a.status == http.StatusNoContent:
		return nil // nothing found; any other yes without a body has lost it on the way
	default:
		return &Error{Class: a.lost(), Status: a.status, Message: "the answer could not be read", cause: err}
	}
	e := elementError(doc, a)
	if e == nil && (whole || !a.write) { // what a write with a 2xx did is told record by record
		e = failedElement(doc, a)
	}
	switch {
	case e != nil:
		return finish(e, a, now)
	case whole:
		return byStatus(a, now)
	}
	return nil
}

// good reports a status that promises a result.
func (a answer) good() bool { return a.status >= 200 && a.status <= 299 }

// elementError reads one error object; nil when the object reports no error.
func elementError(o map[string]any, a answer) *Error {
	code, status := text(o["code"]), text(o["status"])
	if named := text(o["error"]); named != "" && (code == "" || isDigits(code)) {
		code = named // the older bodies of 429 and of Zoho Accounts
	}
	if code == "" || code == "SUCCESS" || strings.EqualFold(status, "success") || code == "SCHEDULED" {
		return nil
	}
	e := &Error{Status: a.status, Code: code, Message: text(o["message"])}
	if e.Message == "" {
		e.Message = text(o["error_info"])
	}
	e.Details, _ = o["details"].(map[string]any)
	if code == "MULTIPLE_OR_MULTI_ERRORS" {
		if part := decisive(e.Details["errors"], o["errors"], a); part != nil {
			return part
		}
	}
	e.Field = text(e.Details["api_name"])
	e.JSONPath = text(e.Details["json_path"])
	if inside := insideField.FindStringSubmatch(e.JSONPath); inside != nil {
		e.Field = inside[1] // the id within a lookup is called "id" as well
	}
	if e.Field == "" {
		e.Field = firstNested(e.Details, "expected_fields", "api_name")
	}
	e.Class = classOf(e, a, strings.EqualFold(status, "error"))
	if e.Class == Duplicate {
		e.DuplicateID = text(e.Details["id"])
		if r, ok := e.Details["duplicate_record"].(map[string]any); ok && e.DuplicateID == "" {
			e.DuplicateID = text(r["id"])
		}
	}
	return e
}

// insideField is the path of a key inside a record's field, such as $.data[0].Who_Id.id.
var insideField = regexp.MustCompile(`^\$\.data\[[0-9]+\]\.([A-Za-z$][A-Za-z0-9_$]*)\.`)

// decisive is, of several errors of one record, the one to act upon: that the record exists, else the first. The lists
// are the places where they may stand.
func decisive(inDetails, beside any, a answer) *Error {
	var first *Error
	for _, list := range []any{inDetails, beside} {
		for o := range objects(list) {
			e := elementError(o, a)
			switch {
			case e == nil:
			case e.Class == Duplicate:
				return e
			case first == nil:
				first = e
			}
		}
	}
	return first
}

func classOf(e *Error, a answer, said bool) Class {
	c, known := classes[e.Code]
	switch {
	case a.status == http.StatusTooManyRequests, c == Limited:
		return Limited
	case a.status >= 500, strings.HasPrefix(e.Code, "INTERNAL"), e.Code == "SERVICE_UNAVAILABLE":
		return a.lost()
	case known && c == Refused && e.Details["param_name"] != nil:
		return OurBug // of the address, not of a record
	case e.Code == "INVALID_DATA" && e.aboutTheID():
		return Gone
	case known:
		return c
	case a.status == http.StatusUnauthorized:
		return Token
	case a.status == http.StatusForbidden:
		return Permission
	case a.status == http.StatusNotFound, a.status == http.StatusMethodNotAllowed:
		return OurBug
	case a.good() && !said:
		return a.lost() // a promising status and a code that nobody knows
	}
	return Refused
}

// aboutTheID tells INVALID_DATA on the record's own id (in the path, or as the element's id) from a bad field.
func (e *Error) aboutTheID() bool {
	if e.Field == "id" {
		return true
	}
	return e.Field == "" && text(e.Details["resource_path_index"]) == "1" ||
		e.Field == "" && isDigits(text(e.Details["id"]))
}

// byStatus judges an answer whose body said nothing readable: HTML of a gateway, an empty or a cut body.
func byStatus(a answer, now time.Time) *Error {
	e := &Error{Status: a.status, Message: "an answer without a code"}
	switch {
	case a.status == http.StatusUnauthorized:
		e.Class = Token
	case a.status == http.StatusTooManyRequests:
		e.Class = Limited
	case a.status == http.StatusRequestEntityTooLarge:
		e.Class, e.Code = Refused, "BODY_SIZE_REACHED" // whoever answers so has not passed the body on
	default:
		e.Class = a.lost()
	}
	return finish(e, a, now)
}

// maxWait caps what a Retry-After may ask for: Zoho documents none, so an absurd one is a gateway's.
const maxWait = time.Hour

func finish(e *Error, a answer, now time.Time) *Error {
	value := a.header.Get("Retry-After")
	if value == "" || e.Class != Limited && e.Class != Transient && e.Class != Unknown {
		return e
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 {
		e.RetryAfter = maxWait
		if seconds < maxWait.Seconds() {
			e.RetryAfter = time.Duration(seconds * float64(time.Second))
		}
	} else if at, err := http.ParseTime(value); err == nil && at.After(now) {
		e.RetryAfter = min(at.Sub(now), maxWait)
	}
	return e
}

// decodeObject reads exactly one JSON object, numbers kept as written.
func decodeObject(body []byte) (map[string]any, error) {
	var doc map[string]any
	if err := decode(body, &doc); err != nil {
		return nil, err
	}
	if doc == nil {
		return nil, fmt.Errorf("reading JSON: null where an object was due")
	}
	return doc, nil
}

// decodeList reads a bare array as if it stood under data.
func decodeList(body []byte) (map[string]any, error) {
	var list []any
	if err := decode(body, &list); err != nil {
		return nil, err
	}
	return map[string]any{"data": list}, nil
}

func decode(body []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("reading JSON: more than one document")
	}
	return nil
}

// failedElement is the error of the first failed object of data[], or of the array that an operation names otherwise.
// A record is no error, whatever its fields are called: only an error has no id and says that it is one.
func failedElement(doc map[string]any, a answer) *Error {
	for _, key := range append([]string{"data"}, slices.Sorted(maps.Keys(doc))...) {
		for o := range objects(doc[key]) {
			if a.good() && (o["id"] != nil || !strings.EqualFold(text(o["status"]), "error")) {
				continue
			}
			if e := elementError(o, a); e != nil {
				return e
			}
		}
	}
	return nil
}

// objects are the objects of a list.
func objects(v any) iter.Seq[map[string]any] {
	list, _ := v.([]any)
	return func(yield func(map[string]any) bool) {
		for _, item := range list {
			if o, ok := item.(map[string]any); ok && !yield(o) {
				return
			}
		}
	}
}

func firstNested(o map[string]any, list, key string) string {
	for first := range objects(o[list]) {
		return text(first[key])
	}
	return ""
}

// text reads a value that should be text and now and then is a number.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func isDigits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}
