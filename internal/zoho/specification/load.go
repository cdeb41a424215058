package specification

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The two generations of Zoho's files: the older is exact about requests, the newer about answers.
const (
	ForRequests = "v8.0"
	ForAnswers  = "v8.0-oas31"
)

// Files is one generation of the description. Its documents are read when they are first asked for.
type Files struct {
	dir       string
	read      map[string]*openapi3.T
	compilers map[string]*jsonschema.Compiler
	schemas   map[string]*jsonschema.Schema // by file and pointer
}

// Open finds a generation beside the repository, and skips the test where it is not.
func Open(t testing.TB, generation string) *Files {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "..", "shared", "zoho", "openapi", generation)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		t.Skipf("Zoho's specification (%s) is not here", generation)
	} else if err != nil {
		t.Fatal(err)
	}
	return openFiles(dir)
}

func openFiles(dir string) *Files {
	return &Files{dir: dir, read: map[string]*openapi3.T{}, compilers: map[string]*jsonschema.Compiler{}, schemas: map[string]*jsonschema.Schema{}}
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the test")
		}
		dir = parent
	}
	return "", err
}

// conflicting are templates that differ from another one in nothing but a name, which OpenAPI forbids. Addressing records by
// an external field is not used here.
var conflicting = []string{
	"/crm/v8/settings/modules/{id}",
	"/crm/v8/{module_api_name}/{external_field_value}",
	"/crm/v8/{module_api_name}/{external_value}/{related_list_api_name}",
	"/crm/v8/{module_api_name}/{external_value}/{related_list_api_name}/{external_field_value}",
}

// undefinedParameter is referred to in one file (notes.json, requests) and defined in none: without it the file does not load.
const undefinedParameter = `{"name":"If-Modified-Since","in":"header","required":false,"schema":{"type":"string"}}`

func (f *Files) document(name string) (*openapi3.T, error) {
	if doc := f.read[name]; doc != nil {
		return doc, nil
	}
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) { return f.bytes(path.Base(u.Path)) }
	doc, err := loader.LoadFromFile(filepath.Join(f.dir, name))
	if err != nil {
		return nil, fmt.Errorf("loading Zoho's %s: %w", name, err)
	}
	for _, p := range conflicting {
		doc.Paths.Delete(p)
	}
	// Look-ahead in patterns is beyond Go's regexp, and the examples do not fit their own schemas.
	if err := doc.Validate(context.Background(), openapi3.DisableExamplesValidation(), openapi3.DisableSchemaPatternValidation()); err != nil {
		return nil, fmt.Errorf("no OpenAPI: Zoho's %s: %w", name, err)
	}
	f.read[name] = doc
	return doc, nil
}

func (f *Files) bytes(name string) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil || filepath.Base(f.dir) != ForRequests || name != "notes.json" {
		return raw, err
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	components, _ := doc["components"].(map[string]any)
	parameters, _ := components["parameters"].(map[string]any)
	if parameters == nil {
		return raw, nil
	}
	parameters["If-Modified-Since"] = json.RawMessage(undefinedParameter)
	return json.Marshal(doc)
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// describes names the file that has an operation, whatever it calls the placeholders; "" for none.
func (f *Files) describes(method, template string) (string, error) {
	bare := func(p string) string { return placeholder.ReplaceAllString(strings.TrimPrefix(p, "/crm/v8"), "{}") }
	names, err := filepath.Glob(filepath.Join(f.dir, "*.json"))
	if err != nil {
		return "", err
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		var doc struct {
			Paths map[string]map[string]json.RawMessage `json:"paths"`
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			return "", fmt.Errorf("reading Zoho's %s: %w", filepath.Base(name), err)
		}
		for p, verbs := range doc.Paths {
			if _, ok := verbs[strings.ToLower(method)]; ok && bare(p) == bare(template) {
				return filepath.Base(name), nil
			}
		}
	}
	return "", nil
}
