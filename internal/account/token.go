package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/postgres"
)

// tokenKind is what a token in a mailed link is good for.
type tokenKind string

const (
	verifyToken tokenKind = "verify"
	resetToken  tokenKind = "reset"
)

// life is how long a mailed link works.
func (k tokenKind) life() time.Duration {
	if k == resetToken {
		return 30 * time.Minute
	}
	return 72 * time.Hour
}

// randomText is 256 random bits, fit for a URL.
func randomText() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: the program stops when the system has no randomness
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// issueToken makes a token for a person; older ones of its kind stop working.
func issueToken(ctx context.Context, db postgres.Querier, kind tokenKind, person PersonID, now time.Time) (string, error) {
	if err := endTokens(ctx, db, kind, person); err != nil {
		return "", err
	}
	token := randomText()
	if _, err := db.Exec(ctx, `
		INSERT INTO keys (hash, kind, person_id, expires_at, created_at)
		VALUES (@hash, @kind, @person, @expires_at, @now)`,
		pgx.StrictNamedArgs{
			"hash": hashOf(token), "kind": string(kind), "person": person.UUID(),
			"expires_at": now.Add(kind.life()), "now": now,
		}); err != nil {
		return "", fmt.Errorf("issuing a %s token: %w", kind, err)
	}
	return token, nil
}

// endTokens makes a person's tokens of a kind stop working.
func endTokens(ctx context.Context, db postgres.Querier, kind tokenKind, person PersonID) error {
	if _, err := db.Exec(ctx, `DELETE FROM keys WHERE kind = @kind AND person_id = @person`,
		pgx.StrictNamedArgs{"kind": string(kind), "person": person.UUID()}); err != nil {
		return fmt.Errorf("ending %s tokens: %w", kind, err)
	}
	return nil
}

var errToken = fault.New(fault.NotFound, "This link has been used, replaced by a newer one, or is too old. Ask for a new one.")

// peekToken tells whose token it is without using it up.
func peekToken(ctx context.Context, db postgres.Querier, kind tokenKind, token string, now time.Time) (PersonID, error) {
	var person uuid.UUID
	err := db.QueryRow(ctx, `
		SELECT person_id FROM keys WHERE hash = @hash AND kind = @kind AND expires_at > @now`,
		pgx.StrictNamedArgs{"hash": hashOf(token), "kind": string(kind), "now": now}).Scan(&person)
	if errors.Is(err, pgx.ErrNoRows) {
		return PersonID{}, errToken
	}
	if err != nil {
		return PersonID{}, fmt.Errorf("reading a %s token: %w", kind, err)
	}
	return PersonID(person), nil
}

// useToken consumes a token: of two who present it at once, one gets the person.
func useToken(ctx context.Context, db postgres.Querier, kind tokenKind, token string, now time.Time) (PersonID, error) {
	var person uuid.UUID
	err := db.QueryRow(ctx, `
		DELETE FROM keys WHERE hash = @hash AND kind = @kind AND expires_at > @now RETURNING person_id`,
		pgx.StrictNamedArgs{"hash": hashOf(token), "kind": string(kind), "now": now}).Scan(&person)
	if errors.Is(err, pgx.ErrNoRows) {
		return PersonID{}, errToken
	}
	if err != nil {
		return PersonID{}, fmt.Errorf("using a %s token: %w", kind, err)
	}
	return PersonID(person), nil
}
