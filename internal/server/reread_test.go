package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"hookline/internal/account"
	"hookline/internal/intake"
	"hookline/internal/server/servertest"
)

// misnamed posts a NextPhone call under keys that the source does not know, and gives the id it is kept under.
func (l *line) misnamed(o intake.Opened, b *servertest.Browser, number string) string {
	l.t.Helper()
	r, err := http.NewRequest(http.MethodPost, o.URL, strings.NewReader(fmt.Sprintf(`{"phone":%q,"last_name":"Johnson","call_summary":"Wants a quote"}`, number)))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+o.Secrets[0].Reveal())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer res.Body.Close()
	var told struct {
		Status string `json:"status"`
	}
	if err := json.NewDecoder(res.Body).Decode(&told); err != nil || told.Status != "needs_attention" {
		l.t.Fatalf("%d %+v, %v", res.StatusCode, told, err)
	}
	st, err := l.Sources.Status(context.Background(), b.Tenant, o.ID)
	if err != nil {
		l.t.Fatal(err)
	}
	return st.CallID.String()
}

func TestUnreadableCallsReachZohoOnceTheSourceIsMendedAndTheyAreReplayed(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	org := l.connect(owner)
	l.work()
	o, err := l.Sources.Add(t.Context(), owner.Tenant, intake.NewSource{Provider: "nextphone", Name: "Front desk"})
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{l.misnamed(o, owner, "+14155550141"), l.misnamed(o, owner, "+14155550142"), l.misnamed(o, owner, "+14155550143")}
	key := l.program(owner, account.Operator)

	p := owner.Get("/calls/" + ids[0])
	text := visible(p.Body)
	for _, want := range []string{"neither a call id nor", "mend them, then replay", "Mend the source", "Replay this and 2 like it"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q: %s", want, text)
		}
	}
	if !strings.Contains(p.Body, `href="/sources/`+o.ID.String()+`"`) {
		t.Error("no way to the source")
	}

	// Not mended yet: the call stays, and says what is wrong.
	back := "/calls/" + ids[0]
	if p := owner.Post("/calls/replay", url.Values{"id": {ids[0]}, "back": {back}}); p.Status != http.StatusSeeOther || p.Location != back {
		t.Fatalf("replay: %d to %s", p.Status, p.Location)
	}
	if text := visible(owner.Get(back).Body); !strings.Contains(text, "1 still cannot be read: The body has neither") || !strings.Contains(text, "Needs you") {
		t.Errorf("the page after a replay for nothing: %s", text)
	}
	if got := key.ask("POST", "/api/v1/calls/"+ids[0]+"/replay", ""); got.status != http.StatusConflict || !strings.Contains(got.text, "still cannot be read") {
		t.Errorf("the API after a replay for nothing: %d %s", got.status, got.text)
	}

	if _, err := l.Sources.Configure(t.Context(), owner.Tenant, o.ID, owner.Email, o.Name, nil, map[string]string{"from": "phone"}); err != nil {
		t.Fatal(err)
	}
	p = owner.Post("/calls/replay", url.Values{"id": ids[:2], "back": {back}})
	if p.Status != http.StatusSeeOther || p.Location == back || !strings.HasPrefix(p.Location, "/calls/") {
		t.Fatalf("replay: %d to %s", p.Status, p.Location)
	}
	shown := visible(l.until(owner, p.Location, "from the webhook to the last record in Zoho").Body)
	if !strings.Contains(shown, "Johnson") || !strings.Contains(shown, "could not be read when it came, but when it was replayed") {
		t.Errorf("the page of the call: %s", shown)
	}
	if old := owner.Get(back); old.Status != http.StatusSeeOther || old.Location != p.Location {
		t.Errorf("the address from before: %d to %s", old.Status, old.Location)
	}
	got := key.ask("POST", "/api/v1/calls/"+ids[2]+"/replay", "")
	now, _ := got.body["id"].(string)
	if got.status != http.StatusAccepted || now == "" || now == ids[2] {
		t.Fatalf("%d %s", got.status, got.text)
	}
	l.until(owner, "/calls/"+now, "from the webhook to the last record in Zoho")
	for _, id := range []string{now, ids[2]} {
		if got := key.get("/api/v1/calls/" + id); got.status != http.StatusOK || got.body["id"] != now || got.body["status"] != "delivered" {
			t.Errorf("%s: %d %.300s", id, got.status, got.text)
		}
	}
	l.until(owner, "/calls?status=needs_attention", "No call fits")
	for _, id := range ids { // once more: what stands in Zoho is not repeated
		owner.Post("/calls/replay", url.Values{"id": {id}, "back": {"/calls"}})
		l.until(owner, p.Location, "from the webhook to the last record in Zoho")
	}
	l.until(owner, "/calls/"+now, "from the webhook to the last record in Zoho")
	for module, want := range map[string]int{"Leads": 3, "Calls": 3} {
		if n := len(l.zoho.Control.Records(org, module)); n != want {
			t.Errorf("%d records of %s, want %d", n, module, want)
		}
	}
}
