package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/intake"
	"hookline/internal/postgres"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

type keysCommand struct {
	Generate keysGenerate `cmd:"" help:"Print a new key for HOOKLINE_SECRET_KEY."`
	Reseal   keysReseal   `cmd:"" help:"Move rows to the current key."`
}

type keysGenerate struct {
	ID string `help:"Id of the key; today's date when empty."`
}

func (k *keysGenerate) Run(w *world) error {
	id := k.ID
	if id == "" {
		id = time.Now().UTC().Format("20060102")
	}
	text := seal.Generate(id)
	if _, err := seal.Parse(text); err != nil {
		return err
	}
	fmt.Fprintln(w.out, text)
	return nil
}

type keysReseal struct{}

func (keysReseal) Run(w *world) error {
	return withDatabase(w, func(ctx context.Context, c config, d database) error {
		keys, err := sealingKeys(c)
		if err != nil {
			return err
		}
		db, err := postgres.Open(ctx, postgres.Config{URL: d.program, MaxConns: 4, Name: "hookline keys"})
		if err != nil {
			return err
		}
		defer db.Close()
		moved, err := reseal(ctx, db, keys)
		fmt.Fprintf(w.out, "%d rows moved to key %s\n", moved, keys.CurrentID())
		return err
	})
}

// eachSealed visits every sealed column, for each tenant that has rows in it, with the transactions that may touch
// them. What is no tenant's comes first, under the zero tenant.
func eachSealed(ctx context.Context, db *postgres.DB, visit func(seal.Column, tenant.ID, seal.Transaction) error) error {
	tenants, err := account.Tenants(ctx, db)
	if err != nil {
		return err
	}
	for _, column := range account.Sealed {
		if err := visit(column, tenant.ID{}, db.Directory); err != nil {
			return err
		}
	}
	columns := slices.Concat(connection.Sealed, intake.Sealed, delivery.Sealed)
	for _, t := range tenants {
		in := func(ctx context.Context, fn func(pgx.Tx) error) error { return db.InTenant(ctx, t, fn) }
		for _, column := range columns {
			if err := visit(column, t, in); err != nil {
				return fmt.Errorf("tenant %s: %w", t, err)
			}
		}
	}
	return nil
}

// reseal moves everything that is sealed to the current key, and forgets the keys with which nothing is sealed any more.
func reseal(ctx context.Context, db *postgres.DB, keys *seal.Keys) (moved int, err error) {
	if err := noteKey(ctx, db, keys); err != nil {
		return 0, err
	}
	if err := eachSealed(ctx, db, func(c seal.Column, t tenant.ID, in seal.Transaction) error {
		n, err := c.Reseal(ctx, in, keys, t)
		moved += n
		return err
	}); err != nil {
		return moved, err
	}
	noted, err := notedKeys(ctx, db)
	if err != nil {
		return moved, err
	}
	for _, id := range noted {
		if id == keys.CurrentID() {
			continue
		}
		if n, err := countSealed(ctx, db, id); err != nil {
			return moved, err
		} else if n > 0 {
			continue
		}
		if err := db.Directory(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM sealing_keys WHERE id = @id`, pgx.StrictNamedArgs{"id": id})
			return err
		}); err != nil {
			return moved, fmt.Errorf("forgetting key %s: %w", id, err)
		}
	}
	return moved, checkKeys(ctx, db, keys)
}

// noteKey remembers that from now on rows may be sealed with the current key. It comes before the first of them.
func noteKey(ctx context.Context, db *postgres.DB, keys *seal.Keys) error {
	if err := db.Directory(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO sealing_keys (id) VALUES (@id) ON CONFLICT (id) DO NOTHING`,
			pgx.StrictNamedArgs{"id": keys.CurrentID()})
		return err
	}); err != nil {
		return fmt.Errorf("noting the key in use: %w", err)
	}
	return nil
}

// notedKeys are the ids of all keys that rows may be sealed with.
func notedKeys(ctx context.Context, db *postgres.DB) (ids []string, err error) {
	err = db.Directory(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT id FROM sealing_keys ORDER BY id`)
		var err error
		ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the keys in use: %w", err)
	}
	return ids, nil
}

// countSealed counts everything that the key of that id sealed. It looks at every row: only for a key that is missing.
func countSealed(ctx context.Context, db *postgres.DB, id string) (n int, err error) {
	err = eachSealed(ctx, db, func(c seal.Column, t tenant.ID, in seal.Transaction) error {
		return in(ctx, func(tx pgx.Tx) error {
			here, err := c.CountIn(ctx, tx, t, id)
			n += here
			return err
		})
	})
	return n, err
}

// checkKeys refuses a key set that cannot open what is stored: better not to start than to tell every tenant that its
// connection is broken. Rows are looked at only when a key that was once in use is missing.
func checkKeys(ctx context.Context, db *postgres.DB, keys *seal.Keys) error {
	noted, err := notedKeys(ctx, db)
	if err != nil {
		return err
	}
	var words []string
	for _, id := range noted {
		if keys.Has(id) {
			continue
		}
		n, err := countSealed(ctx, db, id)
		if err != nil {
			return err
		}
		if n > 0 {
			words = append(words, fmt.Sprintf("%d sealed with key %s", n, id))
		}
	}
	if len(words) == 0 {
		return nil
	}
	return fmt.Errorf("the key set lacks keys of stored rows: %s. Put the missing keys behind the current one in HOOKLINE_SECRET_KEY", strings.Join(words, ", "))
}
