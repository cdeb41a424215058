package connection_test

import (
	"net/http"
	"strings"
	"testing"

	"hookline/internal/connection"
)

func TestLiveQuestionsAreAnsweredAndLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.connect("").OrgID
	back := w.grant(org, append(connection.Scopes(), "ZohoCRM.modules.ALL"))
	back.State = w.begin()
	if _, err := w.finish(back); err != nil {
		t.Fatal(err)
	}
	w.control(http.MethodPost, "/_sandbox/settings?org="+org, map[string]any{"search_index_lag_ms": 0, "unique": map[string]any{"Calls": []string{ref}}}, nil)
	ask := func() (answers string, grave int) {
		t.Helper()
		findings, left, err := w.link.AskLive(t.Context(), w.tenant, connection.Asking{Field: ref})
		if err != nil || len(left) != 0 {
			t.Fatalf("left behind %v, %v", left, err)
		}
		for _, f := range findings {
			answers += f.Question + " " + f.Found + "\n"
			if f.Grave {
				grave++
			}
			if f.Differs && !f.Grave {
				t.Errorf("otherwise than assumed: %+v", f)
			}
		}
		return answers, grave
	}
	answers, grave := ask()
	if grave != 0 || strings.Count(answers, "\n") != 13 || !strings.Contains(answers, "DUPLICATE_DATA on Hookline_Ref, naming \"57") {
		t.Errorf("%d grave among\n%s", grave, answers)
	}
	var stats struct{ Records map[string]int }
	w.control(http.MethodGet, "/_sandbox/stats?org="+org, nil, &stats)
	for module, n := range stats.Records {
		if n != 0 {
			t.Errorf("%d records of %s are left behind", n, module)
		}
	}
	w.control(http.MethodPost, "/_sandbox/faults?org="+org, []map[string]any{{
		"match": map[string]string{"method": "GET", "path": "/crm/v8/Calls/*"}, "kind": "status", "status": 200,
		"body": `{"data":[{"id":"1","Call_Duration_in_seconds":7500,"Call_Start_Time":"2026-01-20T10:00:00+00:00"}]}`,
	}}, nil)
	if answers, grave := ask(); grave != 2 || !strings.Contains(answers, "7500") {
		t.Errorf("%d grave among\n%s", grave, answers)
	}
}
