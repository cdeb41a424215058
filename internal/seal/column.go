package seal

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Column is a column of sealed texts, with the three statements that moving it to another key takes. tenant is the
// tenant, prefix the first bytes of the texts meant; each statement uses the names it needs.
type Column struct {
	Place string // "table.column", as Seal was told
	Count sql    // how many texts begin with @prefix
	Find  sql    // at most @most of them: the row as Seal was told, the text
	Put   sql    // in place of the texts @old of the rows @ids those of @sealed, each where it still stands
}

// sql is the text of a statement. Only this package can name the type: what others hand it is a constant.
type sql string

// Transaction runs something in a transaction that may touch the column's rows.
type Transaction func(ctx context.Context, fn func(tx pgx.Tx) error) error

// batch is how many texts one transaction moves.
const batch = 200

// CountIn tells how many texts of a tenant stand in the column that the key of that id sealed.
func (c Column) CountIn(ctx context.Context, tx pgx.Tx, tenant [16]byte, id string) (int, error) {
	var n int
	if err := tx.QueryRow(ctx, string(c.Count), pgx.NamedArgs{"tenant": tenant, "prefix": prefix(id)}).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting sealed texts of %s: %w", c.Place, err)
	}
	return n, nil
}

// Reseal moves a tenant's texts of the column from the other keys of the set to the current one, a bounded number a
// transaction, and tells how many it moved. It may run beside a server and be run again. Texts of keys that the set
// lacks stay as they are.
func (c Column) Reseal(ctx context.Context, in Transaction, keys *Keys, tenant [16]byte) (moved int, err error) {
	for _, id := range keys.IDs() {
		if id == keys.CurrentID() {
			continue
		}
		for n := batch; n == batch; moved += n {
			if err := in(ctx, func(tx pgx.Tx) (err error) {
				n, err = c.reseal(ctx, tx, keys, tenant, id)
				return err
			}); err != nil {
				return moved, fmt.Errorf("sealing %s anew: %w", c.Place, err)
			}
		}
	}
	return moved, nil
}

func (c Column) reseal(ctx context.Context, tx pgx.Tx, keys *Keys, tenant [16]byte, id string) (int, error) {
	rows, _ := tx.Query(ctx, string(c.Find), pgx.NamedArgs{"tenant": tenant, "prefix": prefix(id), "most": batch})
	var (
		row         string
		text        []byte
		ids         []string
		old, sealed [][]byte
	)
	if _, err := pgx.ForEachRow(rows, []any{&row, &text}, func() error {
		plain, err := keys.Open(text, tenant, c.Place, row)
		if err != nil {
			return fmt.Errorf("row %s: %w", row, err)
		}
		ids, old, sealed = append(ids, row), append(old, text), append(sealed, keys.Seal(plain, tenant, c.Place, row))
		return nil
	}); err != nil || len(ids) == 0 {
		return 0, err
	}
	_, err := tx.Exec(ctx, string(c.Put), pgx.NamedArgs{"tenant": tenant, "ids": ids, "old": old, "sealed": sealed})
	return len(ids), err
}

// prefix is how every text begins that the key of this id sealed.
func prefix(id string) []byte { return append([]byte{format, byte(len(id))}, id...) }
