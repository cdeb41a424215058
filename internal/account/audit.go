package account

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// Audit records, in the transaction of the change, who did what to which thing. Actor is a person's e-mail, a
// key's name, or "hookline"; action reads like config.published. Detail holds no secret and no caller's data.
func Audit(ctx context.Context, db postgres.Querier, t tenant.ID, actor, action, target string, detail map[string]any) error {
	if detail == nil {
		detail = map[string]any{}
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("auditing %s: %w", action, err)
	}
	if _, err := db.Exec(ctx, `
		INSERT INTO audit (tenant_id, id, actor, action, target, detail)
		VALUES (@tenant, @id, @actor, @action, @target, @detail)`,
		pgx.StrictNamedArgs{
			"tenant": t.UUID(), "id": uuid.Must(uuid.NewV7()), "actor": actor, "action": action, "target": target, "detail": text,
		}); err != nil {
		return fmt.Errorf("auditing %s: %w", action, err)
	}
	return nil
}

// Entry is one line of the audit log.
type Entry struct {
	ID     uuid.UUID
	At     time.Time
	Actor  string
	Action string
	Target string
	Detail map[string]any
}

// AuditLog lists the newest entries older than before; the zero before begins at the newest.
func AuditLog(ctx context.Context, db postgres.Querier, t tenant.ID, before uuid.UUID, count int) ([]Entry, error) {
	var from *uuid.UUID
	if before != uuid.Nil {
		from = &before
	}
	// Ids are UUIDv7: their order is that of time, and the primary key pages by it.
	rows, err := db.Query(ctx, `
		SELECT id, at, actor, action, target, detail FROM audit
		WHERE tenant_id = @tenant AND (@before::uuid IS NULL OR id < @before)
		ORDER BY id DESC LIMIT @count`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "before": from, "count": count})
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Entry, error) {
		var e Entry
		err := row.Scan(&e.ID, &e.At, &e.Actor, &e.Action, &e.Target, &e.Detail)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return entries, nil
}
