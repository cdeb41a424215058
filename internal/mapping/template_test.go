package mapping

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"hookline/internal/call"
	"hookline/internal/routing"
)

var zone = time.FixedZone("", -8*3600)

// sarah is the guide's caller.
func sarah() routing.Facts {
	start := time.Date(2026, 3, 2, 17, 4, 5, 0, zone)
	return routing.Facts{
		Call: call.Call{
			Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100", StartedAt: start, Duration: 245 * time.Second,
			FirstName: "Sarah", LastName: "Johnson", Company: "ABC Corp", Email: "sarah@abc.example",
			Summary:      "Wants pricing for 50 Enterprise seats, budget $50K, start in Q1.",
			Transcript:   []call.Turn{{Role: call.Agent, Text: "Thanks for calling Acme."}, {Role: call.Caller, Text: "What's the pricing for 50 users?", At: 4 * time.Second}},
			RecordingURL: "https://recordings.example/np_8123",
			Answers:      map[string]any{"interest": "Enterprise plan", "budget": "$50K", "timeline": "2026-04-15", "seats": 50.0, "urgent": true, "tags": []any{"a", "b"}},
			Metadata:     map[string]any{"campaign": "spring"},
		},
		Open: true, LocalTime: start, DecidedAt: start.Add(10 * time.Second), Country: "US", TenantName: "Acme",
	}
}

func value(t *testing.T, source string, f routing.Facts) any {
	t.Helper()
	tpl, err := Parse(source)
	if err != nil {
		t.Fatalf("%q: %v", source, err)
	}
	env := newEnvironment(f, Standard())
	return tpl.render(&scope{lookup: env.lookup, env: env})
}

func TestTemplatesRender(t *testing.T) {
	f := sarah()
	f.Call.Answers["odd"] = "{{ email }}"
	for source, want := range map[string]any{
		"plain text":                         "plain text",
		"":                                   "",
		"{{last_name}}":                      "Johnson",
		"{{ first_name }} {{ last_name }}":   "Sarah Johnson",
		"{{ estimated_deal_value }}":         50000.0, // a lone placeholder keeps its type
		"{{ estimated_deal_value }} dollars": "50000 dollars",
		"{{ answers.seats }}":                50.0,
		"{{ answers.urgent }}":               true,
		"{{ answers.missing | default: \"none\" }}":           "none",
		"{{ answers.missing | default: answers.x, email }}":   "sarah@abc.example",
		"{{ metadata.campaign | upcase }}":                    "SPRING",
		"{{ 'abc def' | title }}":                             "Abc Def",
		"{{ \"mcdonald\" | capitalize }}":                     "Mcdonald",
		"{{ email | downcase | replace: \"@\", \" at \" }}":   "sarah at abc.example",
		"{{ 'a' | replace: '', 'xx' }}":                       "a",
		"{{ 'Sarah Cruz' | last_name }}":                      "Cruz",
		"{{ 'Sarah Johnson' | split_name: \"first\" }}":       "Sarah",
		"{{ answers.budget | money }}":                        50000.0,
		"{{ answers.budget | money | times: 12 }}":            600000.0,
		"{{ 3.14159 | round: 2 }}":                            3.14,
		"{{ 'soon' | number }}":                               nil,
		"{{ call_summary | truncate: 10 }}":                   "Wants pri…",
		"{{ answers.tags | join: \"; \" }}":                   "a; b",
		"{{ intent | map: \"x\", \"y\", \"other\" }}":         "other",
		"{{ direction | map: \"Inbound\", \"in\" }}":          "in",
		"{{ caller_number | phone: \"national\" }}":           "(415) 555-0123",
		"{{ caller_number | digits }}":                        "14155550123",
		"{{ call_timestamp | date: \"D MMMM YYYY, HH:mm\" }}": "2 March 2026, 17:04",
		"{{ 125 | duration }}":                                "02:05",
		"{{ answers.odd }}":                                   "{{ email }}", // one pass
		"{{ call_duration }}":                                 "04:05",
	} {
		if got := value(t, source, f); got != want {
			t.Errorf("%s: got %#v, want %#v", source, got, want)
		}
	}
}

func TestSyntaxErrorsSayWhereAndWhat(t *testing.T) {
	for source, want := range map[string]string{
		"{{ last_name":                "At 13: Expected }} here",
		"{{ last_name }":              "At 14: Expected }} here",
		"Hi {{ }}":                    "At 7: Expected a variable's name",
		"{{ a | }}":                   "At 8: Expected the name of a filter",
		"{{ a | shout }}":             `At 8: There is no filter named "shout"`,
		"{{ a | truncate }}":          `At 8: The filter "truncate" is written truncate: 80`,
		"{{ a | default: \"x }}":      "At 17: The quote",
		"{{ a. }}":                    "At 6: Expected a name after the dot",
		"{{ a b }}":                   "At 6: Expected }} here",
		"{{ 1.2.3 }}":                 "is no number",
		"{% for i in x %}{{ i.}}":     "after the dot",
		strings.Repeat("{{ a }}", 65): "64 placeholders",
		strings.Repeat("x", 17<<10):   "longer than",
		"{{ a" + strings.Repeat(" | trim", 17) + "}}": "16 filters",
	} {
		_, err := Parse(source)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", source, err, want)
		}
	}
}

func TestMultiplyingReplacesAreRefusedBeforeTheyAreBuilt(t *testing.T) {
	f := sarah()
	f.Call.Summary = strings.Repeat("aa", 1000)
	source := "{{ call_summary" + strings.Repeat(` | replace: "a", "`+strings.Repeat("a", 500)+`"`, 15) + "}}"
	got, _ := value(t, source, f).(string)
	if n := utf8.RuneCountInString(got); n > maxValue {
		t.Errorf("%d characters", n)
	}
}

func TestAnyTemplateIsBoundedAndNeverPanics(t *testing.T) {
	names := slices.Sorted(maps.Keys(filters))
	rapid.Check(t, func(rt *rapid.T) {
		var b strings.Builder
		for range rapid.IntRange(0, 5).Draw(rt, "placeholders") {
			b.WriteString(rapid.StringN(0, 20, 60).Draw(rt, "literal"))
			b.WriteString("{{ " + rapid.SampledFrom(variables).Draw(rt, "variable").name)
			for range rapid.IntRange(0, 4).Draw(rt, "filters") {
				name := rapid.SampledFrom(names).Draw(rt, "filter")
				b.WriteString(" | " + name)
				for i := range filters[name].min {
					b.WriteString([]string{": ", ", "}[min(i, 1)] + rapid.SampledFrom([]string{`"a"`, `""`, "99999", "email", "-1", `"YYYY"`}).Draw(rt, "argument"))
				}
			}
			b.WriteString(" }}")
		}
		tpl, err := Parse(b.String())
		if err != nil {
			return
		}
		f := sarah()
		f.Call.Summary = rapid.String().Draw(rt, "summary")
		env := newEnvironment(f, Standard())
		if s, ok := tpl.render(&scope{lookup: env.lookup, env: env}).(string); ok && utf8.RuneCountInString(s) > maxValue {
			rt.Fatalf("%d characters of output", utf8.RuneCountInString(s))
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, rows := range DefaultSet().Modules {
		for _, r := range rows {
			f.Add(r.Value, "said")
		}
	}
	f.Add(`{{ answers.x | replace: "a", "{{" | default: 'y' }}`, "{{ secret }}")
	f.Fuzz(func(t *testing.T, source, said string) {
		tpl, err := Parse(source)
		if err != nil {
			return
		}
		facts := sarah()
		facts.Call.Summary, facts.Call.LastName = said, said
		env := newEnvironment(facts, Standard())
		if s, ok := tpl.render(&scope{lookup: env.lookup, env: env}).(string); ok && utf8.RuneCountInString(s) > maxValue {
			t.Fatalf("%d characters", utf8.RuneCountInString(s))
		}
	})
}
