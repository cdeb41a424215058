package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/intake"
	"hookline/internal/postgres"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// parts are the packages, wired: what serve and the one-shot commands share.
type parts struct {
	config      config
	log         *slog.Logger
	keys        *seal.Keys
	db          *postgres.DB
	bell        *delivery.Bell
	connections *connection.Connections
	consent     []string // origins that the post which starts consent may lead to
	sources     *intake.Sources
	outbox      *account.Outbox
	desk        *account.Desk
}

func (p *parts) close() {
	p.bell.Close()
	p.db.Close()
}

// wire builds the parts on an open database. The sandbox, when one is used, must answer.
func wire(ctx context.Context, c config, d database, log *slog.Logger) (*parts, error) {
	keys, err := sealingKeys(c)
	if err != nil {
		return nil, err
	}
	credentials, centres, err := zohoClient(ctx, c)
	if err != nil {
		return nil, err
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: d.program, MaxConns: 24, Name: "hookline", Direct: c.direct()})
	if err != nil {
		return nil, err
	}
	if err := noteKey(ctx, db, keys); err != nil {
		db.Close()
		return nil, err
	}
	p := &parts{config: c, log: log, keys: keys, db: db, bell: delivery.NewBell(db, log)}
	for _, centre := range centres {
		if u, err := url.Parse(centre.Accounts); err == nil && !slices.Contains(p.consent, u.Scheme+"://"+u.Host) {
			p.consent = append(p.consent, u.Scheme+"://"+u.Host)
		}
	}
	p.outbox = &account.Outbox{Keys: keys}
	p.desk = &account.Desk{DB: db, Now: time.Now, Outbox: p.outbox, BaseURL: c.BaseURL,
		Furnish: func(ctx context.Context, tx pgx.Tx, t tenant.Tenant) error { return delivery.AddLane(ctx, tx, t.ID) }}
	p.connections = connection.New(connection.Deps{
		DB: db, Keys: keys, Client: zoho.NewClient(zoho.Options{Centres: centres}), OAuth: credentials, BaseURL: c.BaseURL, Log: log,
		Connected: delivery.Resume, Lost: p.tellOfLoss,
	})
	p.sources = intake.NewSources(db, keys, c.BaseURL)
	return p, nil
}

// tellOfLoss mails those who can connect Zoho again.
func (p *parts) tellOfLoss(ctx context.Context, tx pgx.Tx, t tenant.ID, reason string) error {
	return p.desk.TellManagers(ctx, tx, t, "Zoho needs to be connected again", ""+
		"Hookline cannot reach your Zoho CRM any more: "+reason+"\n\n"+
		"No call is lost. They are kept in order and go into Zoho once it is connected again:\n\n"+
		p.config.BaseURL+"/zoho\n")
}

// zohoClient is the client at Zoho and the table of hosts that it may talk to: the real one, the sandbox, or none.
func zohoClient(ctx context.Context, c config) (zoho.Credentials, zoho.Centres, error) {
	if c.ZohoClientID != "" {
		byCentre := map[string]seal.Secret{}
		for location, secret := range c.ZohoSecrets {
			if location != "" {
				byCentre[location] = secret
			}
		}
		return zoho.Credentials{ID: c.ZohoClientID, Secret: c.ZohoSecrets[""], Centres: byCentre}, zoho.Production(), nil
	}
	if c.SandboxURL == "" {
		return zoho.Credentials{}, zoho.Production(), nil
	}
	// A sandbox that starts beside us may need a moment.
	for deadline := time.Now().Add(15 * time.Second); ; {
		credentials, err := connection.SandboxClient(ctx, c.SandboxURL)
		if err == nil {
			return credentials, zoho.SandboxCentres(c.SandboxURL), nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return zoho.Credentials{}, nil, fmt.Errorf("the Zoho sandbox at %s does not answer: %w", c.SandboxURL, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// gap is the time between two looks for a record whose creation has an unknown outcome: the sandbox knows at once.
func (c config) gap() time.Duration {
	if c.SandboxURL != "" {
		return time.Second
	}
	return time.Minute
}
