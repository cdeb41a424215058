package specification

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Exchange is one request and its answer, as they went over the wire.
type Exchange struct {
	Method, Path, Query string
	RequestHeader       http.Header
	RequestBody         []byte
	Status              int
	Header              http.Header
	Body                []byte
}

// described is an operation as a document describes it.
type described struct {
	files *Files
	file  string
	doc   *openapi3.T
	path  string
	item  *openapi3.PathItem
	op    *openapi3.Operation
}

func (f *Files) find(file, method, template string) (described, error) {
	doc, err := f.document(file)
	if err != nil {
		return described{}, err
	}
	item := doc.Paths.Value(template)
	if item == nil || item.GetOperation(method) == nil {
		return described{}, fmt.Errorf("%s has no %s %s", file, method, template)
	}
	return described{f, file, doc, template, item, item.GetOperation(method)}, nil
}

// answer lists what in an exchange's answer does not fit.
func (d described) answer(x Exchange) []string {
	response := d.op.Responses.Status(x.Status)
	if response == nil {
		return []string{"the status is not described"}
	}
	if response.Value == nil || len(response.Value.Content) == 0 {
		if len(x.Body) > 0 {
			return []string{"a body where none is described"}
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(x.Header.Get("Content-Type"))
	if err != nil || response.Value.Content[media] == nil {
		return []string{fmt.Sprintf("content type %q is not described", x.Header.Get("Content-Type"))}
	}
	if media != "application/json" {
		return nil // a file, of which nothing more is said
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(x.Body))
	if err != nil {
		return []string{"not JSON: " + err.Error()}
	}
	at := "/paths/" + pointer.Replace(d.path) + "/" + strings.ToLower(x.Method) + "/responses/" + strconv.Itoa(x.Status)
	if response.Ref != "" {
		_, at, _ = strings.Cut(response.Ref, "#")
	}
	schema, err := d.files.schema(d.file, at+"/content/"+pointer.Replace(media)+"/schema")
	if err != nil {
		return []string{"the file gives no schema: " + firstLine(err)}
	}
	return faults(schema.Validate(v))
}

var pointer = strings.NewReplacer("~", "~0", "/", "~1")

// schema compiles what a pointer into a file leads to. An OpenAPI 3.1 file is JSON Schema 2020-12 where its schemas stand, so
// that the file as it is can be the resource that all references are looked up in; kin-openapi's own way there compiles a
// schema anew for every value, and leaves the standard where it meets a pattern beyond Go's regexp.
func (f *Files) schema(file, at string) (*jsonschema.Schema, error) {
	if s := f.schemas[file+"#"+at]; s != nil {
		return s, nil
	}
	c := f.compilers[file]
	if c == nil {
		raw, err := os.ReadFile(filepath.Join(f.dir, file))
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		c = jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft2020)
		c.AssertFormat()
		c.UseRegexpEngine(compile)
		if err := c.AddResource("zoho:///"+file, doc); err != nil {
			return nil, err
		}
		f.compilers[file] = c
	}
	s, err := c.Compile("zoho:///" + file + "#" + (&url.URL{Path: at}).EscapedPath())
	if err == nil {
		f.schemas[file+"#"+at] = s
	}
	return s, err
}

// lookahead is a pattern that Go's regexp cannot have: it is not checked. Zoho's files have two, on addresses of mail.
type lookahead string

func (l lookahead) MatchString(string) bool { return true }
func (l lookahead) String() string          { return string(l) }

func compile(pattern string) (jsonschema.Regexp, error) {
	if strings.Contains(pattern, "(?=") || strings.Contains(pattern, "(?!") {
		return lookahead(pattern), nil
	}
	return regexp.Compile(pattern)
}

// request lists what in an exchange's request does not fit.
func (d described) request(x Exchange, params map[string]string) []string {
	target := x.Path
	if x.Query != "" {
		target += "?" + x.Query
	}
	req, err := http.NewRequest(x.Method, "http://zoho.invalid"+target, io.NopCloser(bytes.NewReader(x.RequestBody)))
	if err != nil {
		return []string{err.Error()}
	}
	req.Header = x.RequestHeader
	var out []string
	known := map[string]bool{}
	for _, p := range slices.Concat(d.item.Parameters, d.op.Parameters) {
		if p.Value.In == openapi3.ParameterInQuery {
			known[p.Value.Name] = true
		}
	}
	for name := range req.URL.Query() {
		if !known[name] {
			out = append(out, "query "+name+": is not described")
		}
	}
	if d.op.RequestBody == nil && len(x.RequestBody) > 0 {
		out = append(out, "a body where none is described")
	}
	return append(out, faults(openapi3filter.ValidateRequest(context.Background(), &openapi3filter.RequestValidationInput{
		Request: req, PathParams: params,
		Route: &routers.Route{Spec: d.doc, Path: d.path, PathItem: d.item, Method: x.Method, Operation: d.op},
		Options: &openapi3filter.Options{
			MultiError: true, SkipSettingDefaults: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, // tokens are the accounts server's affair
		},
	}))...)
}

var (
	indexes = regexp.MustCompile(`/[0-9]+(/|$)`)
	english = message.NewPrinter(language.English)
)

// faults flattens an error into one line for each value that does not fit: where it is, and what is wrong.
func faults(err error) []string {
	var out []string
	add := func(where, what string) {
		for range 2 { // neighbours share a slash
			where = indexes.ReplaceAllString(where, "/*$1")
		}
		line := where + ": " + what
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	nearest := func(e *jsonschema.ValidationError) {
		for _, f := range leaves(e) {
			add(f.where, f.what)
		}
	}
	var walk func(error)
	walk = func(err error) {
		if err == nil {
			return
		}
		if many, ok := err.(openapi3.MultiError); ok {
			for _, e := range many {
				walk(e)
			}
			return
		}
		if e, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
			nearest(e)
			return
		}
		if e, ok := err.(*openapi3filter.RequestError); ok {
			switch {
			case e.Parameter != nil:
				add(e.Parameter.In+" "+e.Parameter.Name, firstLine(e))
				return
			case e.Err != nil:
				walk(e.Err)
				return
			}
		}
		if e, ok := err.(*openapi3.SchemaError); ok {
			if many, ok := errors.AsType[openapi3.MultiError](e.Origin); ok {
				walk(many)
			}
			add("/"+strings.Join(e.JSONPointer(), "/"), e.Reason)
			return
		}
		add("", firstLine(err))
	}
	walk(err)
	return out
}

type leaf struct {
	where, what string
	far         bool // another type altogether: no near miss
}

// leaves are what an error comes down to. Of alternatives it is the nearest: one for the answer's own code before all others,
// then the one with the fewest faults.
func leaves(e *jsonschema.ValidationError) []leaf {
	where := "/" + strings.Join(e.InstanceLocation, "/")
	switch k := e.ErrorKind.(type) {
	case *kind.OneOf, *kind.AnyOf:
		var best []leaf
		for _, c := range e.Causes {
			if l := leaves(c); best == nil || distance(l) < distance(best) {
				best = l
			}
		}
		if best != nil {
			return best
		}
	case *kind.AdditionalProperties:
		return each(where, k.Properties, "is not described")
	case *kind.Required:
		return each(where, k.Missing, "is missing")
	case *kind.Const:
		return []leaf{{where: where, what: fmt.Sprintf("%v is not described", k.Got)}}
	case *kind.Enum:
		return []leaf{{where: where, what: fmt.Sprintf("%v is not described", k.Got)}}
	case *kind.Type:
		return []leaf{{where: where, what: k.LocalizedString(english), far: true}}
	}
	var out []leaf
	for _, c := range e.Causes {
		out = append(out, leaves(c)...)
	}
	if out == nil {
		out = []leaf{{where: where, what: e.ErrorKind.LocalizedString(english)}}
	}
	return out
}

func each(where string, names []string, what string) (out []leaf) {
	for _, n := range names {
		out = append(out, leaf{where: strings.TrimSuffix(where, "/") + "/" + n, what: what})
	}
	return out
}

func distance(l []leaf) int {
	n := len(l)
	for _, f := range l {
		if strings.HasSuffix(f.where, "/code") {
			n += 1000
		}
		if f.far {
			n += 100
		}
	}
	return n
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
