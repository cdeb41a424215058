package connection_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"hookline/internal/connection"
	"hookline/internal/zoho"
)

// looks are how often a module's fields were asked for.
func (w *world) looks() int { return w.requests(http.MethodGet, "/settings/fields") }

func (w *world) age(interval string) {
	w.exec(`UPDATE zoho_modules SET fetched_at = now() - $2::text::interval WHERE tenant_id = $1`, w.tenant.UUID(), interval)
}

func TestFieldsOfAnyAgeServeWhileZohoHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	if err := w.link.KeepFresh(t.Context(), w.tenant); err != nil {
		t.Fatal(err)
	}
	w.age("40 days")
	w.control(http.MethodPost, "/_sandbox/faults?org="+w.get().OrgID, []map[string]any{
		{"match": map[string]string{"path": "/crm/v8/settings/*"}, "kind": "hang"},
	}, nil)
	before := w.looks()
	probing, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.link.LookAgain(probing, w.tenant, "Calls") }()
	for w.looks() == before { // somebody else of ours is asking, and gets no answer
		time.Sleep(10 * time.Millisecond)
	}
	began := time.Now()
	known, err := w.link.MetadataOf(t.Context(), w.tenant, connection.InUse...)
	if took := time.Since(began); err != nil || len(known) != len(connection.InUse) || took > 6*time.Second {
		t.Errorf("%d modules after %s, %v", len(known), took, err)
	}
	cancel()
	<-done
	if n := w.looks() - before; n != 1 {
		t.Errorf("asked %d times", n)
	}

	w.exec(`DELETE FROM zoho_modules WHERE tenant_id = $1 AND module = 'Contacts'`, w.tenant.UUID())
	w.age("1 minute")
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	known, err = w.link.MetadataOf(short, w.tenant, connection.InUse...)
	if classOf(err) != zoho.Transient || len(known) != len(connection.InUse)-1 {
		t.Errorf("one was never read: %d modules, %v", len(known), err)
	}
}

func TestWhatIsClosedToUsIsAskedForOnceAnHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	org := w.get().OrgID
	if err := w.link.KeepFresh(t.Context(), w.tenant); err != nil {
		t.Fatal(err)
	}
	w.control(http.MethodPost, "/_sandbox/faults?org="+org, []map[string]any{
		{"match": map[string]string{"path": "/crm/v8/settings/fields"}, "kind": "status", "status": 403, "body": `{"code":"NO_PERMISSION","status":"error"}`},
	}, nil)
	w.age("61 minutes")
	all := append(slices.Clone(connection.InUse), "Accounts")
	look := func() { _, _ = w.link.MetadataOf(t.Context(), w.tenant, all...) }
	for _, step := range []struct {
		when string
		do   func()
		asks int
	}{
		{"closed", look, len(all)},
		{"looked at again", look, 0},
		{"an hour later", func() { w.age("61 minutes"); look() }, len(all)},
		{"kept fresh", func() {
			w.age("61 minutes")
			if err := w.link.KeepFresh(t.Context(), w.tenant); err != nil {
				t.Error(err)
			}
		}, len(all)},
		{"a person looks", func() {
			if err := w.link.LookAtAll(t.Context(), w.tenant); err != nil {
				t.Error(err)
			}
		}, len(all)},
		{"a call is refused", func() {
			if err := w.link.Forget(t.Context(), w.tenant, "Accounts"); err != nil {
				t.Error(err)
			}
			look()
		}, 1},
		{"somebody else connects", func() { w.connect(org); look() }, len(all)},
	} {
		before := w.looks()
		step.do()
		if n := w.looks() - before; n != step.asks {
			t.Errorf("%s: asked %d times, want %d", step.when, n, step.asks)
		}
	}
	if _, err := w.link.Metadata(t.Context(), w.tenant, "Accounts"); classOf(err) != zoho.Permission {
		t.Errorf("got %v", err)
	}
	known, err := w.link.MetadataOf(t.Context(), w.tenant, all...)
	if err != nil || len(known) != 0 {
		t.Errorf("%d modules are open, %v", len(known), err)
	}
	if known, err := w.link.Known(t.Context(), w.tenant); err != nil || len(known) != len(connection.InUse) {
		t.Errorf("%d modules are known of before, %v", len(known), err)
	}
	w.control(http.MethodDelete, "/_sandbox/faults?org="+org, nil, nil)
	if err := w.link.LookAtAll(t.Context(), w.tenant); err != nil {
		t.Fatal(err)
	}
	if known, err := w.link.MetadataOf(t.Context(), w.tenant, all...); err != nil || len(known) != len(all) {
		t.Errorf("%d modules are open again, %v", len(known), err)
	}
}
