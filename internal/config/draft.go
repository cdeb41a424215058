package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/fault"
	"hookline/internal/tenant"
)

// Draft is what people edit: the live version and the changes that are not published yet.
type Draft struct {
	Set
	Base     int  // the version that it was made from
	Revision int  // grows by one with whatever changes the draft, for ever: one revision is one content
	Open     bool // it holds changes that are not live
	Undoable bool // the last edit can be taken back
	Edited   bool // by the edit that gave it; not when that came to what the draft said already
}

// Edit is one thing that was done to the draft.
type Edit struct {
	Revision int
	What     string // in words
	By       string
	At       time.Time
}

// keptEdits is how many revisions of a tenant's draft are kept: a form that was made from an older one is refused.
const keptEdits = 100

// ErrStale is the cause of the Conflict when somebody has changed meanwhile what a person or program looked at.
var ErrStale = errors.New("changed meanwhile")

// ReadDraft is the draft as it stands; without changes it is the live version.
func ReadDraft(ctx context.Context, tx pgx.Tx, t tenant.ID) (Draft, error) {
	rows, _ := tx.Query(ctx, `
		SELECT e.base, e.revision, e.config, e.open, e.parent IS NOT NULL
		FROM drafts d
		JOIN draft_edits e ON e.tenant_id = d.tenant_id AND e.revision = d.revision
		WHERE d.tenant_id = @tenant`,
		pgx.StrictNamedArgs{"tenant": t.UUID()})
	d, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (Draft, error) {
		var d Draft
		var doc []byte
		if err := row.Scan(&d.Base, &d.Revision, &doc, &d.Open, &d.Undoable); err != nil {
			return Draft{}, err
		}
		return d, json.Unmarshal(doc, &d.Set)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		live, err := Live(ctx, tx, t)
		return Draft{Set: live, Base: live.Version}, err
	}
	if err != nil {
		return Draft{}, fmt.Errorf("reading the draft: %w", err)
	}
	if !d.Open {
		d.setVersion(d.Base)
	}
	return d, nil
}

func (s *Set) setVersion(n int) { s.Version, s.Rules.Version, s.Mappings.Version = n, n, n }

// Revision is the draft as it stood at a revision, such as the one that a form was made from.
func Revision(ctx context.Context, tx pgx.Tx, t tenant.ID, revision int) (Set, error) {
	if revision == 0 {
		return Defaults(), nil
	}
	var doc []byte
	err := tx.QueryRow(ctx, `SELECT config FROM draft_edits WHERE tenant_id = @tenant AND revision = @revision::bigint`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "revision": revision}).Scan(&doc)
	if errors.Is(err, pgx.ErrNoRows) {
		return Set{}, fault.New(fault.Conflict, "This page is too old: the rules and mappings were changed many times since it was opened. Reload it, then repeat your change.")
	}
	if err != nil {
		return Set{}, fmt.Errorf("reading revision %d of the draft: %w", revision, err)
	}
	return readSet(0, doc)
}

// Edits are what was done to the draft since a revision, newest first, at most limit.
func Edits(ctx context.Context, tx pgx.Tx, t tenant.ID, since, limit int) ([]Edit, error) {
	rows, _ := tx.Query(ctx, `
		SELECT revision, what, edited_by AS by, edited_at AS at
		FROM draft_edits
		WHERE tenant_id = @tenant AND revision > @since::bigint
		ORDER BY revision DESC
		LIMIT @limit`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "since": since, "limit": limit})
	edits, err := pgx.CollectRows(rows, pgx.RowToStructByName[Edit])
	if err != nil {
		return nil, fmt.Errorf("listing the edits of the draft: %w", err)
	}
	return edits, nil
}

// Unpublished are the edits that are not live yet, newest first; none when the draft is what is live.
func Unpublished(ctx context.Context, tx pgx.Tx, t tenant.ID) ([]Edit, error) {
	var live int // the newest revision that was what is live
	err := tx.QueryRow(ctx, `SELECT coalesce(max(revision), 0) FROM draft_edits WHERE tenant_id = @tenant AND NOT open`,
		pgx.StrictNamedArgs{"tenant": t.UUID()}).Scan(&live)
	if err != nil {
		return nil, fmt.Errorf("finding the first unpublished edit: %w", err)
	}
	return Edits(ctx, tx, t, live, keptEdits)
}

// Change makes something of a configuration that it may keep or alter, and says what in words.
type Change func(*Set) (what string, err error)

// EditDraft changes the draft. The change is made on the revision that its form was made from, and merged with what
// others have done since; where both changed the same, nothing is stored and the error is a *Conflict with both sides.
func EditDraft(ctx context.Context, tx pgx.Tx, t tenant.ID, actor string, on int, change Change) (Draft, error) {
	now, err := lock(ctx, tx, t)
	if err != nil {
		return Draft{}, err
	}
	base := now.Set
	if on != now.Revision {
		if base, err = Revision(ctx, tx, t, on); err != nil {
			return Draft{}, err
		}
	}
	mine := base.clone()
	what, err := change(&mine)
	if err != nil {
		return Draft{}, err
	}
	merged := mine
	if on != now.Revision {
		var clashes []Clash
		if merged, clashes = merge(base, mine, now.Set); len(clashes) > 0 {
			return Draft{}, conflict(ctx, tx, t, on, now, merged, clashes)
		}
	}
	return store(ctx, tx, t, actor, now, merged, what)
}

// Replace puts a whole configuration in the draft's place, as an import does. Revision is the draft that it was made
// from: when that is no longer the newest, the fault is a Conflict.
func Replace(ctx context.Context, tx pgx.Tx, t tenant.ID, actor string, revision int, s Set) (Draft, error) {
	now, err := lock(ctx, tx, t)
	if err != nil {
		return Draft{}, err
	}
	if revision != now.Revision {
		return Draft{}, fault.Wrap(fault.Conflict, ErrStale, fmt.Sprintf("The draft was changed meanwhile: it stands at revision %d. Read it again, then repeat your change.", now.Revision))
	}
	return store(ctx, tx, t, actor, now, s, "Imported")
}

// Undo takes the last edit back, and the one before it when it is asked for again. Revision is the draft that the
// person saw.
func Undo(ctx context.Context, tx pgx.Tx, t tenant.ID, actor string, revision int) (Draft, error) {
	now, err := lock(ctx, tx, t)
	if err != nil {
		return Draft{}, err
	}
	if revision != now.Revision {
		return Draft{}, fault.Wrap(fault.Conflict, ErrStale, "The draft was changed meanwhile. Look at it again before you take something back.")
	}
	var what string
	var back *int // the revision before the last edit
	err = tx.QueryRow(ctx, `SELECT what, parent FROM draft_edits WHERE tenant_id = @tenant AND revision = @revision`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "revision": revision}).Scan(&what, &back)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && back == nil {
		return Draft{}, fault.New(fault.Conflict, "There is nothing to take back.")
	}
	if err != nil {
		return Draft{}, fmt.Errorf("reading the last edit: %w", err)
	}
	old, err := Revision(ctx, tx, t, *back)
	if err != nil {
		return Draft{}, err
	}
	var further *int
	err = tx.QueryRow(ctx, `SELECT parent FROM draft_edits WHERE tenant_id = @tenant AND revision = @revision`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "revision": *back}).Scan(&further)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Draft{}, fmt.Errorf("reading the edit before: %w", err)
	}
	live, err := Live(ctx, tx, t)
	if err != nil {
		return Draft{}, err
	}
	return write(ctx, tx, t, actor, entry{set: old, base: now.Base, open: !same(old, live), parent: further, what: "Taken back: " + what}, now.Revision)
}

// Discard drops what is not published. It can be taken back.
func Discard(ctx context.Context, tx pgx.Tx, t tenant.ID, actor string, revision int) (Draft, error) {
	now, err := lock(ctx, tx, t)
	if err != nil {
		return Draft{}, err
	}
	if revision != now.Revision {
		return Draft{}, fault.Wrap(fault.Conflict, ErrStale, "The draft was changed meanwhile. Look at it again before you discard it.")
	}
	live, err := Live(ctx, tx, t)
	if err != nil {
		return Draft{}, err
	}
	return store(ctx, tx, t, actor, now, live, "Draft discarded")
}

// lock reads the draft and keeps others from changing it until the transaction is over.
func lock(ctx context.Context, tx pgx.Tx, t tenant.ID) (Draft, error) {
	if _, err := tx.Exec(ctx, `
		INSERT INTO drafts (tenant_id, revision)
		VALUES (@tenant, 0)
		ON CONFLICT (tenant_id) DO NOTHING`,
		pgx.StrictNamedArgs{"tenant": t.UUID()}); err != nil {
		return Draft{}, fmt.Errorf("opening the draft: %w", err)
	}
	if _, err := tx.Exec(ctx, `SELECT FROM drafts WHERE tenant_id = @tenant FOR UPDATE`,
		pgx.StrictNamedArgs{"tenant": t.UUID()}); err != nil {
		return Draft{}, fmt.Errorf("locking the draft: %w", err)
	}
	return ReadDraft(ctx, tx, t)
}

// store makes a set the draft's next revision. One that changes nothing leaves the draft as it is.
func store(ctx context.Context, tx pgx.Tx, t tenant.ID, actor string, now Draft, s Set, what string) (Draft, error) {
	if err := s.sound(); err != nil {
		return Draft{}, err
	}
	if same(s, now.Set) {
		return now, nil
	}
	live, err := Live(ctx, tx, t)
	if err != nil {
		return Draft{}, err
	}
	parent := now.Revision
	return write(ctx, tx, t, actor, entry{set: s, base: now.Base, open: !same(s, live), parent: &parent, what: what}, now.Revision)
}

// entry is a revision to be written.
type entry struct {
	set    Set
	base   int
	open   bool
	parent *int // what undo leads to; nil: nothing
	what   string
}

func write(ctx context.Context, tx pgx.Tx, t tenant.ID, actor string, e entry, after int) (Draft, error) {
	doc, err := json.Marshal(e.set)
	if err != nil {
		return Draft{}, fmt.Errorf("writing the draft as JSON: %w", err)
	}
	if len(doc) > maxDocument {
		return Draft{}, fault.Newf(fault.Invalid, "Rules and mappings together are larger than %d KiB.", maxDocument>>10)
	}
	revision := after + 1
	if _, err := tx.Exec(ctx, `
		INSERT INTO draft_edits (tenant_id, revision, base, config, open, parent, what, edited_by)
		VALUES (@tenant, @revision, @base, @config, @open, @parent, @what, @actor)`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "revision": revision, "base": e.base, "config": doc, "open": e.open, "parent": e.parent,
			"what": e.what, "actor": actor}); err != nil {
		return Draft{}, fmt.Errorf("storing the draft: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE drafts SET revision = @revision WHERE tenant_id = @tenant`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "revision": revision}); err != nil {
		return Draft{}, fmt.Errorf("storing the draft: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM draft_edits WHERE tenant_id = @tenant AND revision <= @last`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "last": revision - keptEdits}); err != nil {
		return Draft{}, fmt.Errorf("forgetting old edits of the draft: %w", err)
	}
	if err := account.Audit(ctx, tx, t, actor, "draft.edited", fmt.Sprintf("revision %d", revision), map[string]any{"what": e.what}); err != nil {
		return Draft{}, err
	}
	d, err := ReadDraft(ctx, tx, t)
	d.Edited = true
	return d, err
}
