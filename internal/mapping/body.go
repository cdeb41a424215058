package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"hookline/internal/zoho"
)

// Limits of a webhook body that is imported.
const (
	maxBody      = 64 << 10 // bytes
	maxBodyDepth = 6        // of objects and lists
	maxSaid      = 100      // notes, and problems, that are told
)

// Import is what a pasted webhook body means as rows of a mapping.
type Import struct {
	Module   string // the module that the body is for, as far as it tells; empty when it does not
	Rows     []Row
	Notes    []string  // what was left out or written otherwise, and why
	Problems []Problem // what cannot be taken over, or has to be mended before it works
}

// ImportBody reads the body of a webhook to Zoho as other tools have it: JSON with {{ variables }}, with or without
// "data" around the record and the address above it. It never fails: what cannot be read is a Problem.
func ImportBody(text string) Import {
	in := importer{}
	if len(text) > maxBody {
		in.refuse("", "The text is longer than %s characters.", thousands(maxBody))
		return in.Import
	}
	if !utf8.ValidString(text) {
		in.refuse("", "This is not text that can be read.")
		return in.Import
	}
	start := strings.IndexAny(text, "{[")
	if start < 0 {
		in.refuse("", "There is no JSON in this text. Paste the body with its braces { }.")
		return in.Import
	}
	in.Module = addressed(text[:start])
	doc, err := decode(quoteBare(text[start:]))
	if err != nil {
		in.refuse("", "The text is not JSON that can be read: %s.", err)
		return in.Import
	}
	record, ok := in.record(doc)
	if !ok {
		in.refuse("", "There is no record in this JSON. Paste an object such as {\"Last_Name\": \"{{ last_name }}\"}.")
		return in.Import
	}
	if in.Module == "" {
		in.Module = guessed(record)
	}
	for _, m := range record {
		if len(in.Rows) == maxRows {
			in.refuse("", "The record has more than %d fields; the others were left out.", maxRows)
			break
		}
		in.field(m)
	}
	return in.Import
}

// ExportBody writes a module's rows as the body of a webhook to Zoho, which ImportBody reads again. What a row says
// beside field and value is not part of such a body.
func ExportBody(set Set, module string) string {
	var b strings.Builder
	b.WriteString("{\n  \"data\": [{")
	for i, row := range set.Modules[module] {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n    %s: %s", inJSON(row.Field), inJSON(row.Value))
	}
	b.WriteString("\n  }]\n}\n")
	return b.String()
}

var apiAddress = regexp.MustCompile(`/crm/v[0-9.]+/([A-Za-z]+)`)

// addressed is the module that the address above a body names.
func addressed(text string) string {
	if m := apiAddress.FindStringSubmatch(text); m != nil && slices.Contains(Modules, m[1]) {
		return m[1]
	}
	return ""
}

// guessed is the module with the most of the record's fields.
func guessed(record []member) string {
	best, most := "", 0
	for _, module := range Modules {
		n := 0
		for _, m := range record {
			if linked[module][m.name] || slices.ContainsFunc(standardFields[module], func(f zoho.Field) bool { return f.APIName == m.name }) {
				n++
			}
		}
		if n > most {
			best, most = module, n
		}
	}
	return best
}

// quoteBare puts placeholders that stand outside of quotes into quotes: other tools take them so for numbers.
func quoteBare(text string) string {
	var b strings.Builder
	within := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case within && c == '\\' && i+1 < len(text):
			b.WriteString(text[i : i+2])
			i++
			continue
		case c == '"':
			within = !within
		case !within && strings.HasPrefix(text[i:], "{{"):
			if end := strings.Index(text[i:], "}}"); end > 0 {
				b.WriteString(inJSON(text[i : i+end+2]))
				i += end + 1
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// member is one entry of an object; the order of a body is kept.
type member struct {
	name  string
	value any // string, json.Number, bool, nil, []any or []member
}

var errTooDeep = errors.New("it is nested too deeply")

func decode(text string) (any, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	v, err := decodeValue(dec, 0)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("it ends too early")
	case errors.Is(err, errTooDeep) || err == nil:
		return v, err
	}
	return nil, fmt.Errorf("near character %d something is wrong, such as a missing comma or quote", dec.InputOffset())
}

func decodeValue(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	opens, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth == maxBodyDepth {
		return nil, errTooDeep
	}
	var list []any
	object := []member{}
	for dec.More() {
		name := ""
		if opens == '{' {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name, _ = key.(string)
		}
		v, err := decodeValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		list, object = append(list, v), append(object, member{name, v})
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if opens == '{' {
		return object, nil
	}
	return list, nil
}

type importer struct {
	Import
	seen map[string]bool
}

func (in *importer) refuse(field, format string, args ...any) {
	if len(in.Problems) == maxSaid {
		return
	}
	in.Problems = append(in.Problems, Problem{Module: in.Module, Field: field, Sentence: fmt.Sprintf(format, args...), Blocking: true})
}

func (in *importer) say(format string, args ...any) {
	if len(in.Notes) == maxSaid {
		return
	}
	in.Notes = append(in.Notes, fmt.Sprintf(format, args...))
}

// record finds the record in a body: under "data", in a list, or the body itself.
func (in *importer) record(doc any) ([]member, bool) {
	if object, ok := doc.([]member); ok {
		i := slices.IndexFunc(object, func(m member) bool { return m.name == "data" })
		if i < 0 {
			return object, true
		}
		for j, m := range object {
			if j != i {
				in.say("“%s” beside the record is not part of it and was left out.", cut(m.name, 60))
			}
		}
		doc = object[i].value
	}
	if list, ok := doc.([]any); ok {
		if len(list) == 0 {
			return nil, false
		}
		if len(list) > 1 {
			in.say("The body has %d records; the first one was taken.", len(list))
		}
		doc = list[0]
	}
	object, ok := doc.([]member)
	return object, ok
}

var fieldName = regexp.MustCompile(`^\$?[A-Za-z][A-Za-z0-9_]{0,99}$`)

// field takes over one field of the record.
func (in *importer) field(m member) {
	name := cut(m.name, 60)
	if in.seen == nil {
		in.seen = map[string]bool{}
	}
	if in.seen[m.name] {
		in.refuse(name, "%s is there twice; the first one was taken.", name)
		return
	}
	in.seen[m.name] = true
	for _, l := range append(Linked(in.Module), [2]string{"$se_module", "the kind of record it is about"}, [2]string{tagField, "what the rule says"}) {
		if l[0] == m.name {
			in.say("%s was left out: Hookline sets it itself, to %s.", m.name, l[1])
			return
		}
	}
	switch {
	case !fieldName.MatchString(m.name):
		in.refuse(name, "“%s” is no name of a field in Zoho. Use its API name, such as Last_Name.", name)
		return
	case reserved[m.name] && m.name != "Owner" || strings.HasPrefix(m.name, "$"):
		in.refuse(name, "%s is set by Zoho and cannot be mapped. It was left out.", name)
		return
	}
	value, ok := in.value(m)
	if !ok {
		return
	}
	row := Row{Field: m.name, Value: in.template(m.name, value)}
	for _, standard := range DefaultSet().Modules[in.Module] {
		if standard.Field == m.name {
			row.AddToList = standard.AddToList
		}
	}
	in.Rows = append(in.Rows, row)
}

// value is the text of a field: of a list of texts, joined.
func (in *importer) value(m member) (string, bool) {
	switch v := m.value.(type) {
	case nil:
		in.say("%s was left out: it has no value.", m.name)
		return "", false
	case []member:
		if len(v) == 1 && v[0].name == "id" { // a lookup, which a row names by the id alone
			if text, ok := plainText(v[0].value); ok {
				return text, true
			}
		}
		in.refuse(m.name, "%s holds an object, which a row cannot. It was left out.", m.name)
		return "", false
	case []any:
		var parts []string
		for _, item := range v {
			text, ok := plainText(item)
			if !ok {
				in.refuse(m.name, "%s holds a list of objects, which a row cannot. It was left out.", m.name)
				return "", false
			}
			parts = append(parts, text)
		}
		return strings.Join(parts, ", "), true
	}
	return plainText(m.value)
}

func plainText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// aliases are names that other tools give to what a variable of ours holds.
var aliases = map[string]string{
	"phone": "caller_number", "phone_number": "caller_number", "from_number": "caller_number", "caller_phone": "caller_number", "from": "caller_number", "customer_number": "caller_number",
	"to": "dialled_number", "to_number": "dialled_number", "called_number": "dialled_number", "summary": "call_summary", "transcript": "full_transcript", "call_transcript": "full_transcript",
	"recording": "recording_url", "recording_link": "recording_url", "duration": "call_duration_seconds", "duration_seconds": "call_duration_seconds",
	"start_time": "call_timestamp", "started_at": "call_timestamp", "timestamp": "call_timestamp", "call_start_time": "call_timestamp", "call_time": "call_timestamp",
	"contact_id": "zoho_contact_id", "lead_id": "zoho_lead_id", "name": "caller_name", "full_name": "caller_name", "customer_name": "caller_name", "company": "company_name",
	"caller_email": "email", "email_address": "email", "budget": "estimated_deal_value", "deal_value": "estimated_deal_value", "close_date": "estimated_close_date",
	"interest": "product_interest", "product": "product_interest", "call_direction": "direction", "agent_name": "agent", "call_reason": "intent",
}

// template takes over a value: variables of other tools by the names that they have here.
func (in *importer) template(field, source string) string {
	pieces, err := Pieces(source)
	if err != nil {
		in.refuse(field, "The value of %s cannot be read. %s", field, err)
		return source
	}
	renamed := false
	rename := func(o *Operand) {
		if o == nil || o.Kind != AVariable || KnownVariable(o.Value) {
			return
		}
		if ours, ok := aliases[strings.ToLower(o.Value)]; ok {
			in.say("%s: {{ %s }} is {{ %s }} here.", field, cut(o.Value, 60), ours)
			o.Value, renamed = ours, true
			return
		}
		if len(in.Problems) < maxSaid {
			in.refuse(field, "%s: there is no variable named “%s”.%s If it is an answer of the caller, write answers.%s.", field, cut(o.Value, 60), nearest(o.Value), cut(o.Value, 60))
		}
	}
	for i := range pieces {
		rename(pieces[i].Value)
		for _, h := range pieces[i].Helpers {
			for j := range h.Args {
				rename(&h.Args[j])
			}
		}
	}
	if len(pieces) == 1 && in.Module == "Calls" && field == "Call_Duration" && pieces[0].Value != nil && pieces[0].Value.Value == "call_duration_seconds" && len(pieces[0].Helpers) == 0 {
		in.say("Call_Duration: Zoho takes minutes and seconds, so {{ call_duration }} was put for the seconds.")
		pieces[0].Value.Value, renamed = "call_duration", true
	}
	if !renamed {
		return source
	}
	return Source(pieces)
}
