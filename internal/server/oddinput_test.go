package server_test

import (
	"net/http"
	"net/url"
	"testing"

	"hookline/internal/server/servertest"
)

// No address and no form of the rules, the draft and the versions makes the server fail: it says what is wrong with it.
func TestOddNumbersAndButtonsAreNoFaultOfOurs(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	for _, n := range []string{"2147483647", "2147483648", "99999999999", "9223372036854775807", "-1", "1e3"} {
		for _, address := range []string{"/versions/" + n, "/versions/" + n + "/document", "/versions?before=" + n, "/draft/news?since=" + n, "/draft?at=" + n + "&move=" + n} {
			if p := owner.Get(address); p.Status >= http.StatusInternalServerError {
				t.Errorf("%s: %d", address, p.Status)
			}
		}
		for address, form := range map[string]url.Values{
			"/rules":                      with(quotesAtNight(n), "name", "Number "+n),
			"/rules/lead/move":            {"revision": {n}, "to": {n}},
			"/rules/phrases/buying":       {"revision": {n}, "new": {"boat"}},
			"/mapping/Leads":              {"revision": {n}, "act": {"save"}, "field": {"Last_Name"}, "value.Last_Name": {"x"}},
			"/draft/undo":                 {"revision": {n}},
			"/draft/discard":              {"revision": {n}},
			"/draft/publish":              {"revision": {n}},
			"/draft/backtest":             {"scope": {n}},
			"/versions/" + n + "/restore": {"live": {n}},
		} {
			if p := owner.Post(address, form); p.Status >= http.StatusInternalServerError {
				t.Errorf("POST %s with %s: %d", address, n, p.Status)
			}
		}
	}
	budget := url.Values{"revision": {"0"}, "name": {"Rich"}, "match": {"all"}, "row": {"1"}, "kind.1": {"test"}, "f.1": {"budget"}, "was.1": {"budget"}, "op.1": {"more_than"},
		"do": {"a1"}, "do.a1": {"create_lead"}}
	for _, n := range []string{"NaN", "Inf", "-inf", "1e999", ""} {
		if p := owner.Post("/rules", with(budget, "act", "save", "n.1", n)); p.Status != http.StatusUnprocessableEntity {
			t.Errorf("a budget of more than %q: %d", n, p.Status)
		}
	}
	for _, act := range []string{"drop a1-if 0", "drop a1 0", "drop 1 7", "drop 9 0", "remove 9", "up 1", "down a1", "add 9", "with a9", "do", "nothing"} {
		if p := owner.Post("/rules", with(budget, "act", act, "n.1", "5", "doing", "nothing", "fact9", "caller")); p.Status != http.StatusOK {
			t.Errorf("the button %q: %d", act, p.Status)
		}
	}
}
