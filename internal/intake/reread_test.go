package intake

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/tenant"
)

// ownKeys is a NextPhone body whose keys are not those that a source expects before it is told.
const ownKeys = `{"phone":"+14155550123","nr":"a","what":"call.completed","call_summary":"Wants a quote"}`

// mend tells the source which keys ownKeys has.
func (d *door) mend(o Opened) {
	d.t.Helper()
	fields := map[string]string{"from": "phone", "call_id": "nr", "type": "what"}
	if _, err := d.sources.Configure(context.Background(), d.tenant, o.ID, "", o.Name, o.Checks, fields); err != nil {
		d.t.Fatal(err)
	}
}

// unreadable posts a body that cannot be read, and gives the call that stands in for the one it tells of.
func (d *door) unreadable(o Opened, body string) (call.EventID, call.ID) {
	d.t.Helper()
	got := d.post(o, "", body)
	if got.status != 200 || got.Status != "needs_attention" {
		d.t.Fatalf("%+v", got)
	}
	event := call.EventID(uuid.MustParse(got.Event))
	return event, call.IDOf(o.ID, unreadableCallID(event))
}

func (d *door) readAgain(id call.ID) Reread {
	d.t.Helper()
	r, err := d.sources.ReadAgain(context.Background(), d.tenant, id, "ann@acme.example")
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// row is a call as its table has it.
func (d *door) row(id call.ID) (status, sentence, link string) {
	d.t.Helper()
	if err := d.database.InTenant(context.Background(), d.tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(context.Background(), `SELECT status, COALESCE(cause->>'sentence', ''), COALESCE(cause->>'link', '') FROM calls WHERE id = $1`, id.UUID()).Scan(&status, &sentence, &link)
	}); err != nil {
		d.t.Fatal(err)
	}
	return
}

func (d *door) events(id call.ID) (events []call.Event) {
	d.t.Helper()
	if err := d.database.InTenant(context.Background(), d.tenant, func(tx pgx.Tx) (err error) {
		events, err = eventsOf(context.Background(), tx, d.tenant, id)
		return err
	}); err != nil {
		d.t.Fatal(err)
	}
	return
}

func TestAnEventThatCanBeReadOnceTheSourceIsMendedBecomesItsCall(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("nextphone")
	event, standIn := d.unreadable(o, ownKeys)

	if r := d.readAgain(standIn); r.Read() || !strings.Contains(r.Problem, "neither a call id nor") {
		t.Errorf("before the source is mended: %+v", r)
	}
	if status, sentence, link := d.row(standIn); status != "needs_attention" || !strings.Contains(sentence, "neither a call id nor") || link != "/sources/"+o.ID.String() {
		t.Errorf("%s: %s (%s)", status, sentence, link)
	}
	if d.count("wakes") != 0 {
		t.Error("the lane was woken for nothing")
	}

	d.mend(o)
	r := d.readAgain(standIn)
	if want := call.IDOf(o.ID, "a"); r.Call != want {
		t.Fatalf("%+v, want call %s", r, want)
	}
	d.wantRows(1, 1, 1)
	if status, _, _ := d.row(r.Call); status != "received" || d.count("wakes") != 1 {
		t.Errorf("%s, %d wakes", status, d.count("wakes"))
	}
	events := d.events(r.Call)
	if len(events) != 1 || events[0].Kind != call.KindCompleted || events[0].Call.From != "+14155550123" || events[0].Call.Summary != "Wants a quote" || events[0].Problem != "" {
		t.Errorf("%+v", events)
	}
	if notes := strings.Join(events[0].Notes, " "); !strings.Contains(notes, "when it was replayed") || !strings.Contains(notes, "neither a call id nor") {
		t.Errorf("the event does not say what happened to it: %s", notes)
	}
	if d.raw(event) != ownKeys {
		t.Error("other bytes are kept")
	}

	t.Run("the id of the stand-in leads to it", func(t *testing.T) {
		for _, id := range []call.ID{standIn, r.Call} {
			if now, err := CallOf(context.Background(), d.database.DB, d.tenant, id); err != nil || now != r.Call {
				t.Errorf("%s: %s, %v", id, now, err)
			}
		}
	})
	t.Run("the same bytes again get the first answer and change nothing", func(t *testing.T) {
		if again := d.post(o, "", ownKeys); again.status != 200 || again.Event != event.String() {
			t.Errorf("%+v", again)
		}
		d.wantRows(1, 1, 1)
	})
	t.Run("what was read is not read again", func(t *testing.T) {
		for _, id := range []call.ID{standIn, r.Call} {
			if r := d.readAgain(id); r != (Reread{}) {
				t.Errorf("%+v", r)
			}
		}
		if d.count("wakes") != 1 {
			t.Error("the lane was woken again")
		}
	})
	t.Run("the audit log tells who replayed it", func(t *testing.T) {
		var n int
		if err := d.database.InTenant(context.Background(), d.tenant, func(tx pgx.Tx) error {
			return tx.QueryRow(context.Background(), `SELECT count(*) FROM audit WHERE action = 'call.replayed' AND actor = 'ann@acme.example' AND target = $1`, standIn.String()).Scan(&n)
		}); err != nil || n != 2 {
			t.Errorf("%d entries, %v; want one a replay", n, err)
		}
	})
}

func TestAnEventReadAtLastJoinsTheCallThatOtherEventsTellOf(t *testing.T) {
	t.Parallel()
	news := `{"phone":"+14155550123","nr":"a","what":"call.updated","call_summary":"Late news"}`
	t.Run("which came meanwhile", func(t *testing.T) {
		t.Parallel()
		d := newDoor(t)
		o := d.source("nextphone")
		_, standIn := d.unreadable(o, ownKeys)
		d.mend(o)
		known := d.post(o, "", news)
		if r := d.readAgain(standIn); r.Call.String() != known.CallID {
			t.Fatalf("%+v, want %s", r, known.CallID)
		}
		d.wantRows(2, 2, 1)
		if d.count("news") != 1 {
			t.Error("the lane was not told which call has news")
		}
		if c := call.Fold(d.events(call.IDOf(o.ID, "a"))); c.Summary != "Late news" || c.From != "+14155550123" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("which could not be read either, replayed by several people at once", func(t *testing.T) {
		t.Parallel()
		d := newDoor(t)
		o := d.source("nextphone")
		_, one := d.unreadable(o, ownKeys)
		_, two := d.unreadable(o, news)
		d.mend(o)
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() { d.readAgain(one) })
			wait.Go(func() { d.readAgain(two) })
		}
		wait.Wait()
		d.wantRows(2, 2, 1)
		if c := call.Fold(d.events(call.IDOf(o.ID, "a"))); c.Summary != "Late news" || d.count("wakes") != 2 {
			t.Errorf("%+v, %d wakes", c, d.count("wakes"))
		}
	})
}

func TestAnEventThatTurnsOutToTellOfNoCallIsIgnored(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("nextphone")
	_, standIn := d.unreadable(o, `{"phone":"+14155550123","what":"call.ringing"}`)
	d.mend(o)
	if r := d.readAgain(standIn); r.Ignored != "call.ringing" || r.Read() {
		t.Errorf("%+v", r)
	}
	if status, sentence, _ := d.row(standIn); status != "ignored" || sentence != "" || d.count("wakes") != 0 {
		t.Errorf("%s, %s, %d wakes", status, sentence, d.count("wakes"))
	}
}

func TestAnEventWhoseBytesAreGoneSaysSo(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("nextphone")
	_, standIn := d.unreadable(o, ownKeys)
	if err := d.database.InTenant(context.Background(), d.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), `UPDATE events SET raw = NULL`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	d.mend(o)
	for range 2 {
		if r := d.readAgain(standIn); strings.Count(r.Problem, "no longer kept") != 1 {
			t.Errorf("%+v", r)
		}
	}
	d.wantRows(1, 1, 1)
}

func TestAnEventIsReadAgainThoughItsSourceIsDeleted(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("nextphone")
	_, standIn := d.unreadable(o, ownKeys)
	d.mend(o)
	if err := d.sources.Delete(context.Background(), d.tenant, o.ID, ""); err != nil {
		t.Fatal(err)
	}
	if r := d.readAgain(standIn); !r.Read() {
		t.Errorf("%+v", r)
	}
}

func TestNobodyElseReadsATenantsEventAgainOrDeletesACall(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("nextphone")
	_, standIn := d.unreadable(o, ownKeys)
	d.mend(o)
	other, ctx := d.newTenant(), context.Background()
	if r, err := d.sources.ReadAgain(ctx, other, standIn, "eve"); err != nil || r != (Reread{}) {
		t.Errorf("%+v, %v", r, err)
	}
	read := d.readAgain(standIn)
	if now, err := CallOf(ctx, d.database.DB, other, standIn); err != nil || now != standIn {
		t.Errorf("another tenant is told of %s, %v", now, err)
	}
	d.unreadable(o, `{"x":1}`)
	for t2, want := range map[tenant.ID]int64{other: 0, d.tenant: 1} { // of its own, the stand-in only
		if err := d.database.InTenant(ctx, t2, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `DELETE FROM calls`)
			if tag.RowsAffected() != want {
				t.Errorf("%d calls could be deleted, want %d", tag.RowsAffected(), want)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, _ := d.row(read.Call); status != "received" {
		t.Errorf("the call is %s", status)
	}
}
