package server_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hookline/internal/delivery"
	"hookline/internal/harness/browser"
	"hookline/internal/intake"
	"hookline/internal/server/servertest"
)

// aMonthLater makes everything that came for a tenant older than the retention, and has the program forget it.
func (l *line) aMonthLater(b *servertest.Browser) {
	l.t.Helper()
	err := l.DB.InTenant(l.t.Context(), b.Tenant, func(tx pgx.Tx) error {
		if _, err := tx.Exec(l.t.Context(), `UPDATE events SET at = now() - interval '31 days'`); err != nil {
			return err
		}
		_, err := tx.Exec(l.t.Context(), `UPDATE attempts SET at = now() - interval '31 days'`)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	if n, err := intake.ForgetRaw(l.t.Context(), l.DB, b.Tenant); err != nil || n == 0 {
		l.t.Fatalf("%d raw events forgotten, %v", n, err)
	}
	if n, err := delivery.ForgetExchanges(l.t.Context(), l.DB, b.Tenant); err != nil || n == 0 {
		l.t.Fatalf("%d exchanges forgotten, %v", n, err)
	}
}

func TestACallsPageSaysWhatWasKeptForThirtyDaysAndIsGone(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.Database.HoldAllTimes(t)
	owner := l.Owner("ann@acme.test")
	l.connect(owner)
	l.work()
	id := l.receive(l.source(owner), sarah())
	p := l.until(owner, "/calls/"+id.String(), "from the webhook to the last record in Zoho")
	if strings.Contains(p.Body, "gone") {
		t.Error("a fresh call says that something is gone")
	}
	download := regexp.MustCompile(`/calls/[0-9a-f-]+/events/[0-9a-f-]+`).FindString(p.Body)
	l.aMonthLater(owner)
	p = owner.Get("/calls/" + id.String())
	text := visible(p.Body)
	for _, want := range []string{
		"The raw event was kept for 30 days and is gone.", "Requests and answers were kept for 30 days and are gone.",
		"POST /crm/v8/Leads", "Sarah Johnson", "When are you open?", "Create the Lead", "Open Lead in Zoho", "Fired",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	for _, not := range []string{"$ZOHO_ACCESS_TOKEN", "(no answer)", "(empty)", download, "As curl"} {
		if strings.Contains(p.Body, not) {
			t.Errorf("the page still shows %q", not)
		}
	}
	if p := owner.Get(download); p.Status != http.StatusNotFound {
		t.Errorf("the download: %d", p.Status)
	}
}

func TestACallOfAMonthAgoInABrowser(t *testing.T) {
	b := browser.Open(t)
	l := newLine(t)
	l.Database.HoldAllTimes(t)
	owner := l.Owner("ann@acme.test")
	l.connect(owner)
	l.work()
	id := l.receive(l.source(owner), sarah())
	l.until(owner, "/calls/"+id.String(), "from the webhook to the last record in Zoho")
	l.aMonthLater(owner)
	signIn(b, l.Site, "ann@acme.test")
	b.Check("call-after-a-month", l.URL+"/calls/"+id.String())
}
