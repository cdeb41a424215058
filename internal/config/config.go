// Package config holds what a tenant wants done with its calls: rules, phrase lists and field mappings, as one
// configuration.
//
// It is edited in one draft per tenant, by as many people as like, and published as immutable versions; the newest
// version is live. A Set can be stored, exported and kept in a repository as one JSON document. What a rule means is
// routing's business, what a mapping means is mapping's; running stored calls through a draft is backtest's.
package config

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

// Set is one state of a tenant's configuration.
type Set struct {
	Version  int // the published version; 0: the defaults, or a draft
	Rules    routing.Set
	Mappings mapping.Set
}

// Defaults is what a tenant starts with.
func Defaults() Set { return Set{Rules: routing.DefaultSet(), Mappings: mapping.DefaultSet()} }

// document is the JSON form of a Set: what is stored, exported and imported.
type document struct {
	Rules    []routing.Rule           `json:"rules"`
	Phrases  []routing.PhraseList     `json:"phrases"`
	Mappings map[string][]mapping.Row `json:"mappings"`
}

// MarshalJSON writes the document {"rules": [...], "phrases": [...], "mappings": {"Leads": [...]}}.
func (s Set) MarshalJSON() ([]byte, error) {
	return json.Marshal(document{Rules: s.Rules.Rules, Phrases: s.Rules.Phrases, Mappings: s.Mappings.Modules})
}

// UnmarshalJSON reads what MarshalJSON wrote. Keys that it does not know are refused: a misspelt condition would
// always hold. Modules that the document was written without get their default rows.
func (s *Set) UnmarshalJSON(text []byte) error {
	var d document
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return err
	}
	s.Rules = routing.Set{Version: s.Version, Rules: d.Rules, Phrases: d.Phrases}
	s.Mappings = mapping.Set{Version: s.Version, Modules: d.Mappings}
	s.Mappings.Complete()
	return nil
}

// maxDocument is the size of a configuration's JSON document that is taken, in bytes.
const maxDocument = 1 << 20

// Parse reads a document that came from outside and checks it for all that can be seen without the organisation's
// fields. The fault is Invalid and says what is wrong, and with which rule.
func Parse(text []byte) (Set, error) {
	if len(text) > maxDocument {
		return Set{}, fault.Newf(fault.Invalid, "The document is larger than %d KiB.", maxDocument>>10)
	}
	var s Set
	if err := json.Unmarshal(text, &s); err != nil {
		return Set{}, fault.Wrap(fault.Invalid, err, "This is not the JSON document that an export writes: "+jsonSentence(err)+".")
	}
	if s.Rules.Rules == nil || s.Rules.Phrases == nil {
		return Set{}, fault.New(fault.Invalid, `The document lacks "rules" or "phrases". Export one to see what it looks like; write [] where there shall be none.`)
	}
	return s, s.sound()
}

func jsonSentence(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%q cannot be %s", e.Field, e.Value)
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("it stops being JSON at character %d", e.Offset)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// Unsound is the cause of the Invalid fault when rules cannot be kept even in a draft.
type Unsound struct{ Problems []routing.Problem }

func (u *Unsound) Error() string { return fmt.Sprintf("%d problems of rules", len(u.Problems)) }

// sound reports what keeps a configuration from being kept even as a draft.
func (s Set) sound() error {
	problems := s.Rules.Check()
	if len(problems) == 0 {
		return s.soundRows()
	}
	names := map[string]string{}
	for _, r := range s.Rules.Rules {
		names[r.ID] = r.Name
	}
	const told = 10 // of what may be thousands
	var sentences []string
	for _, p := range problems[:min(told, len(problems))] {
		if name := names[p.Rule]; name != "" && len(problems) > 1 {
			p.Sentence = "“" + name + "”: " + p.Sentence
		}
		sentences = append(sentences, p.Sentence)
	}
	if more := len(problems) - told; more > 0 {
		sentences = append(sentences, fmt.Sprintf("And %d more.", more))
	}
	return fault.Wrap(fault.Invalid, &Unsound{problems}, strings.Join(sentences, " "))
}

// soundRows reports rows that stand twice or say nothing that a row can say. Whether Zoho takes what they write is
// asked by Check.
func (s Set) soundRows() error {
	for _, module := range slices.Sorted(maps.Keys(s.Mappings.Modules)) {
		rows, seen := s.Mappings.Modules[module], map[string]bool{}
		for i, r := range rows {
			where := fmt.Sprintf("mappings.%s[%d]", module, i)
			switch {
			case r.Field == "":
				return fault.Field(where, module+": a row lacks the name of its field.")
			case seen[r.Field]:
				return fault.Field(where, module+": "+fieldName(r.Field)+" has two rows; one field gets one value.")
			case !slices.Contains(mapping.Modes, r.Mode):
				return fault.Field(where, fmt.Sprintf("%s: %s cannot be written in the mode %q. Modes are \"always\", \"append\", \"never\", or none.", module, fieldName(r.Field), r.Mode))
			}
			seen[r.Field] = true
		}
	}
	return nil
}

// clone is a copy of which every part can be changed.
func (s Set) clone() Set {
	var c Set
	text, err := json.Marshal(s)
	if err == nil {
		c.Version = s.Version
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		panic(fmt.Sprintf("config: a set that cannot be copied: %v", err)) // it holds texts and numbers only
	}
	return c
}

// Live is the newest published version, or the defaults (version 0) when none was ever published.
func Live(ctx context.Context, tx pgx.Tx, t tenant.ID) (Set, error) {
	rows, _ := tx.Query(ctx, `
		SELECT version, config
		FROM config_versions
		WHERE tenant_id = @tenant
		ORDER BY version DESC
		LIMIT 1`,
		pgx.StrictNamedArgs{"tenant": t.UUID()})
	s, err := pgx.CollectExactlyOneRow(rows, scanSet)
	if errors.Is(err, pgx.ErrNoRows) {
		return Defaults(), nil
	}
	if err != nil {
		return Set{}, fmt.Errorf("reading the live configuration: %w", err)
	}
	return s, nil
}

// At is the configuration as it stood in a version; 0 is the defaults.
func At(ctx context.Context, tx pgx.Tx, t tenant.ID, version int) (Set, error) {
	if version == 0 {
		return Defaults(), nil
	}
	rows, _ := tx.Query(ctx, `
		SELECT version, config
		FROM config_versions
		WHERE tenant_id = @tenant AND version = @version::bigint`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "version": version})
	s, err := pgx.CollectExactlyOneRow(rows, scanSet)
	if errors.Is(err, pgx.ErrNoRows) {
		return Set{}, fault.New(fault.NotFound, "There is no such version.")
	}
	if err != nil {
		return Set{}, fmt.Errorf("reading version %d of the configuration: %w", version, err)
	}
	return s, nil
}

func scanSet(row pgx.CollectableRow) (Set, error) {
	var version int
	var doc []byte
	if err := row.Scan(&version, &doc); err != nil {
		return Set{}, err
	}
	return readSet(version, doc)
}

func readSet(version int, doc []byte) (Set, error) {
	s := Set{Version: version}
	return s, json.Unmarshal(doc, &s)
}

// Version is one published state.
type Version struct {
	Number  int
	Why     string   // in the words of who published it
	Changes []string // the difference from the version before, in words
	Tested  *Tested  // the backtest that it was published on; nil: without one
	By      string
	At      time.Time
}

// Tested is what a backtest said before a draft was published.
type Tested struct {
	Calls   int `json:"calls"`   // that were run through draft and live
	Changed int `json:"changed"` // for which the draft does something else
	Failing int `json:"failing"` // that would fail under the draft and not under live
}

// Versions lists versions, newest first, at most limit. With before, it begins with the one before that number; 0
// begins with the newest.
func Versions(ctx context.Context, tx pgx.Tx, t tenant.ID, before, limit int) ([]Version, error) {
	rows, _ := tx.Query(ctx, `
		SELECT version AS number, why, changes, tested, created_by AS by, created_at AS at
		FROM config_versions
		WHERE tenant_id = @tenant AND (@before::bigint = 0 OR version < @before::bigint)
		ORDER BY version DESC
		LIMIT @limit`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "before": before, "limit": limit})
	versions, err := pgx.CollectRows(rows, pgx.RowToStructByName[Version])
	if err != nil {
		return nil, fmt.Errorf("listing the versions of the configuration: %w", err)
	}
	return versions, nil
}
