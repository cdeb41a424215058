package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/connection"
	"hookline/internal/intake"
	"hookline/internal/postgres"
	"hookline/internal/seal"
)

type migrateCommand struct {
	Up     migrateUp     `cmd:"" default:"1" help:"Apply what is pending."`
	Status migrateStatus `cmd:"" help:"Say what is pending."`
}

type migrateUp struct{}

func (migrateUp) Run(w *world) error {
	return withDatabase(w, func(ctx context.Context, c config, d database) error {
		if err := postgres.Migrate(ctx, d.owner); err != nil {
			return err
		}
		fmt.Fprintln(w.out, "The database is up to date.")
		return nil
	})
}

type migrateStatus struct{}

func (migrateStatus) Run(w *world) error {
	return withDatabase(w, func(ctx context.Context, c config, d database) error {
		pending, err := postgres.Pending(ctx, d.owner)
		if err != nil {
			return err
		}
		if len(pending) == 0 {
			fmt.Fprintln(w.out, "The database is up to date.")
			return nil
		}
		fmt.Fprintf(w.out, "Pending: %s\nRun: hookline migrate up\n", strings.Join(pending, ", "))
		return errReported
	})
}

// withDatabase runs do on the database of a running serve, or on the embedded one, started for this alone.
func withDatabase(w *world, do func(context.Context, config, database) error) error {
	c, err := readConfig(w.env)
	if err != nil {
		return err
	}
	d, err := openDatabase(w.ctx, c, newLog(c, w.errOut), true)
	if err != nil {
		return err
	}
	defer d.close()
	return do(w.ctx, c, d)
}

type sandboxCommand struct {
	Addr string `help:"Listen address." default:"127.0.0.1:8090"`
	Data string `help:"Folder to keep the state in; without it everything is in memory."`
}

func (s *sandboxCommand) Run(w *world) error {
	log := newLog(config{Log: "text"}, w.errOut)
	stop, err := serveSandbox(w.ctx, s.Addr, s.Data, nil, log)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintln(w.out, "http://"+s.Addr)
	<-w.ctx.Done()
	return nil
}

type tenantCommand struct {
	Create tenantCreate `cmd:"" help:"Make a business, its owner, an API key and a source."`
}

type tenantCreate struct {
	Name           string `required:"" help:"Name of the business."`
	Owner          string `required:"" help:"The owner's e-mail address; it counts as confirmed."`
	Password       string `required:"" help:"The owner's password."`
	Provider       string `help:"native, nextphone or retell." enum:"native,nextphone,retell" default:"native"`
	Country        string `help:"Country whose phone numbers it uses, two letters." default:"US"`
	Zone           string `help:"IANA time zone." default:"America/New_York"`
	ConnectSandbox bool   `help:"Connect it to a new organisation of the Zoho sandbox."`
	Edition        string `help:"Edition of that organisation." default:"enterprise"`
	JSON           bool   `help:"Print one JSON object (the only form there is)."`
}

// created is what tenant create prints; its names are part of the contract with scripts.
type created struct {
	TenantID string `json:"tenant_id"`
	Owner    struct {
		Email string `json:"email"`
	} `json:"owner"`
	APIKey string `json:"api_key"`
	Source struct {
		ID     string `json:"id"`
		URL    string `json:"url"`
		Secret string `json:"secret"`
	} `json:"source"`
	Connection struct {
		Status     string `json:"status"`
		OrgID      string `json:"org_id"`
		DataCentre string `json:"data_centre"`
	} `json:"connection"`
}

func (t *tenantCreate) Run(w *world) error {
	return withDatabase(w, func(ctx context.Context, c config, d database) error {
		if err := d.ensureSchema(ctx, c); err != nil {
			return err
		}
		if c.sandboxInside {
			stop, err := joinSandbox(ctx, c, w)
			if err != nil {
				return err
			}
			defer stop()
		}
		p, err := wire(ctx, c, d, newLog(c, w.errOut))
		if err != nil {
			return err
		}
		defer p.close()
		answer, err := t.create(ctx, p)
		if answer.TenantID != "" { // what has been made is told even when something after it failed: its key is shown once
			err = errors.Join(err, json.NewEncoder(w.out).Encode(answer))
		}
		return err
	})
}

// joinSandbox gives the sandbox of a running serve; alone, one for a command's duration that keeps the same state.
func joinSandbox(ctx context.Context, c config, w *world) (stop func(), err error) {
	if _, err := connection.SandboxClient(ctx, c.SandboxURL); err == nil {
		return func() {}, nil
	}
	return serveSandbox(ctx, c.SandboxAddr, c.sandboxDir(), []string{c.BaseURL + "/zoho/callback"}, newLog(c, w.errOut))
}

func (t *tenantCreate) create(ctx context.Context, p *parts) (created, error) {
	var a created
	if t.ConnectSandbox && p.config.SandboxURL == "" {
		return a, errors.New("--connect-sandbox needs a sandbox, but a Zoho client is set or HOOKLINE_SANDBOX_ADDR is off")
	}
	_, id, err := p.desk.Create(ctx, account.SignUp{Email: t.Owner, Password: t.Password, Business: t.Name, Country: t.Country, Zone: t.Zone})
	if err != nil {
		return a, err
	}
	a.Connection.Status = string(connection.NotConnected)
	a.TenantID, a.Owner.Email = id.String(), strings.ToLower(strings.TrimSpace(t.Owner))
	if err := p.db.InTenant(ctx, id, func(tx pgx.Tx) error {
		_, secret, err := account.CreateKey(ctx, tx, id, a.Owner.Email, "Command line", account.Admin)
		a.APIKey = secret.Reveal()
		return err
	}); err != nil {
		return a, err
	}
	source, err := p.sources.Add(ctx, id, intake.NewSource{Provider: t.Provider})
	if err != nil {
		return a, err
	}
	a.Source.ID, a.Source.URL, a.Source.Secret = source.ID.String(), source.URL, source.Secrets[0].Reveal()
	if t.ConnectSandbox {
		if err := p.connections.ConnectSandbox(ctx, id, connection.Actor{Name: a.Owner.Email}, p.config.SandboxURL,
			connection.NewOrg{Name: t.Name, Edition: t.Edition}); err != nil {
			return a, err
		}
		link, err := p.connections.Get(ctx, id)
		if err != nil {
			return a, err
		}
		a.Connection.Status, a.Connection.OrgID, a.Connection.DataCentre = string(link.Status), link.OrgID, link.Centre.Location
	}
	return a, nil
}

type sendCommand struct {
	URL     string `required:"" help:"A source's URL."`
	Secret  string `required:"" help:"Its secret, whsec_…"`
	File    string `help:"A body in the native format, in place of a preset." type:"existingfile"`
	Count   int    `help:"How many calls." default:"1"`
	Preset  string `help:"new-caller, known-contact, buyer, open-deal, callback, emergency, spam or withheld." default:"new-caller"`
	Sandbox string `help:"Base URL of a sandbox that gets the person and Deal the preset speaks of."`
	Org     string `help:"Its organisation."`
}

func (s *sendCommand) Run(w *world) error {
	sending := intake.Sending{URL: s.URL, Secret: seal.Secret(s.Secret), Preset: s.Preset, Count: s.Count, Out: w.out}
	if s.File != "" {
		body, err := os.ReadFile(s.File)
		if err != nil {
			return err
		}
		sending.File = body
	}
	if s.Sandbox != "" {
		if s.Org == "" {
			return errors.New("--sandbox needs --org, the organisation to put the person into")
		}
		sending.Sandbox = &intake.Sandbox{URL: strings.TrimRight(s.Sandbox, "/"), Org: s.Org}
	}
	return intake.Send(w.ctx, sending)
}

type healthyCommand struct{}

func (healthyCommand) Run(w *world) error {
	c, err := readConfig(w.env)
	if err != nil {
		return err
	}
	return c.healthy(w.ctx)
}

// healthy asks the server of this configuration whether it lives: on the metrics address, which every role has, else
// where it listens for people.
func (c config) healthy(ctx context.Context) error {
	var failed error
	for _, addr := range []string{c.MetricsAddr, c.Addr} {
		if addr == "" {
			continue
		}
		err := alive(ctx, addr)
		if err == nil {
			return nil
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

func alive(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if isEverywhere(host) {
		host = "localhost" // either family
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second) // Docker gives the command three in all
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server at %s answers %s", addr, resp.Status)
	}
	return nil
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil || net.ParseIP(u.Hostname()) != nil {
		return ""
	}
	return u.Hostname()
}
