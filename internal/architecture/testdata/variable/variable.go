// Package variable holds two planted faults and one good query for the constant-SQL check's own test.
package variable

import (
	"context"

	"github.com/jackc/pgx/v5"
)

const good = `SELECT 1`

func bad(ctx context.Context, tx pgx.Tx, name string) {
	_, _ = tx.Exec(ctx, "DROP TABLE "+name)
	tx.QueryRow(ctx, name)
	tx.QueryRow(ctx, good+" WHERE true")
}
