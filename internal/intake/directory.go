package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/provider"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

// endpoint is what the receiver must know of a source to take a webhook in.
type endpoint struct {
	tenant   tenant.ID
	source   uuid.UUID
	provider provider.Provider
	secrets  provider.Secrets
	settings provider.Settings
}

// directory finds endpoints by the key in the URL and keeps them for a few seconds, so that a busy source costs no
// query a call. A deleted source or a dropped secret is therefore still taken for that long.
type directory struct {
	db   *postgres.DB
	keys *seal.Keys
	now  func() time.Time
	keep time.Duration

	mu    sync.RWMutex
	known map[string]cached
}

type cached struct {
	endpoint *endpoint
	until    time.Time
}

// maxKnown bounds the memory that the directory takes.
const maxKnown = 20_000

var errUnknownKey = errors.New("no source has this key")

// find gives the endpoint of a key, or errUnknownKey.
func (d *directory) find(ctx context.Context, key string) (*endpoint, error) {
	if !strings.HasPrefix(key, keyPrefix) || len(key) != len(keyPrefix)+43 {
		return nil, errUnknownKey
	}
	d.mu.RLock()
	c, ok := d.known[key]
	d.mu.RUnlock()
	if ok && d.now().Before(c.until) {
		return c.endpoint, nil
	}
	e, err := d.read(ctx, key)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		if errors.Is(err, errUnknownKey) {
			delete(d.known, key)
		}
		return nil, err
	}
	if len(d.known) >= maxKnown {
		clear(d.known)
	}
	d.known[key] = cached{e, d.now().Add(d.keep)}
	return e, nil
}

func (d *directory) read(ctx context.Context, key string) (*endpoint, error) {
	var t, source uuid.UUID
	err := d.db.Directory(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT tenant_id, subject_id FROM keys WHERE hash = @hash AND kind = 'intake'`,
			pgx.StrictNamedArgs{"hash": hashKey(key)}).Scan(&t, &source)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errUnknownKey
	}
	if err != nil {
		return nil, fmt.Errorf("looking up an intake key: %w", err)
	}
	var name, country, zone string
	var sealed, stored []byte
	err = d.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT s.provider, s.secrets_sealed, s.settings, t.country, t.time_zone
			FROM sources s JOIN tenants t ON t.id = s.tenant_id
			WHERE s.tenant_id = @tenant AND s.id = @source AND s.deleted_at IS NULL`,
			pgx.StrictNamedArgs{"tenant": t, "source": source}).Scan(&name, &sealed, &stored, &country, &zone)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errUnknownKey
	}
	if err != nil {
		return nil, fmt.Errorf("reading source %s: %w", source, err)
	}
	p, ok := provider.ByName(name)
	if !ok {
		return nil, fmt.Errorf("source %s has the unknown provider %q", source, name)
	}
	e := &endpoint{tenant: tenant.ID(t), source: source, provider: p}
	if e.secrets, err = openSecrets(d.keys, t, source, sealed); err != nil {
		return nil, err
	}
	if e.settings, err = readSettings(source, stored, country, zone); err != nil {
		return nil, err
	}
	return e, nil
}

// readSettings puts together what a source and its tenant add to the dialect.
func readSettings(source uuid.UUID, stored []byte, country, zone string) (provider.Settings, error) {
	var own settings
	if err := json.Unmarshal(stored, &own); err != nil {
		return provider.Settings{}, fmt.Errorf("reading the settings of source %s: %w", source, err)
	}
	at, err := time.LoadLocation(zone)
	if err != nil {
		at = time.UTC
	}
	return provider.Settings{Region: country, Zone: at, Checks: own.Checks, Fields: own.Fields}, nil
}
