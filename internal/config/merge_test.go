package config

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"hookline/internal/mapping"
	"hookline/internal/routing"
)

// hand is somebody who edits at random what is theirs: one of both, or everything.
type hand struct {
	name string
	r    *rand.Rand
	own  func(n int) bool
}

// edit does some edits, with moves of rules among them where asked for.
func (h hand) edit(s Set, moves bool) Set {
	s = s.clone()
	one := func(of int) (int, bool) { return h.r.IntN(max(1, of)), of > 0 }
	for n := range 1 + h.r.IntN(6) {
		mark := fmt.Sprintf("%s%d", h.name, n)
		rules, lists, rows := s.Rules.Rules, s.Rules.Phrases, s.Mappings.Modules["Leads"]
		switch h.r.IntN(9) {
		case 0, 1:
			if i, ok := one(len(rules)); ok && h.owns(rules[i].ID) {
				rules[i].Name = mark
			}
		case 2:
			if i, ok := one(len(rules)); ok && h.owns(rules[i].ID) {
				rules[i].When = routing.Condition{Field: routing.FieldSource, Op: routing.Is, Values: []string{mark}}
			}
		case 3:
			if i, ok := one(len(rules)); ok && h.owns(rules[i].ID) {
				s.Rules.Rules = slices.Delete(rules, i, i+1)
			}
		case 4:
			s.Rules.Rules = slices.Insert(rules, h.r.IntN(len(rules)+1), routing.Rule{ID: "new" + mark, Name: mark, Then: []routing.Outcome{{Do: routing.Ignore}}})
		case 5:
			if i, ok := one(len(lists)); ok && h.owns(lists[i].Name) {
				lists[i].Phrases = append(slices.Clone(lists[i].Phrases[1:]), mark)
			}
		case 6:
			if i, ok := one(len(rows)); ok && h.owns(rows[i].Field) {
				rows[i].Value = mark
			}
		case 7:
			s.Mappings.Modules["Leads"] = append(rows, mapping.Row{Field: "Field_" + mark, Value: mark})
		case 8:
			if moves && len(rules) > 1 {
				i, j := h.r.IntN(len(rules)), h.r.IntN(len(rules))
				rules[i], rules[j] = rules[j], rules[i]
			}
		}
	}
	return s
}

// owns shares things out by their key.
func (h hand) owns(key string) bool {
	sum := 0
	for _, c := range key {
		sum += int(c)
	}
	return h.own(sum)
}

// things are the parts of a configuration by key.
func things(s Set) map[string]any {
	out := map[string]any{}
	for _, r := range s.Rules.Rules {
		out["rule "+r.ID] = r
	}
	for _, l := range s.Rules.Phrases {
		out["list "+l.Name] = l
	}
	for module, rows := range s.Mappings.Modules {
		for _, r := range rows {
			out[module+" "+r.Field] = r
		}
	}
	return out
}

func order(s Set, of func(id string) bool) (ids []string) {
	for _, r := range s.Rules.Rules {
		if of(r.ID) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func TestOfDisjointEditsNothingIsLostWhoeverSavesFirst(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		base := Defaults()
		even := hand{"a", r, func(n int) bool { return n%2 == 0 }}
		odd := hand{"b", r, func(n int) bool { return n%2 == 1 }}
		mine, theirs := even.edit(base, true), odd.edit(base, false)
		merged, clashes := merge(base, mine, theirs)
		turned, turnedClashes := merge(base, theirs, mine)
		if len(clashes)+len(turnedClashes) > 0 {
			t.Fatalf("seed %d: disjoint edits clash: %v %v", seed, clashes, turnedClashes)
		}
		b, m, z, out := things(base), things(mine), things(theirs), things(merged)
		for _, keys := range []map[string]any{b, m, z} {
			for k := range keys {
				want := z[k]
				if !same(m[k], b[k]) {
					want = m[k]
				}
				if !same(out[k], want) {
					t.Fatalf("seed %d: %s is %v, want %v", seed, k, out[k], want)
				}
			}
		}
		if !same(out, things(turned)) {
			t.Fatalf("seed %d: who saves first decides what is kept", seed)
		}
		both := func(id string) bool { return b["rule "+id] != nil && out["rule "+id] != nil }
		if got, want := order(merged, both), order(mine, both); !slices.Equal(got, want) || !slices.Equal(order(turned, both), want) {
			t.Fatalf("seed %d: the rules stand as %v and %v, moved to %v", seed, got, order(turned, both), want)
		}
	}
}

func TestOfAnyEditsNothingIsLostWithoutAClash(t *testing.T) {
	t.Parallel()
	merges, conflicts := 0, 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		all := func(int) bool { return true }
		base := Defaults()
		mine, theirs := hand{"a", r, all}.edit(base, true), hand{"b", r, all}.edit(base, false)
		merged, clashes := merge(base, mine, theirs)
		if len(clashes) > 0 {
			conflicts++
			continue
		}
		merges++
		out := things(merged)
		for who, set := range map[string]Set{"mine": mine, "theirs": theirs} {
			changed, b := things(set), things(base)
			for k := range b {
				if _, still := changed[k]; !still && out[k] != nil {
					t.Fatalf("seed %d: what %s deleted is back: %s", seed, who, k)
				}
			}
			for k, v := range changed {
				if !same(v, b[k]) && !holds(out[k], v, b[k]) {
					t.Fatalf("seed %d: %s of %s is lost: %v, want %v", seed, k, who, out[k], v)
				}
			}
		}
	}
	if merges < 50 || conflicts < 50 {
		t.Errorf("%d merges and %d conflicts: the edits show little", merges, conflicts)
	}
}

// holds reports whether what somebody made of a thing is in the merged one, part by part.
func holds(merged, made, was any) bool {
	switch made := made.(type) {
	case routing.Rule:
		now, ok := merged.(routing.Rule)
		before, _ := was.(routing.Rule)
		return ok && (same(made.Name, before.Name) || same(now.Name, made.Name)) && (same(made.When, before.When) || same(now.When, made.When)) &&
			(same(made.Then, before.Then) || same(now.Then, made.Then)) && (made.Off == before.Off || now.Off == made.Off)
	case routing.PhraseList:
		now, ok := merged.(routing.PhraseList)
		before, _ := was.(routing.PhraseList)
		for _, p := range missing(made.Phrases, before.Phrases) {
			ok = ok && slices.Contains(now.Phrases, p)
		}
		for _, p := range missing(before.Phrases, made.Phrases) {
			ok = ok && !slices.Contains(now.Phrases, p)
		}
		return ok
	}
	return same(merged, made)
}
