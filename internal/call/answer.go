package call

import (
	"fmt"
	"slices"
	"strings"
)

// Answer is the first answer there is under one of the names, without regard to case, spaces and underscores; nil when
// there is none. It is a text, a float64, a bool, or a list or object of such.
func (c Call) Answer(names ...string) any {
	for _, n := range names {
		if v := ValueNamed(c.Answers, n); !isEmpty(v) {
			return v
		}
	}
	return nil
}

// ValueNamed is what a sender's document holds under a name, without regard to case, spaces and underscores; an object's
// parts are named after a full stop. Of two spellings it is always the same one.
func ValueNamed(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return Plain(v)
	}
	want := FoldName(name)
	keys := make([]string, 0, len(m))
	for k := range m {
		if FoldName(k) == want {
			keys = append(keys, k)
		}
	}
	if len(keys) > 0 {
		return Plain(m[slices.Min(keys)])
	}
	if head, rest, ok := strings.Cut(name, "."); ok {
		if inner, isMap := ValueNamed(m, head).(map[string]any); isMap {
			return ValueNamed(inner, rest)
		}
	}
	return nil
}

// separators are what names differ in without meaning something else.
var separators = strings.NewReplacer(" ", "", "_", "", "-", "")

// FoldName is a name without regard to case, spaces, underscores and hyphens.
func FoldName(s string) string {
	return strings.ToLower(separators.Replace(s))
}

// Plain brings a value of a decoded document to the kinds that Answer names.
func Plain(v any) any {
	switch v := v.(type) {
	case nil, string, float64, bool, []any, map[string]any:
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	}
	return fmt.Sprint(v)
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(v) == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
