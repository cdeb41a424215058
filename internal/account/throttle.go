package account

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/postgres"
)

// limit is a generic cell rate: so many at once, then one every so often.
type limit struct {
	purpose string
	burst   int
	every   time.Duration
}

// The limits of the front door. A true owner under attack gets in within a minute: the attacker's address is slowed
// first (per account and address), and the account as a whole frees a try every three seconds.
var (
	signInHere    = limit{"sign-in account address", 5, 12 * time.Second}
	signInAccount = limit{"sign-in account", 20, 3 * time.Second}
	signInAddress = limit{"sign-in address", 20, 3 * time.Second}
	signUpAddress = limit{"sign-up address", 10, time.Minute}
	mailAccount   = limit{"mail account", 3, 5 * time.Minute}
	resetAddress  = limit{"reset address", 10, time.Minute}
	tokenAddress  = limit{"token address", 20, 3 * time.Second}
)

// take takes one of the limit's turns for subject. It returns how long to wait, zero when it got one. A refused
// turn costs nothing.
func (l limit) take(ctx context.Context, db postgres.Querier, subject string, now time.Time) (time.Duration, error) {
	// arrival_at is the theoretical arrival time. The row's lock makes two who come together come one after the other.
	args := pgx.StrictNamedArgs{
		"key": hex.EncodeToString(hashOf(l.purpose + "\x00" + subject)), "now": now, "every": l.every,
		"tolerance": time.Duration(l.burst-1) * l.every,
	}
	tag, err := db.Exec(ctx, `
		INSERT INTO throttles AS t (key, arrival_at) VALUES (@key, @now::timestamptz + @every::interval)
		ON CONFLICT (key) DO UPDATE SET arrival_at = greatest(t.arrival_at, @now::timestamptz) + @every::interval
		WHERE t.arrival_at <= @now::timestamptz + @tolerance::interval`, args)
	if err != nil {
		return 0, fmt.Errorf("throttling %s: %w", l.purpose, err)
	}
	if tag.RowsAffected() == 1 {
		return 0, nil
	}
	var free time.Time
	err = db.QueryRow(ctx, `SELECT arrival_at FROM throttles WHERE key = @key`,
		pgx.StrictNamedArgs{"key": args["key"]}).Scan(&free)
	if err != nil {
		return 0, fmt.Errorf("throttling %s: %w", l.purpose, err)
	}
	return max(free.Add(-time.Duration(l.burst-1)*l.every).Sub(now), time.Second), nil
}

func throttled(wait time.Duration) error {
	return fault.Newf(fault.Throttled, "Too many tries. Wait %d seconds and try again.", int(wait.Seconds())+1)
}

// network is what an address is throttled by: itself for IPv4, its /64 for IPv6, of which a subscriber has all.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, err := a.Prefix(64)
		if err != nil {
			return address
		}
		return p.String()
	}
	return a.String()
}
