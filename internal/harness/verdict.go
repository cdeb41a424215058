package harness

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres/embedded"
)

// Verdict is the comparison of three histories: what senders were told, what the database says, what the CRM holds, with
// the CRM's ledger of what took effect as the judge of what was done twice.
type Verdict struct {
	Acknowledged int
	Unanswered   int            // sent, and the sender was never told: they may be there or not, once at most
	Delivered    int            // by the database
	ByStatus     map[string]int // by the database
	Lost         []string       // acknowledged, but not once in the CRM or not delivered by the database
	Doubled      []string       // more than once in the CRM, or created more than once by the ledger
	Strange      []string       // in the CRM without having been sent, or the log tells of a record that is not there
	Impolite     []string       // requests that Zoho's limits forbid
}

// OK reports whether nothing is wrong.
func (v Verdict) OK() bool { return len(v.Lost)+len(v.Doubled)+len(v.Strange)+len(v.Impolite) == 0 }

func (v Verdict) String() string {
	first := func(what []string) string { return fmt.Sprint(len(what), " ", what[:min(5, len(what))]) }
	return fmt.Sprintf("%d acknowledged, %d never answered, %d delivered, by status %v; lost %s, doubled %s, strange %s, impolite %s",
		v.Acknowledged, v.Unanswered, v.Delivered, v.ByStatus, first(v.Lost), first(v.Doubled), first(v.Strange), first(v.Impolite))
}

// Database opens the system's database as its superuser, who sees all tenants.
func (s *System) Database(ctx context.Context) (*pgx.Conn, error) {
	if s.SuperURL != "" {
		return pgx.Connect(ctx, s.SuperURL)
	}
	server, ok := embedded.Join(ctx, s.DataDir())
	if !ok {
		return nil, fmt.Errorf("no database answers in %s", s.DataDir())
	}
	address := strings.Replace(server.SuperURL(), "/postgres?", "/hookline?", 1)
	return pgx.Connect(ctx, address)
}

// Settle waits until no call of any tenant is on its way.
func (s *System) Settle(ctx context.Context) error {
	for {
		open, err := s.open(ctx)
		if err == nil && open == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d calls are still on their way (%w; last look: %v)", open, ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *System) open(ctx context.Context) (n int, err error) {
	conn, err := s.Database(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM calls WHERE status IN ('received', 'delivering')) + (SELECT count(*) FROM wakes)`).Scan(&n)
	return n, err
}

// Compare judges a run in which every call is a new caller's or a known caller's, each of them inbound and answered:
// one Zoho Call per call sent, one Lead per number. Calls of which the sender does not know whether they were taken
// stand in unanswered: they may be there, once.
func (s *System) Compare(ctx context.Context, acknowledged []Call, unanswered ...Call) (Verdict, error) {
	v := Verdict{Acknowledged: len(acknowledged), Unanswered: len(unanswered), ByStatus: map[string]int{}}
	conn, err := s.Database(ctx)
	if err != nil {
		return v, err
	}
	defer func() { _ = conn.Close(ctx) }()
	stored, err := readStored(ctx, conn)
	if err != nil {
		return v, err
	}
	for _, row := range stored {
		v.ByStatus[row.status]++
	}
	written, err := readWritten(ctx, conn)
	if err != nil {
		return v, err
	}

	sent := map[Tenant][]Call{}
	known := map[string]bool{} // tokens of acknowledged calls
	for _, c := range acknowledged {
		sent[c.Tenant] = append(sent[c.Tenant], c)
		known[c.Token] = true
	}
	for _, c := range unanswered {
		sent[c.Tenant] = append(sent[c.Tenant], c)
	}
	for t, calls := range sent {
		if err := s.compareTenant(ctx, &v, t, calls, known, stored, written[t.ID]); err != nil {
			return v, err
		}
	}
	return v, nil
}

// storedCall is what the database says of a call, by tenant and the provider's id.
type storedCall struct {
	status string
	ids    []string
}

func readStored(ctx context.Context, conn *pgx.Conn) (map[string]storedCall, error) {
	rows, _ := conn.Query(ctx, `SELECT tenant_id::text, provider_call_id, status, zoho_ids FROM calls`)
	stored := map[string]storedCall{}
	var tenantID, token string
	var c storedCall
	_, err := pgx.ForEachRow(rows, []any{&tenantID, &token, &c.status, &c.ids}, func() error {
		stored[tenantID+token] = c
		return nil
	})
	return stored, err
}

// readWritten gives the records that deliveries say they made, as module and id → how many say so, by tenant.
func readWritten(ctx context.Context, conn *pgx.Conn) (map[string]map[string]int, error) {
	rows, _ := conn.Query(ctx, `
		SELECT tenant_id::text, module || ' ' || zoho_id FROM deliveries WHERE action = 'create' AND state = 'done' AND revision = 0`)
	written := map[string]map[string]int{}
	var tenantID, record string
	_, err := pgx.ForEachRow(rows, []any{&tenantID, &record}, func() error {
		if written[tenantID] == nil {
			written[tenantID] = map[string]int{}
		}
		written[tenantID][record]++
		return nil
	})
	return written, err
}

func (s *System) compareTenant(ctx context.Context, v *Verdict, t Tenant, calls []Call, known map[string]bool, stored map[string]storedCall, written map[string]int) error {
	held, err := s.Records(ctx, t, "Calls")
	if err != nil {
		return err
	}
	leads, err := s.Records(ctx, t, "Leads")
	if err != nil {
		return err
	}
	lines, err := s.Ledger(ctx, t)
	if err != nil {
		return err
	}
	callsByToken, leadsByPhone, ids := map[string][]string{}, map[string]int{}, map[string]bool{}
	for _, record := range held {
		subject, _ := record["Subject"].(string)
		token, _, _ := strings.Cut(strings.TrimPrefix(subject, "Inbound call - "), " ")
		text, _ := record["Description"].(string)
		callsByToken[token] = append(callsByToken[token], text)
		ids[fmt.Sprint(record["id"])] = true
	}
	for _, record := range leads {
		leadsByPhone[fmt.Sprint(record["Phone"])]++
		ids[fmt.Sprint(record["id"])] = true
	}
	sent, numbers := map[string]bool{}, map[string]bool{}
	for _, c := range calls {
		sent[c.Token] = true
		row, there := stored[t.ID+c.Token]
		if !known[c.Token] && !there {
			continue // it was never taken
		}
		numbers[c.From] = true
		switch texts := callsByToken[c.Token]; {
		case len(texts) > 1:
			v.Doubled = append(v.Doubled, c.Token)
		case len(texts) == 0 || row.status != "delivered":
			v.Lost = append(v.Lost, fmt.Sprintf("%s (%s in the database, %d in the CRM)", c.Token, row.status, len(texts)))
		case !strings.Contains(texts[0], c.News):
			v.Lost = append(v.Lost, "the news of "+c.Token)
		default:
			v.Delivered++
		}
		for _, id := range row.ids {
			if !ids[id] {
				v.Strange = append(v.Strange, c.Token+" names record "+id+", which is not there")
			}
		}
	}
	for number := range numbers {
		if n := leadsByPhone[number]; n == 0 {
			v.Lost = append(v.Lost, "no Lead for "+number)
		} else if n > 1 {
			v.Doubled = append(v.Doubled, fmt.Sprintf("%d Leads for %s", n, number))
		}
	}
	for token := range callsByToken {
		if !sent[token] {
			v.Strange = append(v.Strange, "a Call that was not sent: "+token)
		}
	}
	// What took effect against what the ledger of deliveries says: each create that took effect is one delivery's.
	made := created(lines)
	for id, module := range made {
		if n := written[module+" "+id]; n != 1 {
			v.Doubled = append(v.Doubled, fmt.Sprintf("%s %s was created, and %d deliveries say that they made it", module, id, n))
		}
	}
	for record, n := range written {
		if module, id, _ := strings.Cut(record, " "); made[id] != module {
			v.Strange = append(v.Strange, fmt.Sprintf("%d deliveries say that they made %s, and nothing did", n, record))
		}
	}
	v.Impolite = append(v.Impolite, impolite(lines)...)
	return nil
}

// SendAgainSetAside does what a person would: every call that waits for one because Zoho's answers got lost again and
// again, or because we could not work on it, is sent again. It reports how many there were.
func (s *System) SendAgainSetAside(ctx context.Context, tenants []Tenant) (int, error) {
	conn, err := s.Database(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	keys := map[string]string{}
	for _, t := range tenants {
		keys[t.ID] = t.APIKey
	}
	rows, _ := conn.Query(ctx, `SELECT tenant_id::text, id::text FROM calls WHERE status = 'needs_attention' AND cause->>'code' IN ('AGAIN', 'OURS')`)
	type waiting struct{ Tenant, ID string }
	calls, err := pgx.CollectRows(rows, pgx.RowToStructByPos[waiting])
	if err != nil {
		return 0, err
	}
	for _, c := range calls {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Addr+"/api/v1/calls/"+c.ID+"/replay", nil)
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "Bearer "+keys[c.Tenant])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			return 0, fmt.Errorf("replaying call %s: %s", c.ID, resp.Status)
		}
	}
	return len(calls), nil
}
