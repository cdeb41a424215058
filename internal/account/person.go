package account

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// PersonID names a person who signs in.
type PersonID uuid.UUID

func (id PersonID) String() string  { return uuid.UUID(id).String() }
func (id PersonID) UUID() uuid.UUID { return uuid.UUID(id) }

// Member is a person at work for a tenant.
type Member struct {
	Person PersonID
	Email  string
	Role   Role
	Tenant tenant.Tenant
	Since  time.Time
}

// Can reports whether the member may do it.
func (m Member) Can(a Action) bool { return m.Role.Can(a) }

// cleanEmail is an address as it is stored; ok is false for what is not an address.
func cleanEmail(s string) (email string, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if len(s) > 254 || strings.ContainsAny(s, " \t\r\n<>,;") {
		return s, false
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s {
		return s, false
	}
	_, domain, _ := strings.Cut(s, "@")
	return s, strings.Contains(strings.Trim(domain, "."), ".")
}

// MemberOf reads who a person is for a tenant. A person who is no member gets NotFound, like one who asks for a
// tenant that does not exist.
func MemberOf(ctx context.Context, db *postgres.DB, person PersonID, t tenant.ID) (Member, error) {
	m := Member{Person: person}
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		var role string
		err := tx.QueryRow(ctx, `
			SELECT p.email, m.role, m.created_at
			FROM memberships m JOIN people p ON p.id = m.person_id
			WHERE m.tenant_id = @tenant AND m.person_id = @person`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "person": person.UUID()}).Scan(&m.Email, &role, &m.Since)
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.New(fault.NotFound, "There is no such workspace.")
		}
		if err != nil {
			return fmt.Errorf("reading a membership: %w", err)
		}
		if m.Role, err = ParseRole(role); err != nil {
			return err
		}
		m.Tenant, err = tenant.Get(ctx, tx, t)
		return err
	})
	return m, err
}

// WorkspacesOf lists the tenants that a person is a member of, oldest membership first.
func WorkspacesOf(ctx context.Context, db *postgres.DB, person PersonID) ([]tenant.ID, error) {
	var ids []tenant.ID
	err := db.Directory(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT tenant_id FROM memberships WHERE person_id = @person ORDER BY created_at, tenant_id`,
			pgx.StrictNamedArgs{"person": person.UUID()})
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (tenant.ID, error) {
			var id uuid.UUID
			err := row.Scan(&id)
			return tenant.ID(id), err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing a person's workspaces: %w", err)
	}
	return ids, nil
}

// Members lists the people of a tenant, longest first. The Tenant field is left empty.
func Members(ctx context.Context, db postgres.Querier, t tenant.ID) ([]Member, error) {
	rows, err := db.Query(ctx, `
		SELECT p.id, p.email, m.role, m.created_at
		FROM memberships m JOIN people p ON p.id = m.person_id
		WHERE m.tenant_id = @tenant ORDER BY m.created_at, p.id`, pgx.StrictNamedArgs{"tenant": t.UUID()})
	if err != nil {
		return nil, fmt.Errorf("listing members: %w", err)
	}
	members, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Member, error) {
		var m Member
		var id uuid.UUID
		var role string
		err := row.Scan(&id, &m.Email, &role, &m.Since)
		m.Person, m.Role = PersonID(id), Role(role)
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing members: %w", err)
	}
	return members, nil
}
