package mapping

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/tenant"
)

// Version is one saved state of a tenant's mappings.
type Version struct {
	Number int
	Note   string // the change in words
	By     string
	At     time.Time
}

// Live is the newest version of the tenant's mappings, or the defaults (version 0) when none was ever saved.
func Live(ctx context.Context, tx pgx.Tx, t tenant.ID) (Set, error) {
	rows, _ := tx.Query(ctx, `
		SELECT version, mappings
		FROM mapping_versions
		WHERE tenant_id = @tenant
		ORDER BY version DESC
		LIMIT 1`,
		pgx.StrictNamedArgs{"tenant": t.UUID()})
	s, err := collectSet(rows)
	if errors.Is(err, pgx.ErrNoRows) {
		return DefaultSet(), nil
	}
	if err != nil {
		return Set{}, fmt.Errorf("reading the live mappings: %w", err)
	}
	return s, nil
}

// At is the tenant's mappings as they stood in a version; 0 is the defaults.
func At(ctx context.Context, tx pgx.Tx, t tenant.ID, version int) (Set, error) {
	if version == 0 {
		return DefaultSet(), nil
	}
	rows, _ := tx.Query(ctx, `
		SELECT version, mappings
		FROM mapping_versions
		WHERE tenant_id = @tenant AND version = @version`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "version": version})
	s, err := collectSet(rows)
	if errors.Is(err, pgx.ErrNoRows) {
		return Set{}, fault.New(fault.NotFound, "There is no such version of the mappings.")
	}
	if err != nil {
		return Set{}, fmt.Errorf("reading version %d of the mappings: %w", version, err)
	}
	return s, nil
}

func collectSet(rows pgx.Rows) (Set, error) {
	return pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (Set, error) {
		var version int
		var doc []byte
		if err := row.Scan(&version, &doc); err != nil {
			return Set{}, err
		}
		var s Set
		err := json.Unmarshal(doc, &s)
		s.complete()
		s.Version = version
		return s, err
	})
}

// Save checks the set against the organisation's fields and makes it the tenant's next version. Module is the one
// that was edited: what is wrong with another does not keep the change from being saved; empty means all. base is the
// version that the change was made on: when another has been saved meanwhile, the fault is a Conflict that says by
// whom. It returns the new version's number.
func Save(ctx context.Context, tx pgx.Tx, t tenant.ID, actor string, base int, s Set, module string, md Metadata, note string) (int, error) {
	if err := stale(ctx, tx, t, base); err != nil {
		return 0, err
	}
	for _, p := range Check(s, md) {
		if p.Blocking && (module == "" || p.Module == module) {
			return 0, fault.Field(p.Field, p.Sentence)
		}
	}
	doc, err := json.Marshal(s)
	if err != nil {
		return 0, fmt.Errorf("writing the mappings as JSON: %w", err)
	}
	// The insert is the version check: the key refuses a second row with the same number, and the condition a base
	// that is no longer the newest.
	tag, err := tx.Exec(ctx, `
		INSERT INTO mapping_versions (tenant_id, version, mappings, note, created_by)
		SELECT @tenant, @base::int + 1, @mappings, @note, @actor
		WHERE COALESCE((SELECT max(version) FROM mapping_versions WHERE tenant_id = @tenant), 0) = @base::int
		ON CONFLICT (tenant_id, version) DO NOTHING`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "base": base, "mappings": doc, "note": note, "actor": actor})
	if err != nil {
		return 0, fmt.Errorf("saving the mappings: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return base + 1, nil
	}
	if err := stale(ctx, tx, t, base); err != nil {
		return 0, err
	}
	return 0, fault.New(fault.Conflict, "The mappings are being changed by somebody else just now. Look at them again, then repeat your change.")
}

// stale is the conflict of a change that was made on another version than the newest; nil when it was not.
func stale(ctx context.Context, tx pgx.Tx, t tenant.ID, base int) error {
	versions, err := Versions(ctx, tx, t, 1)
	if err != nil {
		return err
	}
	if len(versions) == 0 && base == 0 || len(versions) > 0 && versions[0].Number == base {
		return nil
	}
	if len(versions) == 0 {
		return fault.New(fault.Conflict, "There is no such version of the mappings. Look at them again, then repeat your change.")
	}
	return fault.Newf(fault.Conflict,
		"%s saved version %d of the mappings while you were editing. Nothing of theirs was overwritten: look at the mappings again, then repeat your change.",
		versions[0].By, versions[0].Number)
}

// Versions lists the newest versions first, at most limit.
func Versions(ctx context.Context, tx pgx.Tx, t tenant.ID, limit int) ([]Version, error) {
	rows, _ := tx.Query(ctx, `
		SELECT version AS number, note, created_by AS by, created_at AS at
		FROM mapping_versions
		WHERE tenant_id = @tenant
		ORDER BY version DESC
		LIMIT @limit`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "limit": limit})
	versions, err := pgx.CollectRows(rows, pgx.RowToStructByName[Version])
	if err != nil {
		return nil, fmt.Errorf("listing the versions of the mappings: %w", err)
	}
	return versions, nil
}

// complete gives the modules that a set was saved without, because there was nothing to map in them then, their
// default rows.
func (s *Set) complete() {
	if s.Modules == nil {
		s.Modules = map[string][]Row{}
	}
	for module, rows := range DefaultSet().Modules {
		if _, there := s.Modules[module]; !there {
			s.Modules[module] = rows
		}
	}
}
