package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"hookline/internal/backtest"
	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/delivery"
	"hookline/internal/mapping"
	"hookline/internal/tenant"
	"hookline/web/page"
)

// choice is what it means to replay a call with the rules and mapping of then or of now.
type choice struct {
	basis  delivery.Basis
	now    int // the version that is live
	change backtest.Change
}

// differs reports whether the two come to something else.
func (c choice) differs() bool {
	return len(c.change.Records) > 0 || c.change.Changes && len(c.basis.Stands) == 0
}

// choices works out, on stored facts, what a replay of calls would come to with either configuration. Those that were
// never decided are left out. What stands in Zoho is kept by both, and so is a decision of which something stands.
func (s *Server) choices(ctx context.Context, t tenant.Tenant, ids []call.ID) ([]choice, error) {
	known, err := s.Zoho.Known(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	var out []choice
	err = s.DB.InTenant(ctx, t.ID, func(tx pgx.Tx) error {
		out = nil
		live, err := config.Live(ctx, tx, t.ID)
		if err != nil {
			return err
		}
		sets := map[int]config.Set{live.Version: live}
		for _, id := range ids {
			b, err := delivery.BasisOf(ctx, tx, s.Keys, t, id)
			if err != nil {
				return err
			}
			if b == nil {
				continue
			}
			then, read := sets[b.Version]
			if !read {
				if then, err = config.At(ctx, tx, t.ID, b.Version); err != nil {
					return err
				}
				sets[b.Version] = then
			}
			out = append(out, weigh(*b, then, live, known))
		}
		return nil
	})
	return out, err
}

func weigh(b delivery.Basis, then, now config.Set, md mapping.Metadata) choice {
	c := choice{basis: b, now: now.Version}
	if len(b.Stands) > 0 {
		now.Rules = then.Rules // the decision stays
	}
	c.change = backtest.Compare(then, now, b.Facts, md)
	c.change.Records = slices.DeleteFunc(c.change.Records, func(r backtest.RecordChange) bool { return b.Keeps(r.Slot) })
	return c
}

// choiceView puts the choice for one call into words.
func choiceView(c choice) *page.ReplayChoice {
	v := &page.ReplayChoice{Then: sideOf(c.basis.Version, c.change.Live), Now: sideOf(c.now, c.change.Draft)}
	for _, d := range c.basis.Stands {
		v.Kept = append(v.Kept, recordSentence(d))
	}
	switch {
	case c.basis.Version == c.now:
		v.Sentence = "Nothing was published since this call was decided: both are the same."
	case !c.differs() && c.change.Reruled:
		v.Sentence = "Another rule decides now, to the same effect."
	case !c.differs():
		v.Sentence = "Both come to the same for this call."
	default:
		v.Sentence = "What differs, from then to now:"
		if c.change.Reruled {
			v.Differs = append(v.Differs, fmt.Sprintf("Rule: “%s” → “%s”", c.change.Live.Rule, c.change.Draft.Rule))
		}
		v.Differs = append(v.Differs, differs(c.change.Records)...)
	}
	if len(c.basis.Stands) == 0 {
		v.Note = "Worked out on what was known of the caller then. The replay looks them up again."
	}
	return v
}

func sideOf(version int, s backtest.Side) page.ReplaySide {
	v := page.ReplaySide{Version: inSentence(version), Href: versionHref(version), Text: fmt.Sprintf("%s, by the rule “%s”.", s.Outcome, s.Rule)}
	for _, p := range s.Problems {
		if p.Blocking {
			v.Text += " It would fail: " + p.Sentence
			break
		}
	}
	return v
}

// otherwise says how many of several calls would come to something else now.
func otherwise(choices []choice) string {
	n := 0
	for _, c := range choices {
		if c.differs() {
			n++
		}
	}
	switch {
	case len(choices) == 0:
		return ""
	case n == 0:
		return "With today's rules and mapping all of them turn out as with those of then."
	}
	return fmt.Sprintf("With today's rules and mapping %s of %s would turn out otherwise than with those of then.", thousands(n), count(len(choices), "decided call", "decided calls"))
}
