package specification

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
)

// older is the generation for requests beside f. Its answers demand every key of every variant at once, so that none can fit;
// what they are good for is the names.
func (f *Files) older() *Files { return openFiles(filepath.Join(filepath.Dir(f.dir), ForRequests)) }

// names lists the keys of an answer that the description does not name, wherever they stand, and lists and objects where it
// has the other. What is demanded and what a text may say is not looked at.
func (d described) names(x Exchange) []string {
	response := d.op.Responses.Status(x.Status)
	if response == nil {
		response = d.op.Responses.Status(200) // that generation puts refusals there, too
	}
	if response == nil {
		return []string{"the status is not described"}
	}
	media := response.Value.Content.Get("application/json")
	if media == nil || len(x.Body) == 0 {
		return nil
	}
	var v any
	if err := json.NewDecoder(bytes.NewReader(x.Body)).Decode(&v); err != nil {
		return []string{"not JSON: " + err.Error()}
	}
	var out []string
	for _, f := range unnamed(media.Schema.Value, v, "") {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

func unnamed(s *openapi3.Schema, v any, at string) []string {
	for _, alternatives := range []openapi3.SchemaRefs{s.OneOf, s.AnyOf} {
		var best []string
		for i, a := range alternatives {
			if u := unnamed(a.Value, v, at); i == 0 || len(u) < len(best) {
				best = u
			}
		}
		if len(alternatives) > 0 {
			return best
		}
	}
	properties := openapi3.Schemas{}
	for _, part := range append([]*openapi3.SchemaRef{{Value: s}}, s.AllOf...) {
		for name, p := range part.Value.Properties {
			properties[name] = p
		}
	}
	var out []string
	switch v := v.(type) {
	case map[string]any:
		if s.Type.Is(openapi3.TypeArray) {
			return []string{at + ": an object where a list is described"}
		}
		for name, inner := range v {
			switch p := properties[name]; {
			case p != nil:
				out = append(out, unnamed(p.Value, inner, at+"/"+name)...)
			case len(properties) > 0:
				out = append(out, at+"/"+name+": is not named")
			}
		}
	case []any:
		if s.Type.Is(openapi3.TypeObject) {
			return []string{at + ": a list where an object is described"}
		}
		for _, inner := range v {
			if s.Items != nil {
				out = append(out, unnamed(s.Items.Value, inner, at+"/*")...)
			}
		}
	}
	slices.Sort(out)
	return out
}
