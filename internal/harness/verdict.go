package harness

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres/embedded"
)

// Verdict is the comparison of three histories: what senders were told, what the database says, what the CRM holds.
type Verdict struct {
	Acknowledged int
	Delivered    int            // by the database
	ByStatus     map[string]int // by the database
	Lost         []string       // acknowledged, but not once in the CRM or not delivered by the database
	Doubled      []string       // more than once in the CRM
	Strange      []string       // in the CRM without having been sent, or the log tells of a record that is not there
}

// OK reports whether nothing is wrong.
func (v Verdict) OK() bool { return len(v.Lost)+len(v.Doubled)+len(v.Strange) == 0 }

func (v Verdict) String() string {
	first := func(what []string) string { return fmt.Sprint(len(what), " ", what[:min(5, len(what))]) }
	return fmt.Sprintf("%d acknowledged, %d delivered, by status %v; lost %s, doubled %s, strange %s",
		v.Acknowledged, v.Delivered, v.ByStatus, first(v.Lost), first(v.Doubled), first(v.Strange))
}

// Database opens the system's database as its superuser, who sees all tenants.
func (s *System) Database(ctx context.Context) (*pgx.Conn, error) {
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
// one Zoho Call per call sent, one Lead per number.
func (s *System) Compare(ctx context.Context, acknowledged []Call) (Verdict, error) {
	v := Verdict{Acknowledged: len(acknowledged), ByStatus: map[string]int{}}
	conn, err := s.Database(ctx)
	if err != nil {
		return v, err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, _ := conn.Query(ctx, `SELECT tenant_id::text, provider_call_id, status, zoho_ids FROM calls`)
	type row struct {
		status string
		ids    []string
	}
	stored := map[string]row{}
	var tenantID, token string
	var r row
	if _, err := pgx.ForEachRow(rows, []any{&tenantID, &token, &r.status, &r.ids}, func() error {
		stored[tenantID+token] = r
		v.ByStatus[r.status]++
		return nil
	}); err != nil {
		return v, err
	}

	byTenant := map[Tenant][]Call{}
	for _, c := range acknowledged {
		byTenant[c.Tenant] = append(byTenant[c.Tenant], c)
	}
	for t, calls := range byTenant {
		held, err := s.Records(ctx, t, "Calls")
		if err != nil {
			return v, err
		}
		leads, err := s.Records(ctx, t, "Leads")
		if err != nil {
			return v, err
		}
		callsByToken, leadsByPhone, ids := map[string]int{}, map[string]int{}, map[string]bool{}
		for _, record := range held {
			subject, _ := record["Subject"].(string)
			token, _, _ := strings.Cut(strings.TrimPrefix(subject, "Inbound call - "), " ")
			callsByToken[token]++
			ids[fmt.Sprint(record["id"])] = true
		}
		for _, record := range leads {
			leadsByPhone[fmt.Sprint(record["Phone"])]++
			ids[fmt.Sprint(record["id"])] = true
		}
		sent := map[string]bool{}
		numbers := map[string]bool{}
		for _, c := range calls {
			sent[c.Token], numbers[c.From] = true, true
			row := stored[t.ID+c.Token]
			switch n := callsByToken[c.Token]; {
			case n == 0 || row.status != "delivered":
				v.Lost = append(v.Lost, fmt.Sprintf("%s (%s in the database, %d in the CRM)", c.Token, row.status, n))
			case n > 1:
				v.Doubled = append(v.Doubled, c.Token)
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
	}
	return v, nil
}
