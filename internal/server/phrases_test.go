package server_test

import (
	"net/url"
	"strings"
	"testing"

	"hookline/internal/server/servertest"
)

func TestALongPhraseListShowsOnesOwnFirstAndTheRestWhenOpened(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	if p := owner.Post("/rules/phrases/buying", url.Values{"revision": {"0"}, "new": {"boat trailer"}, "act": {"add"}}); p.Status != 303 {
		t.Fatalf("add: %d", p.Status)
	}
	if p := owner.Post("/rules/phrases/buying", url.Values{"revision": {"1"}, "new": {"not: boat show"}, "act": {"add"}}); p.Status != 303 {
		t.Fatalf("add: %d", p.Status)
	}
	folded, open := owner.Get("/rules/phrases").Body, owner.Get("/rules/phrases?list=buying").Body
	for _, own := range []string{"boat trailer", "not: boat show"} {
		if !strings.Contains(folded, own) || !strings.Contains(open, own) {
			t.Errorf("%s is not shown", own)
		}
	}
	buying := draftRules(t, owner).Lists()["buying"]
	last := buying.Phrases[len(buying.Phrases)-3]
	if strings.Contains(folded, `value="`+last+`"`) || !strings.Contains(folded, "more that Hookline listens for") {
		t.Errorf("the folded list shows %q", last)
	}
	if !strings.Contains(open, `value="`+last+`"`) {
		t.Errorf("the open list lacks %q", last)
	}
	drop := url.Values{"revision": {"2"}, "drop": {last}, "list": {"buying"}}
	if p := owner.Post("/rules/phrases/buying", drop); !strings.HasPrefix(p.Location, "/rules/phrases?list=buying") {
		t.Errorf("after a removal from an open list: %q", p.Location)
	}
	if n := len(folded); n > 200_000 {
		t.Errorf("the page has %d bytes", n)
	}
}
