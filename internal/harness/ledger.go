package harness

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Line is one request in the sandbox's ledger, with what took effect, whatever became of the answer.
type Line struct {
	N       uint64
	Time    time.Time
	Method  string
	Path    string
	Status  int // 0: no answer left
	Org     string
	Code    string
	Fault   string
	Effects []struct{ Module, ID, Action string }
}

// Ledger is what the sandbox was asked for a tenant's organisation, in the order in which it was settled.
func (s *System) Ledger(ctx context.Context, t Tenant) ([]Line, error) {
	var answer struct{ Data []Line }
	err := s.Control(ctx, http.MethodGet, "/_sandbox/ledger?org="+t.Org, nil, &answer)
	return answer.Data, err
}

func (l Line) asksForToken() bool { return strings.HasSuffix(l.Path, "/oauth/v2/token") }
func (l Line) asksCRM() bool      { return strings.HasPrefix(l.Path, "/crm/") }

// created are the ids of the records that requests made, by module; what a person made by a control route is not.
func created(lines []Line) map[string]string {
	made := map[string]string{}
	for _, l := range lines {
		for _, e := range l.Effects {
			if e.Action == "created" && l.asksCRM() {
				made[e.ID] = e.Module
			}
		}
	}
	return made
}

// Zoho gives a refresh token's owner this many access tokens in ten minutes (Zoho's API, “Token Validity”).
const tokensIn10Minutes = 10

// underWay is how long a request may have been on its way already when another one's answer tells of the withdrawal.
const underWay = time.Second

// impolite are the breaches of Zoho's limits that a ledger can tell: too many tokens in ten minutes, and requests for a
// consent after Zoho has said that it is withdrawn.
func impolite(lines []Line) []string {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b Line) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.N, b.N)) })
	var said []string
	var tokens []time.Time
	var withdrawn time.Time
	for _, l := range lines {
		switch {
		case l.asksForToken():
			if withdrawn = (time.Time{}); l.Code == "invalid_code" {
				withdrawn = l.Time
			}
			tokens = append(tokens, l.Time)
			for l.Time.Sub(tokens[0]) > 10*time.Minute {
				tokens = tokens[1:]
			}
			if len(tokens) == tokensIn10Minutes+1 {
				said = append(said, fmt.Sprintf("organisation %s: %d token requests between %s and %s", l.Org, len(tokens),
					tokens[0].Format(time.TimeOnly), l.Time.Format(time.TimeOnly)))
			}
		case !withdrawn.IsZero() && l.asksCRM() && l.Time.Sub(withdrawn) > underWay:
			said = append(said, fmt.Sprintf("organisation %s: %s %s after the consent was withdrawn", l.Org, l.Method, l.Path))
		}
	}
	return said
}
