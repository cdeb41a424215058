package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/tenant"
)

// Publication is the wish to make a draft live.
type Publication struct {
	Actor    string
	Revision int     // of the draft that the person saw
	Why      string  // in the person's words; may be empty
	Tested   *Tested // what a backtest of this revision said
	Untested bool    // publish without a backtest
	Despite  bool    // publish what Zoho is known to refuse
}

// Reasons why a Publication is not carried out though it could be. They are the causes of Conflict faults.
var (
	ErrUntested = errors.New("no backtest of this draft was run")
	ErrRefused  = errors.New("a part of this draft is known to be refused by Zoho")
	ErrNothing  = errors.New("it is live already")
)

const maxWhy = 500 // characters

// Publish makes the draft the tenant's next version, which the next call follows.
func Publish(ctx context.Context, tx pgx.Tx, t tenant.ID, p Publication, md mapping.Metadata) (Version, error) {
	now, err := lock(ctx, tx, t)
	if err != nil {
		return Version{}, err
	}
	live, err := Live(ctx, tx, t)
	if err != nil {
		return Version{}, err
	}
	switch {
	case p.Revision != now.Revision:
		return Version{}, fault.Wrap(fault.Conflict, ErrStale, "The draft was changed since you looked at it. Look at what is new, then publish.")
	case !now.Open:
		return Version{}, fault.Wrap(fault.Conflict, ErrNothing, "There is nothing to publish: the draft is what is live already.")
	case len([]rune(p.Why)) > maxWhy:
		return Version{}, fault.Field("why", fmt.Sprintf("Say why in at most %d characters.", maxWhy))
	}
	if err := agreed(now.Set, md, p.Despite); err != nil {
		return Version{}, err
	}
	if p.Tested == nil && !p.Untested {
		return Version{}, fault.Wrap(fault.Conflict, ErrUntested, "Nobody has looked at what this draft would change. Run the backtest first, or publish without it.")
	}
	detail := map[string]any{"why": p.Why, "tested": p.Tested, "despite": p.Despite}
	action := "config.published"
	if p.Tested == nil {
		action = "config.published_untested"
	}
	v, err := publish(ctx, tx, t, p.Actor, live, now.Set, p.Why, p.Tested, action, detail)
	if err != nil {
		return Version{}, err
	}
	_, err = write(ctx, tx, t, p.Actor, entry{set: now.Set, base: v.Number, what: "Published as version " + strconv.Itoa(v.Number)}, now.Revision)
	return v, err
}

// Rollback makes an older version, or the defaults (0), live again as the newest one. Changes of the draft that are
// not published stay there, on top of it, as far as they fit. Live is the version that the person saw to be live.
func Rollback(ctx context.Context, tx pgx.Tx, t tenant.ID, actor string, live, to int, despite bool, md mapping.Metadata) (Version, error) {
	now, err := lock(ctx, tx, t)
	if err != nil {
		return Version{}, err
	}
	was, err := Live(ctx, tx, t)
	if err != nil {
		return Version{}, err
	}
	old, err := At(ctx, tx, t, to)
	if err != nil {
		return Version{}, err
	}
	switch {
	case was.Version != live:
		return Version{}, fault.Wrap(fault.Conflict, ErrStale, fmt.Sprintf("Version %d was published meanwhile. Look at the versions again.", was.Version))
	case same(was, old):
		return Version{}, fault.Wrap(fault.Conflict, ErrNothing, "That is what is live already.")
	}
	if err := agreed(old, md, despite); err != nil {
		return Version{}, err
	}
	name := "version " + strconv.Itoa(to)
	if to == 0 {
		name = "the defaults"
	}
	v, err := publish(ctx, tx, t, actor, was, old, "Back to "+name, nil, "config.rolled_back", map[string]any{"to": to, "despite": despite})
	if err != nil {
		return Version{}, err
	}
	e := entry{set: old, base: v.Number, what: "Back to " + name}
	if now.Open {
		e.set = onto(was, now.Set, old)
		e.open = !same(e.set, old)
	}
	_, err = write(ctx, tx, t, actor, e, now.Revision)
	return v, err
}

// onto puts what a draft changed on one configuration onto another; where both changed the same, the draft's stays.
// Where the two do not go together, such as a rule with a phrase list that the other lacks, it is the draft as it is.
func onto(base, draft, other Set) Set {
	merged, _ := merge(base, draft, other)
	if merged.sound() != nil {
		return draft
	}
	return merged
}

// agreed refuses what Zoho is known to refuse, unless somebody said so.
func agreed(s Set, md mapping.Metadata, despite bool) error {
	blocking := Blocking(Check(s, md))
	if len(blocking) == 0 || despite {
		return nil
	}
	var sentences []string
	for _, p := range blocking[:min(3, len(blocking))] {
		sentences = append(sentences, p.Name+": "+p.Sentence)
	}
	if more := len(blocking) - len(sentences); more > 0 {
		sentences = append(sentences, fmt.Sprintf("And %d more.", more))
	}
	return fault.Wrap(fault.Conflict, ErrRefused, "Zoho would refuse what this says. "+strings.Join(sentences, " "))
}

// Of what a version changes in words, so much is kept with it. Its content is kept whole.
const (
	mostChanges   = 200
	longestChange = 1000 // characters
)

// inBrief are changes as they are kept with a version.
func inBrief(changes []string) []string {
	out := make([]string, 0, min(mostChanges+1, len(changes)))
	for _, c := range changes[:min(mostChanges, len(changes))] {
		if letters := []rune(c); len(letters) > longestChange {
			c = string(letters[:longestChange-1]) + "…"
		}
		out = append(out, c)
	}
	if more := len(changes) - mostChanges; more > 0 {
		out = append(out, fmt.Sprintf("And %d more.", more))
	}
	return out
}

func publish(ctx context.Context, tx pgx.Tx, t tenant.ID, actor string, from, to Set, why string, tested *Tested, action string, detail map[string]any) (Version, error) {
	doc, err := json.Marshal(to)
	if err != nil {
		return Version{}, fmt.Errorf("writing the configuration as JSON: %w", err)
	}
	v := Version{Number: from.Version + 1, Why: why, Changes: inBrief(Sentences(Diff(from, to))), Tested: tested, By: actor}
	err = tx.QueryRow(ctx, `
		INSERT INTO config_versions (tenant_id, version, config, why, changes, tested, created_by)
		VALUES (@tenant, @version, @config, @why, @changes, @tested, @actor)
		RETURNING created_at`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "version": v.Number, "config": doc, "why": why, "changes": v.Changes, "tested": tested, "actor": actor}).Scan(&v.At)
	if err != nil {
		return Version{}, fmt.Errorf("publishing the configuration: %w", err)
	}
	detail["changes"] = v.Changes
	return v, account.Audit(ctx, tx, t, actor, action, "version "+strconv.Itoa(v.Number), detail)
}
