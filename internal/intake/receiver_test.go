package intake

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"hookline/internal/call"
	"hookline/internal/provider"
)

func TestEveryVendorsCallIsStoredBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	for _, p := range provider.All() {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			rung := make(chan struct{}, 10)
			d := newDoor(t, func(deps *Deps) { deps.Ring = ringer(rung) })
			o := d.source(p.Name())
			body := string(p.Compose(presets[0].Call(time.Now()), provider.Settings{}))
			got := d.post(o, "evt_1", body)
			if got.status != 200 || got.Dup || got.CallID == "" || got.Event == "" || got.header.Get("Content-Type") != "application/json" {
				t.Fatalf("%+v", got)
			}
			<-rung // after the commit
			d.wantRows(1, 1, 1)
			if d.count("wakes") != 1 {
				t.Error("the lane was not woken")
			}
			again := d.post(o, "evt_1", body)
			if again.status != 200 || !again.Dup || again.CallID != got.CallID || again.Event != got.Event {
				t.Errorf("the same again: %+v", again)
			}
			d.wantRows(1, 1, 1)
		})
	}
}

func TestFirstBodyOfAnEventWins(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	first := d.post(o, "evt", nativeBody("a"))
	second := d.post(o, "evt", nativeBody("b"))
	if !second.Dup || second.CallID != first.CallID {
		t.Errorf("%+v then %+v", first, second)
	}
	d.wantRows(1, 1, 1)
}

func TestNewEventOfAKnownCallMergesInAnyOrder(t *testing.T) {
	t.Parallel()
	late := `{"type":"call.updated","call_id":"a","summary":"late news"}`
	for name, order := range map[string][2]string{"news after the call": {nativeBody("a"), late}, "news before the call": {late, nativeBody("a")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t)
			o := d.source("native")
			one, two := d.post(o, "e1", order[0]), d.post(o, "e2", order[1])
			if one.Dup || two.Dup || one.CallID != two.CallID {
				t.Errorf("%+v then %+v", one, two)
			}
			d.wantRows(2, 2, 1)
			if d.count("news") != 1 {
				t.Error("the lane was not told which call has news")
			}
			st, err := d.sources.Status(context.Background(), d.tenant, o.ID)
			if err != nil || st.Call.Summary != "late news" || st.Call.LastName != "Ng" {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
}

func TestEventOfNoInterestIsCountedAndLeavesNoRow(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	d := newDoor(t, func(deps *Deps) { deps.Metrics = registry })
	got := d.post(d.source("native"), "e", `{"type":"call.ringing"}`)
	if got.status != 200 || got.text != `{"status":"ignored"}` {
		t.Errorf("%+v", got)
	}
	d.wantRows(0, 0, 0)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(families); !strings.Contains(text, `value:"ignored"`) {
		t.Errorf("not counted: %s", text)
	}
}

// IN1
func TestRequestWithoutTheSecretIsRefusedWithOneAnswerAndNoRow(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o, other := d.source("native"), d.source("native")
	body := nativeBody("a")
	changed := func(change func(http.Header)) http.Header {
		h := d.sign(o, "evt", body)
		change(h)
		return h
	}
	answers := map[string]bool{}
	for name, header := range map[string]http.Header{
		"none":              {"Content-Type": {"application/json"}},
		"another source's":  d.sign(other, "evt", body),
		"another body's":    d.sign(o, "evt", body+" "),
		"truncated":         changed(func(h http.Header) { h.Set("Webhook-Signature", h.Get("Webhook-Signature")[:20]) }),
		"id changed":        changed(func(h http.Header) { h.Set("Webhook-Id", "evt2") }),
		"timestamp changed": changed(func(h http.Header) { h.Set("Webhook-Timestamp", strconv.FormatInt(time.Now().Unix()-1, 10)) }),
	} {
		got := d.request(http.MethodPost, o.URL, header, strings.NewReader(body))
		if got.status != 401 || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %+v", name, got)
		}
		answers[got.text] = true
	}
	if len(answers) != 1 {
		t.Errorf("%d different bodies: %v", len(answers), answers)
	}
	d.wantRows(0, 0, 0)
}

// IN2
func TestTimestampMayBeFiveMinutesOff(t *testing.T) {
	t.Parallel()
	for off, want := range map[int]int{-301: 401, -299: 200, 299: 200, 301: 401} {
		d := newDoor(t, func(deps *Deps) {
			deps.Now = func() time.Time { return time.Now().Add(time.Duration(off) * time.Second) }
		})
		if got := d.post(d.source("native"), "e", nativeBody("a")); got.status != want {
			t.Errorf("%+d s: %d", off, got.status)
		}
	}
}

// IN3
func TestCommittedEventIsAnsweredDuplicateOnResend(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	var fresh sync.Map
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			got := d.post(o, "evt", nativeBody("a"))
			if got.status != 200 {
				t.Errorf("%+v", got)
			}
			if !got.Dup {
				fresh.Store(i, true)
			}
		})
	}
	wait.Wait()
	n := 0
	fresh.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d of 20 were told that theirs was the first", n)
	}
	d.wantRows(1, 1, 1)
	d.open() // a restart
	o.URL = d.server.URL + o.URL[strings.Index(o.URL, Path):]
	if got := d.post(o, "evt", nativeBody("a")); got.status != 200 || !got.Dup {
		t.Errorf("after a restart: %+v", got)
	}
	if err := d.database.InTenant(context.Background(), d.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), `DELETE FROM events`) // their retention is over; what was seen stays
		return err
	}); err != nil {
		t.Fatal(err)
	}
	d.wantRows(1, 0, 1)
	if got := d.post(o, "evt", nativeBody("a")); got.status != 200 || !got.Dup {
		t.Errorf("after 30 days: %+v", got)
	}
}

// IN5
func TestBodyOverTheLimitIsRefusedWithoutReadingTheRest(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	over := nativeBody("a") + repeat(" ", 1<<20)
	t.Run("announced", func(t *testing.T) {
		if got := d.post(o, "e", over); got.status != 413 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("not announced", func(t *testing.T) {
		if got := d.request(http.MethodPost, o.URL, d.sign(o, "e", over), io.MultiReader(strings.NewReader(over))); got.status != 413 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("exactly the limit is taken", func(t *testing.T) {
		body := nativeBody("a")
		body += repeat(" ", 1<<20-len(body))
		if got := d.post(o, "e2", body); got.status != 200 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("announced as endless, memory stays flat", func(t *testing.T) {
		conn, err := net.Dial("tcp", d.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000000000\r\n\r\n{", o.URL[strings.Index(o.URL, Path):])
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 413 {
			t.Fatalf("%v %v", resp, err)
		}
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
			t.Errorf("the heap grew by %d bytes", grown)
		}
	})
}

// IN6
func TestCompressedBodyIsRefused(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	for _, coding := range []string{"gzip", "br", "gzip, gzip"} {
		header := d.sign(o, "e", "{}")
		header.Set("Content-Encoding", coding)
		if got := d.request(http.MethodPost, o.URL, header, strings.NewReader("{}")); got.status != 415 {
			t.Errorf("%s: %+v", coding, got)
		}
	}
}

// IN7, IN8, IN9
func TestAuthenticButUnreadableIsKeptForAPerson(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"%05d":1`, i)
	}
	bodies := map[string]string{
		"100,000 nested arrays":  `{"call_id":"a","from":"","x":` + repeat("[", 100_000) + repeat("]", 100_000) + "}",
		"huge exponents":         `{"call_id":"a","from":"","x":[` + repeat("1e99999,", 1_000) + "1]}",
		"a huge integer":         `{"call_id":"a","from":"","x":` + repeat("9", 100_000) + "}",
		"100,000 keys":           "{" + strings.Join(keys, ",") + "}",
		"a key in other letters": `{"call_id":"a","CALL_ID":"b","from":""}`,
		"a key twice":            `{"call_id":"a","call_id":"b","from":""}`,
		"a second document":      nativeBody("a") + nativeBody("b"),
		"not JSON":               "\xff\x00\x01",
		"no call id":             `{"from":"+14155550123"}`,
	}
	i := 0
	for name, body := range bodies {
		i++
		id := "evt_" + strconv.Itoa(i)
		start := time.Now()
		got := d.post(o, id, body)
		if got.status != 200 || got.Status != "needs_attention" || got.Event == "" || got.CallID != "" {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if again := d.post(o, id, body); again.text != got.text {
			t.Errorf("%s again: %s, first %s", name, again.text, got.text)
		}
		event := call.IDOfEvent(o.ID, id)
		if raw := d.raw(event); raw != body {
			t.Errorf("%s: %d bytes are kept of %d", name, len(raw), len(body))
		}
		shown, err := RawEvents(context.Background(), d.database.DB, d.keys, d.tenant, call.IDOf(o.ID, unreadableCallID(event)))
		if err != nil || len(shown) != 1 || shown[0].Problem == "" || len(shown[0].Body) > maxShown {
			t.Errorf("%s: shown %d, %v", name, len(shown), err)
		}
	}
	d.wantRows(len(bodies), len(bodies), len(bodies))
	if n := d.count("attention"); n != len(bodies) {
		t.Errorf("%d calls need attention with a cause", n)
	}
	if d.count("wakes") != 0 {
		t.Error("lanes were woken for nothing")
	}
}

// IN8, IN14
func TestStrangeTextIsStoredAndItsBytesKept(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	for i, body := range []string{
		`{"call_id":"n\u0000ul","from":"+14155550123","summary":"a\u0000b","answers":{"k\u0000":"v\u0000"}}`,
		"{\"call_id\":\"utf\xff\",\"from\":\"+14155550123\",\"summary\":\"\xc3\x28\"}",
		`{"call_id":"lone","from":"+14155550123","summary":"\ud800","metadata":{"\udfff":{"x":"\ud83d"}}}`,
		"\xEF\xBB\xBF" + nativeBody("bom"),
		`{"call_id":"sql","from":"' OR 1=1--","caller":{"first_name":"🚀","last_name":"\u202eנו"},"started_at":"1969-07-20T20:17:40Z","duration_seconds":-1}`,
		`{"call_id":"turns","from":"+14155550123","transcript":[` + repeat(`{"role":"caller","text":"yes"},`, 9_999) + `{"role":"agent","text":"no"}]}`,
	} {
		id := "evt_" + strconv.Itoa(i)
		got := d.post(o, id, body)
		if got.status != 200 || got.CallID == "" {
			t.Errorf("body %d: %+v", i, got)
			continue
		}
		if raw := d.raw(call.IDOfEvent(o.ID, id)); raw != body {
			t.Errorf("body %d: other bytes are kept: %q", i, raw[:min(len(raw), 80)])
		}
	}
}

func (d *door) raw(id call.EventID) string {
	d.t.Helper()
	var sealed []byte
	if err := d.database.InTenant(context.Background(), d.tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(context.Background(), `SELECT raw FROM events WHERE id = $1`, uuid.UUID(id)).Scan(&sealed)
	}); err != nil {
		d.t.Fatal(err)
	}
	body, err := OpenRaw(d.keys, d.tenant, id, sealed)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(body)
}

// IN10
func TestOtherVerbsAndContentTypesAreRefused(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	for _, verb := range []string{"GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"} {
		if got := d.request(verb, o.URL, nil, nil); got.status != 405 || got.header.Get("Allow") != "POST" {
			t.Errorf("%s: %+v", verb, got)
		}
	}
	for _, media := range []string{"", "application/x-www-form-urlencoded", "text/xml", "multipart/form-data; boundary=x", "text/plain"} {
		header := d.sign(o, "e", nativeBody("a"))
		header.Set("Content-Type", media)
		if got := d.request(http.MethodPost, o.URL, header, strings.NewReader(nativeBody("a"))); got.status != 415 {
			t.Errorf("%q: %+v", media, got)
		}
	}
	header := d.sign(o, "e", nativeBody("a"))
	header.Set("Content-Type", "Application/JSON; charset=utf-8")
	if got := d.request(http.MethodPost, o.URL, header, strings.NewReader(nativeBody("a"))); got.status != 200 {
		t.Errorf("a charset is normal: %+v", got)
	}
}

// IN13
func TestUnknownAndDeletedSourcesAnswerAlike(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	if got := d.post(o, "e", nativeBody("a")); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	if err := d.sources.Delete(context.Background(), d.tenant, o.ID, ""); err != nil {
		t.Fatal(err)
	}
	deleted := d.post(o, "e2", nativeBody("b"))
	never := d.request(http.MethodPost, d.server.URL+Path+newKey(), d.sign(o, "e2", nativeBody("b")), strings.NewReader(nativeBody("b")))
	odd := d.request(http.MethodPost, d.server.URL+Path+"x", nil, strings.NewReader(""))
	if deleted.status != 404 || deleted.text != never.text || never.status != 404 || odd.text != never.text {
		t.Errorf("deleted %+v\nnever there %+v\nodd %+v", deleted, never, odd)
	}
	d.wantRows(1, 1, 1)
}

// IN15
func TestDatabaseAwayIsAnswered503WithinTwoSeconds(t *testing.T) {
	t.Parallel()
	var g *gate
	d := newDoor(t)
	o := d.source("native")
	g = newGate(t, d.database)
	db := g.pool(t, 4)
	d.open(func(deps *Deps) { deps.DB, deps.Remember, deps.Within = db, time.Minute, time.Second })
	o.URL = d.server.URL + o.URL[strings.Index(o.URL, Path):]
	ask := func(event string, want int) {
		t.Helper()
		start := time.Now()
		got := d.post(o, event, nativeBody(event))
		if took := time.Since(start); got.status != want || took > 2*time.Second {
			t.Errorf("%s: %d after %v, want %d", event, got.status, took, want)
		}
		if want == 503 && got.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	ask("before", 200)
	g.shut(true, false)
	ask("away", 503)
	g.shut(false, false)
	eventually(t, func() bool { return d.post(o, "again", nativeBody("again")).status == 200 })
	g.shut(false, true)
	ask("stuck", 503)
	g.shut(true, false)
	g.shut(false, false)
	eventually(t, func() bool { return d.post(o, "back", nativeBody("back")).status == 200 })

	// The pool is empty.
	full := g.pool(t, 1)
	held, err := full.Pool().Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	d.open(func(deps *Deps) { deps.DB, deps.Within = full, time.Second })
	o.URL = d.server.URL + o.URL[strings.Index(o.URL, Path):]
	ask("pool", 503)
	d.wantRows(3, 3, 3)
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if holds() {
			return
		}
	}
	t.Fatal("it did not come to hold within 10 s")
}

// P1
func TestHalfABodyLeavesNoRow(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	body := nativeBody("a")
	conn, err := net.Dial("tcp", d.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", o.URL[strings.Index(o.URL, Path):], len(body))
	if err := d.sign(o, "e", body).Write(conn); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "\r\n%s", body[:len(body)/2])
	_ = conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && resp.StatusCode == 200 {
		t.Error("half a body was acknowledged")
	}
	conn.Close()
	d.wantRows(0, 0, 0)
}

// P2, P3
func TestTransactionIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"events", "calls", "wakes"} {
		t.Run("the insert into "+table+" fails", func(t *testing.T) {
			t.Parallel()
			d := newDoor(t)
			o := d.source("native")
			d.owner(`CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'spoiled'; END $$;
				CREATE TRIGGER spoil BEFORE INSERT ON ` + table + ` FOR EACH ROW EXECUTE FUNCTION spoil()`)
			if got := d.post(o, "e", nativeBody("a")); got.status != 503 {
				t.Errorf("%+v", got)
			}
			d.wantRows(0, 0, 0)
			d.owner(`DROP TRIGGER spoil ON ` + table)
			if got := d.post(o, "e", nativeBody("a")); got.status != 200 || got.Dup {
				t.Errorf("sent again: %+v", got)
			}
		})
	}
	t.Run("the commit fails", func(t *testing.T) {
		t.Parallel()
		d := newDoor(t)
		o := d.source("native")
		d.owner(`CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'spoiled'; END $$;
			CREATE CONSTRAINT TRIGGER spoil AFTER INSERT ON calls DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spoil()`)
		if got := d.post(o, "e", nativeBody("a")); got.status != 503 {
			t.Errorf("%+v", got)
		}
		d.wantRows(0, 0, 0)
	})
}

func TestOneEventThatCannotBeStoredSpoilsNoOthers(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(deps *Deps) { deps.Committers = 1 })
	o := d.source("native")
	d.owner(`CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NEW.provider_call_id = 'bad' THEN RAISE EXCEPTION 'spoiled' USING ERRCODE = '22000'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER spoil BEFORE INSERT ON calls FOR EACH ROW EXECUTE FUNCTION spoil()`)
	var wait sync.WaitGroup
	for i := range 60 {
		wait.Go(func() {
			id, want := strconv.Itoa(i), 200
			if i%20 == 7 {
				id, want = "bad", 503
			}
			if got := d.post(o, strconv.Itoa(i), nativeBody(id)); got.status != want {
				t.Errorf("event %d: %+v, want %d", i, got, want)
			}
		})
	}
	wait.Wait()
	d.wantRows(57, 57, 57)
}

// P4
func TestAnswerLostAndSentAgainIsOneEvent(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	for i := range 20 {
		ctx, leave := context.WithCancel(context.Background())
		body := nativeBody(strconv.Itoa(i))
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header = d.sign(o, strconv.Itoa(i), body)
		time.AfterFunc(time.Duration(i)*500*time.Microsecond, leave)
		if resp, err := d.server.Client().Do(q); err == nil {
			resp.Body.Close()
		} else if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		leave()
		if got := d.post(o, strconv.Itoa(i), body); got.status != 200 {
			t.Errorf("%+v", got)
		}
	}
	d.wantRows(20, 20, 20)
}

func TestManySendersOfTheSameEventsEndInOneRowEach(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(deps *Deps) { deps.Committers, deps.Batch = 4, 16 })
	o := d.source("native")
	const events, senders = 40, 12
	var fresh [events]int
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range senders {
		wait.Go(func() {
			for _, i := range rand.Perm(events) {
				got := d.post(o, strconv.Itoa(i), nativeBody(strconv.Itoa(i/2)))
				if got.status != 200 {
					t.Errorf("%+v", got)
				}
				if !got.Dup {
					mu.Lock()
					fresh[i]++
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	for i, n := range fresh {
		if n != 1 {
			t.Errorf("event %d: %d senders were first", i, n)
		}
	}
	d.wantRows(events, events, events/2)
}

func TestShuttingDownStoresWhatIsInHandAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	answers := make(chan int, 200)
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() { answers <- d.post(o, strconv.Itoa(i), nativeBody(strconv.Itoa(i))).status })
	}
	d.receiver.Close()
	if got := d.post(o, "late", nativeBody("late")); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("%+v", got)
	}
	wait.Wait()
	close(answers)
	taken := 0
	for status := range answers {
		switch status {
		case 200:
			taken++
		case 503:
		default:
			t.Errorf("answered %d", status)
		}
	}
	d.wantRows(taken, taken, taken)
}

func TestBothSecretsWorkUntilTheOldOneIsDropped(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := newDoor(t)
	o := d.source("native")
	rotated, err := d.sources.Rotate(ctx, d.tenant, o.ID, "", "")
	if err != nil || len(rotated.Secrets) != 2 || !rotated.Rotating || rotated.RotatedAt.IsZero() || rotated.Secrets[1] != o.Secrets[0] {
		t.Fatalf("%+v, %v", rotated, err)
	}
	rotated.URL = o.URL
	try := func(s Opened, event string, want int) {
		t.Helper()
		if got := d.post(s, event, nativeBody(event)); got.status != want {
			t.Errorf("%s: %+v", event, got)
		}
	}
	try(o, "old", 200)
	try(rotated, "new", 200)
	if _, err := d.sources.DropOld(ctx, d.tenant, o.ID, ""); err != nil {
		t.Fatal(err)
	}
	try(o, "old again", 401)
	try(rotated, "new again", 200)
}

func TestTenantsShareABatchAndSeeOnlyTheirOwn(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(deps *Deps) { deps.Committers = 1 })
	doors := []*door{d}
	for range 4 {
		other := *d
		other.tenant = d.newTenant()
		doors = append(doors, &other)
	}
	var wait sync.WaitGroup
	for _, one := range doors {
		o := one.source("native")
		for i := range 10 {
			wait.Go(func() {
				if got := one.post(o, strconv.Itoa(i), nativeBody(strconv.Itoa(i))); got.status != 200 || got.Dup {
					t.Errorf("%+v", got)
				}
			})
		}
	}
	wait.Wait()
	for _, one := range doors {
		one.wantRows(10, 10, 10)
		var first, last time.Time
		var distinct int
		err := one.database.InTenant(context.Background(), one.tenant, func(tx pgx.Tx) error {
			return tx.QueryRow(context.Background(), `SELECT min(received_at), max(received_at), count(DISTINCT received_at) FROM calls`).Scan(&first, &last, &distinct)
		})
		if err != nil || distinct != 10 {
			t.Errorf("calls of one batch cannot be put in order: %d times, %v", distinct, err)
		}
	}
}

func TestNothingOfASecretIsStoredInTheClear(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("nextphone")
	if got := d.post(o, "", `{"caller_number":"+14155550123","call_timestamp":"2026-03-02T17:04:05Z"}`); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	var dump string
	if err := d.database.InTenant(context.Background(), d.tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(context.Background(), `
			SELECT (SELECT string_agg(s::text, '') FROM sources s) || (SELECT string_agg(e::text, '') FROM events e)
				|| (SELECT string_agg(encode(hash, 'hex'), '') FROM keys)`).Scan(&dump)
	}); err != nil {
		t.Fatal(err)
	}
	key := o.URL[strings.Index(o.URL, Path)+len(Path):]
	for _, secret := range []string{o.Secrets[0].Reveal(), key} {
		if strings.Contains(dump, secret) || strings.Contains(dump, fmt.Sprintf("%x", secret)) {
			t.Error("a secret stands in a table")
		}
	}
	if _, err := OpenRaw(d.keys, d.newTenant(), call.EventID{}, []byte("x")); err == nil {
		t.Error("sealed text opened elsewhere")
	}
}

func BenchmarkIntake(b *testing.B) {
	d := newDoor(b, func(deps *Deps) { deps.Remember = time.Minute })
	o := d.source("native")
	vendor := provider.Native{}
	c := presets[0].Call(time.Now())
	for len(c.Transcript) < 45 {
		c.Transcript = append(c.Transcript, call.Turn{Role: call.Caller, Text: "We would like to know what the enterprise plan " + strconv.Itoa(rand.Int()) + " costs for a year."})
	}
	b.SetParallelism(64)
	d.server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 256
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		mine := c
		for pb.Next() {
			mine.ProviderCallID = uuid.NewString()
			body := vendor.Compose(mine, provider.Settings{})
			if got := d.post(o, mine.ProviderCallID, string(body)); got.status != 200 {
				b.Errorf("%+v", got)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
