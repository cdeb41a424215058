package intake

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/provider"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

// Source is one endpoint that a phone provider of a tenant posts to.
type Source struct {
	ID        uuid.UUID
	Provider  string
	Label     string // the provider's name for people
	Name      string
	Checks    []string          // which checks must hold, where the provider has a choice
	Fields    map[string]string // our field → the body's path, where the customer designs the body
	CreatedAt time.Time
	RotatedAt time.Time // zero when the secret is the first
	Rotating  bool      // the old secret still works beside the new one
}

// Opened is a source with what only those who may edit it see.
type Opened struct {
	Source
	URL     string
	Secrets []seal.Secret // live, newest first
}

// Sources are the tenants' sources.
type Sources struct {
	db      *postgres.DB
	keys    *seal.Keys
	baseURL string
}

// NewSources makes them; baseURL is where providers reach us, such as https://hookline.example.
func NewSources(db *postgres.DB, keys *seal.Keys, baseURL string) *Sources {
	return &Sources{db: db, keys: keys, baseURL: strings.TrimSuffix(baseURL, "/")}
}

// maxSources bounds how many sources a tenant has.
const maxSources = 50

// settings is the stored form of a source's own choices.
type settings struct {
	Checks []string          `json:"checks,omitempty"`
	Fields map[string]string `json:"fields,omitempty"`
}

// NewSource is what somebody says who adds a source. An empty Name is the provider's, an empty Secret a new one.
type NewSource struct {
	Provider string
	Name     string
	Secret   seal.Secret
	Checks   []string
	Fields   map[string]string
	Actor    string // who adds it, for the audit log; empty for the program itself
}

// Add makes a source with an unguessable URL.
func (s *Sources) Add(ctx context.Context, t tenant.ID, n NewSource) (Opened, error) {
	p, ok := provider.ByName(n.Provider)
	if !ok {
		return Opened{}, fault.Field("provider", "Choose the phone system that will send calls.")
	}
	name, err := checkName(n.Name, p)
	if err != nil {
		return Opened{}, err
	}
	secret := strings.TrimSpace(n.Secret.Reveal())
	if secret == "" {
		secret = provider.NewSecret(p)
	}
	if problem := provider.CheckSecret(p, secret); problem != "" {
		return Opened{}, fault.Field("secret", problem)
	}
	stored, err := checkSettings(p, n.Checks, n.Fields)
	if err != nil {
		return Opened{}, err
	}
	encoded, err := json.Marshal(stored)
	if err != nil {
		return Opened{}, fmt.Errorf("writing a source's settings: %w", err)
	}
	o := Opened{Source: Source{ID: uuid.Must(uuid.NewV7()), Provider: p.Name(), Label: p.Setup().Label, Name: name, Checks: stored.Checks, Fields: stored.Fields},
		Secrets: []seal.Secret{seal.Secret(secret)}}
	key := newKey()
	o.URL = s.url(key)
	err = s.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `
			INSERT INTO sources (tenant_id, id, provider, name, key_sealed, secrets_sealed, settings)
			SELECT @tenant, @id, @provider, @name, @key, @secrets, @settings::jsonb
			WHERE (SELECT count(*) FROM sources WHERE tenant_id = @tenant AND deleted_at IS NULL) < @most
			RETURNING created_at`,
			pgx.StrictNamedArgs{
				"tenant": t.UUID(), "id": o.ID, "provider": o.Provider, "name": o.Name,
				"key": s.sealKey(t, o.ID, key), "secrets": s.sealSecrets(t, o.ID, secret), "settings": string(encoded), "most": maxSources,
			}).Scan(&o.CreatedAt); errors.Is(err, pgx.ErrNoRows) {
			return fault.Newf(fault.Conflict, "A workspace has at most %d sources. Delete one that is not used.", maxSources)
		} else if err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO keys (hash, kind, tenant_id, subject_id) VALUES (@hash, 'intake', @tenant, @id)`,
			pgx.StrictNamedArgs{"hash": hashKey(key), "tenant": t.UUID(), "id": o.ID})
		if err != nil {
			return err
		}
		return account.Audit(ctx, tx, t, actorOr(n.Actor), "source.created", o.Name, map[string]any{"provider": o.Provider})
	})
	if err != nil {
		return Opened{}, fmt.Errorf("adding a source: %w", err)
	}
	return o, nil
}

// List gives the tenant's sources, oldest first.
func (s *Sources) List(ctx context.Context, t tenant.ID) ([]Source, error) {
	var list []Source
	err := s.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT tenant_id, id, provider, name, key_sealed, secrets_sealed, settings, created_at, rotated_at
			FROM sources WHERE tenant_id = @tenant AND deleted_at IS NULL ORDER BY created_at, id`,
			pgx.StrictNamedArgs{"tenant": t.UUID()})
		if err != nil {
			return err
		}
		stored, err := pgx.CollectRows(rows, pgx.RowToStructByName[sourceRow])
		if err != nil {
			return err
		}
		for _, row := range stored {
			o, err := s.open(row)
			if err != nil {
				return err
			}
			list = append(list, o.Source)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing sources: %w", err)
	}
	return list, nil
}

// Get opens one source, its URL and secrets included.
func (s *Sources) Get(ctx context.Context, t tenant.ID, id uuid.UUID) (Opened, error) {
	var o Opened
	err := s.db.InTenant(ctx, t, func(tx pgx.Tx) (err error) {
		o, err = s.get(ctx, tx, t, id)
		return err
	})
	return o, err
}

// Rotate puts a new secret before the present one, which goes on working until DropOld. An empty secret means a new one
// of ours.
func (s *Sources) Rotate(ctx context.Context, t tenant.ID, id uuid.UUID, actor string, secret seal.Secret) (Opened, error) {
	return s.change(ctx, t, id, actor, "source.rotated", func(o *Opened, p provider.Provider) error {
		fresh := strings.TrimSpace(secret.Reveal())
		if fresh == "" {
			fresh = provider.NewSecret(p)
		}
		if problem := provider.CheckSecret(p, fresh); problem != "" {
			return fault.Field("secret", problem)
		}
		if slices.Contains(o.Secrets, seal.Secret(fresh)) {
			return fault.Field("secret", "This secret is in use already.")
		}
		o.Secrets = []seal.Secret{seal.Secret(fresh), o.Secrets[0]}
		return nil
	})
}

// DropOld ends the old secret. Within seconds no process accepts it any more.
func (s *Sources) DropOld(ctx context.Context, t tenant.ID, id uuid.UUID, actor string) (Opened, error) {
	return s.change(ctx, t, id, actor, "source.secret_dropped", func(o *Opened, _ provider.Provider) error {
		o.Secrets = o.Secrets[:1]
		return nil
	})
}

// Configure names the source anew and sets its choices.
func (s *Sources) Configure(ctx context.Context, t tenant.ID, id uuid.UUID, actor, name string, checks []string, fields map[string]string) (Opened, error) {
	return s.change(ctx, t, id, actor, "source.changed", func(o *Opened, p provider.Provider) (err error) {
		if o.Name, err = checkName(name, p); err != nil {
			return err
		}
		stored, err := checkSettings(p, checks, fields)
		o.Checks, o.Fields = stored.Checks, stored.Fields
		return err
	})
}

// Delete closes the endpoint: what is posted to it from now on is answered like an unknown address. Its calls stay.
func (s *Sources) Delete(ctx context.Context, t tenant.ID, id uuid.UUID, actor string) error {
	err := s.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		var name string
		err := tx.QueryRow(ctx, `
			UPDATE sources SET deleted_at = now() WHERE tenant_id = @tenant AND id = @id AND deleted_at IS NULL RETURNING name`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id}).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return errNoSource
		}
		if err != nil {
			return err
		}
		if err := account.Audit(ctx, tx, t, actorOr(actor), "source.deleted", name, nil); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM keys WHERE kind = 'intake' AND tenant_id = @tenant AND subject_id = @id`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id})
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting a source: %w", err)
	}
	return nil
}

var errNoSource = fault.New(fault.NotFound, "There is no such source. It may have been deleted.")

type sourceRow struct {
	TenantID      uuid.UUID
	ID            uuid.UUID
	Provider      string
	Name          string
	KeySealed     []byte
	SecretsSealed []byte
	Settings      []byte
	CreatedAt     time.Time
	RotatedAt     *time.Time
}

func (s *Sources) get(ctx context.Context, tx pgx.Tx, t tenant.ID, id uuid.UUID) (Opened, error) {
	rows, err := tx.Query(ctx, `
		SELECT tenant_id, id, provider, name, key_sealed, secrets_sealed, settings, created_at, rotated_at
		FROM sources WHERE tenant_id = @tenant AND id = @id AND deleted_at IS NULL`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id})
	if err != nil {
		return Opened{}, fmt.Errorf("reading a source: %w", err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[sourceRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return Opened{}, errNoSource
	}
	if err != nil {
		return Opened{}, fmt.Errorf("reading a source: %w", err)
	}
	return s.open(row)
}

func (s *Sources) open(row sourceRow) (Opened, error) {
	o := Opened{Source: Source{ID: row.ID, Provider: row.Provider, Name: row.Name, CreatedAt: row.CreatedAt}}
	if p, ok := provider.ByName(row.Provider); ok {
		o.Label = p.Setup().Label
	}
	if row.RotatedAt != nil {
		o.RotatedAt = *row.RotatedAt
	}
	var stored settings
	if err := json.Unmarshal(row.Settings, &stored); err != nil {
		return Opened{}, fmt.Errorf("reading the settings of source %s: %w", row.ID, err)
	}
	o.Checks, o.Fields = stored.Checks, stored.Fields
	key, err := s.keys.Open(row.KeySealed, row.TenantID, "sources.key_sealed", row.ID.String())
	if err != nil {
		return Opened{}, fmt.Errorf("opening the key of source %s: %w", row.ID, err)
	}
	o.URL = s.url(string(key))
	secrets, err := openSecrets(s.keys, row.TenantID, row.ID, row.SecretsSealed)
	if err != nil {
		return Opened{}, err
	}
	for _, secret := range secrets {
		o.Secrets = append(o.Secrets, seal.Secret(secret))
	}
	o.Rotating = len(o.Secrets) > 1
	return o, nil
}

// change reads a source under a lock, lets alter have it, and stores it.
func (s *Sources) change(ctx context.Context, t tenant.ID, id uuid.UUID, actor, action string, alter func(*Opened, provider.Provider) error) (Opened, error) {
	var o Opened
	err := s.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT 1 FROM sources WHERE tenant_id = @tenant AND id = @id FOR NO KEY UPDATE`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id}); err != nil {
			return err
		}
		var err error
		if o, err = s.get(ctx, tx, t, id); err != nil {
			return err
		}
		p, ok := provider.ByName(o.Provider)
		if !ok {
			return errNoSource
		}
		newest := o.Secrets[0]
		if err := alter(&o, p); err != nil {
			return err
		}
		encoded, err := json.Marshal(settings{o.Checks, o.Fields})
		if err != nil {
			return err
		}
		plain := make([]string, len(o.Secrets))
		for i, secret := range o.Secrets {
			plain[i] = secret.Reveal()
		}
		var rotated *time.Time
		err = tx.QueryRow(ctx, `
			UPDATE sources SET name = @name, settings = @settings::jsonb, secrets_sealed = @secrets,
				rotated_at = CASE WHEN @rotate THEN now() ELSE rotated_at END
			WHERE tenant_id = @tenant AND id = @id RETURNING rotated_at`,
			pgx.StrictNamedArgs{
				"tenant": t.UUID(), "id": id, "name": o.Name, "settings": string(encoded),
				"secrets": s.sealSecrets(t, id, plain...), "rotate": o.Secrets[0] != newest,
			}).Scan(&rotated)
		if rotated != nil {
			o.RotatedAt = *rotated
		}
		o.Rotating = len(o.Secrets) > 1
		if err != nil {
			return err
		}
		return account.Audit(ctx, tx, t, actorOr(actor), action, o.Name, nil)
	})
	if err != nil {
		return Opened{}, fmt.Errorf("changing a source: %w", err)
	}
	return o, nil
}

func actorOr(actor string) string {
	if actor == "" {
		return "hookline"
	}
	return actor
}

func (s *Sources) url(key string) string { return s.baseURL + "/in/" + key }

func (s *Sources) sealKey(t tenant.ID, id uuid.UUID, key string) []byte {
	return s.keys.Seal([]byte(key), t, "sources.key_sealed", id.String())
}

func (s *Sources) sealSecrets(t tenant.ID, id uuid.UUID, secrets ...string) []byte {
	plain, _ := json.Marshal(secrets) // texts always encode
	return s.keys.Seal(plain, t, "sources.secrets_sealed", id.String())
}

func openSecrets(keys *seal.Keys, t, id uuid.UUID, sealed []byte) (provider.Secrets, error) {
	plain, err := keys.Open(sealed, t, "sources.secrets_sealed", id.String())
	if err != nil {
		return nil, fmt.Errorf("opening the secrets of source %s: %w", id, err)
	}
	var secrets provider.Secrets
	if err := json.Unmarshal(plain, &secrets); err != nil || len(secrets) == 0 {
		return nil, fmt.Errorf("reading the secrets of source %s", id)
	}
	return secrets, nil
}

// keyPrefix begins every intake key, so that a scanner for leaked secrets can know one.
const keyPrefix = "in_"

// newKey makes a key of 256 random bits.
func newKey() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return keyPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

func hashKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

func checkName(name string, p provider.Provider) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		name = p.Setup().Label
	}
	if len([]rune(name)) > 100 {
		return "", fault.Field("name", "A name has at most 100 characters.")
	}
	return strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), ""), nil
}

func checkSettings(p provider.Provider, checks []string, fields map[string]string) (settings, error) {
	setup := p.Setup()
	var s settings
	for _, c := range checks {
		if !slices.ContainsFunc(setup.Checks, func(known provider.Choice) bool { return known.Value == c }) {
			return s, fault.Field("checks", "Choose at least one of the checks shown.")
		}
		if !slices.Contains(s.Checks, c) {
			s.Checks = append(s.Checks, c)
		}
	}
	for field, path := range fields {
		path = strings.TrimSpace(path)
		switch {
		case !slices.ContainsFunc(setup.Fields, func(known provider.Choice) bool { return known.Value == field }):
			return s, fault.Newf(fault.Invalid, "There is no field %q to be named.", field)
		case path == "" || path == provider.DefaultField(field):
			continue
		case len(path) > 200 || strings.ContainsAny(path, "\x00\n\r\"") || strings.HasPrefix(path, ".") || strings.HasSuffix(path, "."):
			return s, fault.Field("field-"+field, "A key has at most 200 characters, without quotes. Use dots to reach into an object: caller.phone.")
		}
		if s.Fields == nil {
			s.Fields = map[string]string{}
		}
		s.Fields[field] = path
	}
	return s, nil
}
