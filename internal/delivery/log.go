package delivery

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// Row is one call as lists show it.
type Row struct {
	ID             call.ID
	ProviderCallID string
	Source         string // name
	SourceID       uuid.UUID
	ReceivedAt     time.Time
	StartedAt      time.Time // zero: not told
	DeliveredAt    time.Time // zero: not yet
	ChangedAt      time.Time
	Status         string // one of the six: held when the call is open, and its lane is held or it waits for credits
	Reason         string // why it is held, or the sentence of its cause
	Name           string
	Number         call.Phone
	Direction      call.Direction
	Intent         string
	Summary        string // its beginning
	Talk           time.Duration
	Outcome        string // in words; empty: not decided
	Rule           string // name
	ZohoIDs        []string
	Test           bool

	folded bool // the lane has written what the events tell
}

// Filter narrows the list. Zero values ask for everything.
type Filter struct {
	Status string // one of the six
	Source uuid.UUID
	Rule   string // name
	Since  time.Time
	Until  time.Time
	Q      string // a number in any spelling, the beginning of a name, an id of Zoho's, ours or the provider's
	Cursor string // of the page before
	Limit  int    // 50; at most 200
}

// Page is one page of calls, newest first. Next is the cursor of the page after it, empty at the end.
type Page struct {
	Calls []Row
	Next  string
}

// rowColumns are those of Row, from calls c, lanes l and sources s.
const rowColumns = `
	c.id, c.provider_call_id, COALESCE(s.name, ''), c.source_id, c.received_at, c.started_at, c.delivered_at, c.changed_at,
	CASE WHEN c.status IN ('received', 'delivering') AND (COALESCE(l.hold, '') <> '' OR c.cause ->> 'code' = 'CREDITS') THEN 'held' ELSE c.status END,
	CASE WHEN c.status IN ('received', 'delivering') AND COALESCE(l.hold, '') <> '' THEN l.hold_detail ELSE COALESCE(c.cause ->> 'sentence', '') END,
	c.name, c.number, c.direction, c.intent, COALESCE(left(c.call ->> 'summary', 300), ''), c.seconds, c.outcome, c.rule, c.zoho_ids, c.is_test, c.revision > 0
	`

func scanRow(row pgx.CollectableRow) (Row, error) {
	var r Row
	var began, delivered *time.Time
	var talk int
	err := row.Scan((*uuid.UUID)(&r.ID), &r.ProviderCallID, &r.Source, &r.SourceID, &r.ReceivedAt, &began, &delivered, &r.ChangedAt,
		&r.Status, &r.Reason, &r.Name, (*string)(&r.Number), (*string)(&r.Direction), &r.Intent, &r.Summary, &talk, &r.Outcome, &r.Rule,
		&r.ZohoIDs, &r.Test, &r.folded)
	r.StartedAt, r.DeliveredAt, r.Talk = timeOf(began), timeOf(delivered), time.Duration(talk)*time.Second
	return r, err
}

// statuses that a filter may name.
var statuses = map[string]bool{"": true, Received: true, Delivering: true, Delivered: true, Held: true, NeedsAttention: true, Ignored: true}

// ListCalls gives a page of the log, newest first.
func ListCalls(ctx context.Context, db *postgres.DB, t tenant.Tenant, f Filter) (Page, error) {
	if !statuses[f.Status] {
		return Page{}, fault.Field("status", "There is no such status.")
	}
	at, id, err := readCursor(f.Cursor)
	if err != nil {
		return Page{}, err
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 200)
	var page Page
	err = db.InTenant(ctx, t.ID.UUID(), func(tx pgx.Tx) error {
		page = Page{}
		lane, err := readLane(ctx, tx, t.ID)
		if err != nil {
			return err
		}
		wanted, sparing := statusesOf(f.Status, lane.Hold != "")
		if wanted != nil && len(wanted) == 0 {
			return nil
		}
		found, searching, err := search(ctx, tx, t, strings.TrimSpace(f.Q))
		if err != nil {
			return err
		}
		if searching && len(found) == 0 {
			return nil
		}
		rows, err := tx.Query(ctx, `
			SELECT `+rowColumns+`
			  FROM calls c
			  LEFT JOIN lanes l ON l.tenant_id = c.tenant_id
			  LEFT JOIN sources s ON s.tenant_id = c.tenant_id AND s.id = c.source_id
			 WHERE c.tenant_id = @tenant
			   AND (@statuses::text[] IS NULL OR c.status = ANY(@statuses))
			   AND (@sparing::boolean IS NULL OR (COALESCE(c.cause ->> 'code', '') = 'CREDITS') = @sparing)
			   AND (NOT @searching OR c.id = ANY(@found))
			   AND (@source = '00000000-0000-0000-0000-000000000000'::uuid OR c.source_id = @source)
			   AND (@rule = '' OR c.rule = @rule)
			   AND (@since::timestamptz IS NULL OR c.received_at >= @since)
			   AND (@until::timestamptz IS NULL OR c.received_at < @until)
			   AND (@at::timestamptz IS NULL OR (c.received_at, c.id) < (@at, @id))
			 ORDER BY c.received_at DESC, c.id DESC
			 LIMIT @limit`,
			pgx.StrictNamedArgs{
				"tenant": t.ID.UUID(), "statuses": wanted, "sparing": sparing, "searching": searching, "found": found,
				"source": f.Source, "rule": f.Rule, "since": orNull(f.Since), "until": orNull(f.Until), "at": orNull(at), "id": id,
				"limit": limit + 1,
			})
		if err != nil {
			return err
		}
		if page.Calls, err = pgx.CollectRows(rows, scanRow); err != nil {
			return err
		}
		if len(page.Calls) > limit {
			page.Calls = page.Calls[:limit]
			page.Next = cursorOf(page.Calls[limit-1])
		}
		return foldWaiting(ctx, tx, t.ID, page.Calls)
	})
	if err != nil {
		return Page{}, fmt.Errorf("listing calls: %w", err)
	}
	return page, nil
}

// statusesOf says which stored statuses a filter's status means while the lane is held, or is not, nil for any; and
// whether the calls wait for credits, nil where that does not matter.
func statusesOf(status string, held bool) (stored []string, sparing *bool) {
	waits, goesOn := true, false
	switch {
	case status == "":
		return nil, nil
	case status == Held && held:
		return []string{Received, Delivering}, nil
	case status == Held:
		return []string{Received, Delivering}, &waits
	case status != Received && status != Delivering:
		return []string{status}, nil
	case held:
		return []string{}, nil
	}
	return []string{status}, &goesOn
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func cursorOf(r Row) string {
	return base64.RawURLEncoding.EncodeToString([]byte(r.ReceivedAt.UTC().Format(time.RFC3339Nano) + "|" + r.ID.String()))
}

func readCursor(s string) (time.Time, uuid.UUID, error) {
	if s == "" {
		return time.Time{}, uuid.Nil, nil
	}
	bad := fault.Field("cursor", "This page's address is damaged. Start from the newest calls.")
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return time.Time{}, uuid.Nil, bad
	}
	moment, name, found := strings.Cut(string(text), "|")
	at, err := time.Parse(time.RFC3339Nano, moment)
	if err != nil || !found {
		return time.Time{}, uuid.Nil, bad
	}
	id, err := uuid.Parse(name)
	if err != nil {
		return time.Time{}, uuid.Nil, bad
	}
	return at, id, nil
}

// maxHits bounds what a search finds; it finds the newest.
const maxHits = 1000

// search finds the calls that q may mean. It reports false when q is empty.
func search(ctx context.Context, tx pgx.Tx, t tenant.Tenant, q string) (found []uuid.UUID, searching bool, err error) {
	if q == "" {
		return []uuid.UUID{}, false, nil
	}
	ids := []uuid.UUID{}
	if id, err := uuid.Parse(q); err == nil {
		ids = append(ids, id)
	}
	number := ""
	if p, _, _ := call.ReadPhone(q, t.Country); p.Usable() {
		number = string(p)
	}
	digits := q
	if strings.Trim(digits, "0123456789") != "" {
		digits = ""
	}
	sources, err := readSources(ctx, tx, t.ID)
	if err != nil {
		return nil, true, err
	}
	for source := range sources {
		ids = append(ids, call.IDOf(source, q).UUID())
	}
	word, pattern := "", ""
	if digits == "" && number == "" {
		for _, w := range wordsOf(q) {
			if len(w) > len(word) {
				word = w
			}
		}
		pattern = "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.Join(strings.Fields(q), " ")) + "%"
	}
	rows, err := tx.Query(ctx, `
		(SELECT id FROM calls WHERE tenant_id = @tenant AND id = ANY(@ids))
		UNION
		(SELECT id FROM calls WHERE @number <> '' AND tenant_id = @tenant AND caller_key = @number AND caller_key <> ''
		  ORDER BY received_at DESC LIMIT @most)
		UNION
		(SELECT call_id FROM deliveries WHERE @digits <> '' AND tenant_id = @tenant AND zoho_id = @digits AND zoho_id <> '')
		UNION
		(SELECT calls.id FROM callers JOIN calls ON calls.tenant_id = callers.tenant_id AND calls.caller_key = callers.number AND calls.caller_key <> ''
		  WHERE @digits <> '' AND callers.tenant_id = @tenant AND callers.record_id = @digits LIMIT @most)
		UNION
		(SELECT calls.id FROM (
		     (SELECT call_id FROM call_words WHERE @word <> '' AND tenant_id = @tenant AND word = @word
		       ORDER BY received_at DESC LIMIT @most)
		     UNION
		     (SELECT call_id FROM call_words WHERE @word <> '' AND tenant_id = @tenant AND word >= @word AND word < @beyond
		       ORDER BY word, received_at DESC LIMIT @most)) AS hits
		   JOIN calls ON calls.tenant_id = @tenant AND calls.id = hits.call_id AND calls.name ILIKE @pattern)`,
		pgx.StrictNamedArgs{"tenant": t.ID.UUID(), "ids": ids, "number": number, "digits": digits, "word": word, "beyond": word + "\U0010FFFF",
			"pattern": pattern, "most": maxHits})
	if err != nil {
		return nil, true, err
	}
	found, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	return found, true, err
}

// wordsOf are the words of a name by which it is found: lower case, at most six, without what is no letter or digit at
// their ends.
func wordsOf(name string) []string {
	var words []string
	for _, w := range strings.Fields(strings.ToLower(name)) {
		w = strings.TrimFunc(w, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if w != "" && len(w) <= 100 && !slices.Contains(words, w) {
			words = append(words, w)
		}
		if len(words) == 6 {
			break
		}
	}
	return words
}

// foldWaiting fills rows that no lane has looked at yet, because theirs is held or busy: a call is what its events
// tell, whoever reads them.
func foldWaiting(ctx context.Context, tx pgx.Tx, t tenant.ID, rows []Row) error {
	waiting := map[uuid.UUID]*Row{}
	var jobs []*job
	for i := range rows {
		if !rows[i].folded {
			waiting[rows[i].ID.UUID()] = &rows[i]
			jobs = append(jobs, &job{id: rows[i].ID})
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	if err := readEvents(ctx, tx, t, jobs); err != nil {
		return err
	}
	for _, j := range jobs {
		c, r := call.Fold(j.events), waiting[j.id.UUID()]
		r.StartedAt, r.Name, r.Number, r.Direction = c.StartedAt, nameOf(c), c.Customer(), c.Direction
		r.Intent, r.Summary, r.Talk, r.Test = c.Intent, c.Summary, c.Duration, c.Test
	}
	return nil
}
