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

// reseal moves everything that is sealed to the current key. Mails are left: they are sent and wiped within minutes.
func reseal(ctx context.Context, db *postgres.DB, keys *seal.Keys) (moved int, err error) {
	tenants, err := account.Tenants(ctx, db)
	if err != nil {
		return 0, err
	}
	for _, t := range tenants {
		for _, part := range []func(context.Context, *postgres.DB, *seal.Keys, tenant.ID) (int, error){connection.Reseal, intake.Reseal, delivery.Reseal} {
			n, err := part(ctx, db, keys, t)
			moved += n
			if err != nil {
				return moved, err
			}
		}
	}
	return moved, nil
}

// checkKeys refuses a key set that cannot open the tokens and secrets that are stored: better not to start than to
// tell every tenant that its connection is broken. It counts a few rows a tenant, many tenants a transaction.
func checkKeys(ctx context.Context, db *postgres.DB, keys *seal.Keys) error {
	tenants, err := account.Tenants(ctx, db)
	if err != nil {
		return err
	}
	missing := map[string]int{}
	for some := range slices.Chunk(tenants, 500) {
		ids := make([][16]byte, len(some))
		for i, t := range some {
			ids[i] = t
		}
		if err := db.InTenants(ctx, ids, func(tx pgx.Tx) error {
			for _, part := range []func(context.Context, pgx.Tx, []tenant.ID) (map[string]int, error){connection.KeysInUse, intake.KeysInUse} {
				counts, err := part(ctx, tx, some)
				if err != nil {
					return err
				}
				for id, n := range counts {
					if !keys.Has(id) {
						missing[id] += n
					}
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var words []string
	for id, n := range missing {
		words = append(words, fmt.Sprintf("%d sealed with key %s", n, id))
	}
	slices.Sort(words)
	return fmt.Errorf("the key set lacks keys of stored rows: %s. Put the missing keys behind the current one in HOOKLINE_SECRET_KEY", strings.Join(words, ", "))
}
