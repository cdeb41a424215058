package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

// Key is an API key as it is listed: the secret itself was shown once and is not kept.
type Key struct {
	ID        uuid.UUID
	Name      string
	Role      Role
	Prefix    string // the secret's first characters
	CreatedAt time.Time
	UsedAt    *time.Time
	RevokedAt *time.Time
}

// CreateKey makes an API key. The secret, hk_…, is returned this once. A key is never an owner.
func CreateKey(ctx context.Context, db postgres.Querier, t tenant.ID, actor, name string, role Role) (Key, seal.Secret, error) {
	name = strings.TrimSpace(name)
	if n := len([]rune(name)); n < 1 || n > 80 {
		return Key{}, "", fault.Field("name", "Give the key a name of 1 to 80 characters, such as the program that uses it.")
	}
	if role != Admin && role != Operator && role != Viewer {
		return Key{}, "", fault.Field("role", "A key is admin, operator or viewer.")
	}
	secret := "hk_" + randomText()
	k := Key{ID: uuid.Must(uuid.NewV7()), Name: name, Role: role, Prefix: secret[:9]}
	err := db.QueryRow(ctx, `
		INSERT INTO api_keys (tenant_id, id, name, role, prefix)
		VALUES (@tenant, @id, @name, @role, @prefix) RETURNING created_at`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": k.ID, "name": k.Name, "role": string(k.Role), "prefix": k.Prefix}).
		Scan(&k.CreatedAt)
	if err != nil {
		return Key{}, "", fmt.Errorf("inserting an API key: %w", err)
	}
	if _, err := db.Exec(ctx, `
		INSERT INTO keys (hash, kind, tenant_id, subject_id) VALUES (@hash, 'api', @tenant, @id)`,
		pgx.StrictNamedArgs{"hash": hashOf(secret), "tenant": t.UUID(), "id": k.ID}); err != nil {
		return Key{}, "", fmt.Errorf("inserting an API key: %w", err)
	}
	if err := Audit(ctx, db, t, actor, "key.created", name, map[string]any{"role": string(role)}); err != nil {
		return Key{}, "", err
	}
	return k, seal.Secret(secret), nil
}

// Keys lists a tenant's API keys, newest first.
func Keys(ctx context.Context, db postgres.Querier, t tenant.ID) ([]Key, error) {
	rows, err := db.Query(ctx, `
		SELECT id, name, role, prefix, created_at, used_at, revoked_at FROM api_keys
		WHERE tenant_id = @tenant ORDER BY id DESC`, pgx.StrictNamedArgs{"tenant": t.UUID()})
	if err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Key, error) {
		var k Key
		var role string
		err := row.Scan(&k.ID, &k.Name, &role, &k.Prefix, &k.CreatedAt, &k.UsedAt, &k.RevokedAt)
		k.Role = Role(role)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	return keys, nil
}

// RevokeKey ends a key at once. Its row stays, so that the log's names keep their meaning.
func RevokeKey(ctx context.Context, db postgres.Querier, t tenant.ID, actor string, id uuid.UUID) error {
	var name string
	err := db.QueryRow(ctx, `
		UPDATE api_keys SET revoked_at = now()
		WHERE tenant_id = @tenant AND id = @id AND revoked_at IS NULL RETURNING name`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id}).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.NotFound, "There is no such key.")
	}
	if err != nil {
		return fmt.Errorf("revoking an API key: %w", err)
	}
	if _, err := db.Exec(ctx, `DELETE FROM keys WHERE kind = 'api' AND tenant_id = @tenant AND subject_id = @id`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id}); err != nil {
		return fmt.Errorf("revoking an API key: %w", err)
	}
	return Audit(ctx, db, t, actor, "key.revoked", name, nil)
}

// Holder is a program that presented an API key.
type Holder struct {
	Tenant tenant.ID
	Key    uuid.UUID
	Name   string
	Role   Role
}

// Authenticate tells who holds an API key. Unknown, revoked and malformed keys are the same fault.
func Authenticate(ctx context.Context, db *postgres.DB, secret string) (Holder, error) {
	refused := fault.New(fault.Unauthorized, "This API key is not known or was revoked.")
	if !strings.HasPrefix(secret, "hk_") {
		return Holder{}, refused
	}
	var h Holder
	var owner uuid.UUID
	err := db.Directory(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT tenant_id, subject_id FROM keys WHERE hash = @hash AND kind = 'api'`,
			pgx.StrictNamedArgs{"hash": hashOf(secret)}).Scan(&owner, &h.Key)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Holder{}, refused
	}
	if err != nil {
		return Holder{}, fmt.Errorf("looking up an API key: %w", err)
	}
	h.Tenant = tenant.ID(owner)
	err = db.InTenant(ctx, h.Tenant, func(tx pgx.Tx) error {
		var role string
		if err := tx.QueryRow(ctx, `
			SELECT name, role FROM api_keys WHERE tenant_id = @tenant AND id = @id AND revoked_at IS NULL`,
			pgx.StrictNamedArgs{"tenant": owner, "id": h.Key}).Scan(&h.Name, &role); err != nil {
			return err
		}
		if h.Role, err = ParseRole(role); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			UPDATE api_keys SET used_at = now()
			WHERE tenant_id = @tenant AND id = @id AND (used_at IS NULL OR used_at < now() - interval '1 minute')`,
			pgx.StrictNamedArgs{"tenant": owner, "id": h.Key})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Holder{}, refused
	}
	if err != nil {
		return Holder{}, fmt.Errorf("reading an API key: %w", err)
	}
	return h, nil
}
