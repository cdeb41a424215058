package connection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// Deps are what connections need.
type Deps struct {
	DB      *postgres.DB
	Keys    *seal.Keys
	Client  *zoho.Client // its table of centres is the one that callbacks are checked against
	OAuth   zoho.Credentials
	BaseURL string // of this program, without a slash at the end: consent comes back to BaseURL/zoho/callback
	Log     *slog.Logger

	// Connected runs in the transaction that saves a link, so that what waited for it is woken.
	Connected func(ctx context.Context, tx pgx.Tx, t tenant.ID) error
	// Lost runs in the transaction that marks a link as needing a person.
	Lost func(ctx context.Context, tx pgx.Tx, t tenant.ID, reason string) error
}

// Connections are all tenants' links to Zoho.
type Connections struct {
	db        *postgres.DB
	keys      *seal.Keys
	client    *zoho.Client
	oauth     zoho.Credentials
	redirect  string
	log       *slog.Logger
	connected func(context.Context, pgx.Tx, tenant.ID) error
	lost      func(context.Context, pgx.Tx, tenant.ID, string) error

	mu   sync.Mutex
	held map[tenant.ID]*held
}

// New makes Connections.
func New(d Deps) *Connections {
	c := &Connections{
		db: d.DB, keys: d.Keys, client: d.Client, oauth: d.OAuth, log: d.Log,
		redirect:  strings.TrimRight(d.BaseURL, "/") + "/zoho/callback",
		connected: d.Connected, lost: d.Lost,
		held: map[tenant.ID]*held{},
	}
	if c.connected == nil {
		c.connected = func(context.Context, pgx.Tx, tenant.ID) error { return nil }
	}
	if c.lost == nil {
		c.lost = func(context.Context, pgx.Tx, tenant.ID, string) error { return nil }
	}
	return c
}

// Actor is who does something to a link.
type Actor struct {
	Person uuid.UUID
	Name   string // e-mail, or "hookline": what the audit log shows
}

// Status says whether a link can be used.
type Status string

const (
	NotConnected   Status = "not_connected" // never was
	Connected      Status = "connected"
	NeedsReconnect Status = "needs_reconnect" // Zoho no longer takes our token: a person must consent again
	Failed         Status = "failed"          // a consent ended with an answer that cannot be trusted
	Disconnected   Status = "disconnected"    // by a person
)

// Connection is one tenant's link as pages and steps see it; tokens stay inside the package.
type Connection struct {
	Status        Status
	Reason        string // in words, when it is not connected
	Centre        zoho.Centre
	OrgID         string
	OrgName       string
	OrgDomain     string
	Edition       string // as Zoho names it: free, standard, …
	Users         int
	Currency      string // ISO 4217
	TimeZone      string // IANA name
	Country       string // ISO 3166-1 alpha-2
	ZohoUser      string // who consented, in Zoho
	ConnectedBy   string // who consented, in Hookline
	ConnectedAt   time.Time
	Scopes        []string
	Probe         []ModuleProbe
	ProbedAt      time.Time
	Abilities     []Ability         // of the organisation's edition, as the probe found them
	MarkerRefused map[string]string // per module: why Zoho would not make the field that prevents doubles
	LastSuccessAt time.Time
	Budget        Budget
}

// RecordURL is where a person sees a record in the CRM.
func (c Connection) RecordURL(module, id string) string {
	if c.Centre.CRM == "" || id == "" {
		return ""
	}
	return fmt.Sprintf("%s/crm/%s/tab/%s/%s", c.Centre.CRM, c.OrgDomain, module, id)
}

// Get reads a tenant's link. A tenant that never connected has one too: its Status is NotConnected.
func (c *Connections) Get(ctx context.Context, t tenant.ID) (Connection, error) {
	var found Connection
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		var err error
		found, err = c.Read(ctx, tx, t)
		return err
	})
	return found, err
}

// Read is Get inside the caller's transaction.
func (c *Connections) Read(ctx context.Context, tx pgx.Tx, t tenant.ID) (Connection, error) {
	var (
		r                                 Connection
		status, centre                    string
		connectedAt, probedAt, lastAnswer *time.Time
		probe                             []byte
	)
	err := tx.QueryRow(ctx, `
		SELECT status, reason, data_centre, org_id, org_name, org_domain, edition, org_users, currency,
		       org_time_zone, org_country, zoho_user, connected_by, connected_at, scopes, probe, probed_at,
		       abilities, marker_refused, last_success_at
		  FROM connections
		 WHERE tenant_id = @tenant`, pgx.StrictNamedArgs{"tenant": t.UUID()}).
		Scan(&status, &r.Reason, &centre, &r.OrgID, &r.OrgName, &r.OrgDomain, &r.Edition, &r.Users, &r.Currency,
			&r.TimeZone, &r.Country, &r.ZohoUser, &r.ConnectedBy, &connectedAt, &r.Scopes, &probe, &probedAt,
			&r.Abilities, &r.MarkerRefused, &lastAnswer)
	if errors.Is(err, pgx.ErrNoRows) {
		return Connection{Status: NotConnected}, nil
	}
	if err != nil {
		return Connection{}, fmt.Errorf("reading the link of %s: %w", t, err)
	}
	r.Status = Status(status)
	r.Centre, _ = c.client.Centres().ByLocation(centre)
	r.ConnectedAt, r.ProbedAt, r.LastSuccessAt = timeOf(connectedAt), timeOf(probedAt), timeOf(lastAnswer)
	if r.OrgID != "" {
		used, err := ReadUsage(ctx, tx, t)
		if err != nil {
			return Connection{}, err
		}
		r.Budget = used.Of(zoho.DailyCredits(r.Edition, r.Users))
	}
	if r.Probe, err = readProbe(probe); err != nil {
		return Connection{}, fmt.Errorf("reading the probe of %s: %w", t, err)
	}
	return r, nil
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
