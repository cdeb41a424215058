package server

import (
	"context"

	"github.com/jackc/pgx/v5"

	"hookline/internal/backtest"
	"hookline/internal/config"
	"hookline/internal/tenant"
)

// testedBy is what the finished backtest of a revision of the draft against what is live says; nil when there is none.
func testedBy(ctx context.Context, tx pgx.Tx, t tenant.ID, revision int) (*config.Tested, error) {
	live, err := config.Live(ctx, tx, t)
	if err != nil {
		return nil, err
	}
	b, err := backtest.Latest(ctx, tx, t, revision, live.Version)
	if err != nil || b == nil {
		return nil, err
	}
	return &config.Tested{Calls: b.Result.Calls, Changed: b.Result.Changed, Failing: b.Result.Failing}, nil
}
