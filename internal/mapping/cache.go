package mapping

import "sync"

// parsedTemplates keeps parsed templates: a set has some thirty and is rendered for every call. It is emptied when it
// is full rather than kept in order of use; a tenant that edits costs everybody one parse.
var parsedTemplates = struct {
	sync.RWMutex
	m map[string]*Template
}{m: map[string]*Template{}}

const maxParsed = 10_000

func parsed(source string) (*Template, error) {
	parsedTemplates.RLock()
	t, ok := parsedTemplates.m[source]
	parsedTemplates.RUnlock()
	if ok {
		return t, nil
	}
	t, err := Parse(source)
	if err != nil {
		return nil, err
	}
	parsedTemplates.Lock()
	defer parsedTemplates.Unlock()
	if len(parsedTemplates.m) >= maxParsed {
		clear(parsedTemplates.m)
	}
	parsedTemplates.m[source] = t
	return t, nil
}
