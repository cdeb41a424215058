package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hookline/internal/config"
	"hookline/internal/server/servertest"
)

// publishes makes a version of a change.
func (l *line) publishes(b *servertest.Browser, why string, change func(*config.Set)) (v config.Version) {
	l.t.Helper()
	err := l.DB.InTenant(l.t.Context(), b.Tenant, func(tx pgx.Tx) error {
		now, err := config.ReadDraft(l.t.Context(), tx, b.Tenant)
		if err != nil {
			return err
		}
		d, err := config.EditDraft(l.t.Context(), tx, b.Tenant, b.Email, now.Revision, func(s *config.Set) (string, error) {
			change(s)
			return "Changed for a test", nil
		})
		if err != nil {
			return err
		}
		v, err = config.Publish(l.t.Context(), tx, b.Tenant, config.Publication{Actor: b.Email, Revision: d.Revision, Why: why, Tested: &config.Tested{Calls: 40, Changed: 3}}, nil)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return v
}

func TestAVersionIsShownWholeAndMadeLiveAgainInOneClick(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.publishes(owner, "No hidden numbers", func(s *config.Set) { s.Rules.Rules[0].Off = true })
	l.publishes(owner, "Shorter name", func(s *config.Set) { s.Rules.Rules[1].Name = "Buyers" })
	p := owner.Get("/versions/1")
	for _, want := range []string{"No hidden numbers", "switched off", "backtest of 40 calls", "ann@acme.test", "Buyers”", "No usable number", "Last_Name", "buying words", "Make live again"} {
		if !strings.Contains(p.Body, want) {
			t.Errorf("the page of version 1 lacks %q", want)
		}
	}
	if owner.Get("/versions/3").Status != 404 || owner.Get("/versions/x").Status != 404 {
		t.Error("a version that is not there is a page")
	}
	p = owner.Post("/versions/1/restore", url.Values{"live": {"2"}})
	if set := liveConfig(t, owner); p.Status != 303 || set.Version != 3 || !set.Rules.Rules[0].Off || set.Rules.Rules[1].Name == "Buyers" {
		t.Errorf("after one click: %d, version %d", p.Status, set.Version)
	}
	if p = owner.Get("/versions"); !strings.Contains(p.Body, "Version 1 is live again, as version 3.") || !strings.Contains(p.Body, "make version 2 live again") {
		t.Error("nothing says what happened and how to go forth again")
	}
	if p = owner.Get("/versions/1"); !strings.Contains(p.Body, "says what is live already") || strings.Contains(p.Body, "Make live again") {
		t.Error("what is live already is offered")
	}
	if p = owner.Post("/versions/2/restore", url.Values{"live": {"2"}}); p.Status != 409 {
		t.Errorf("on an old page: %d", p.Status)
	}
	owner.Post("/versions/2/restore", url.Values{"live": {"3"}})
	if set := liveConfig(t, owner); set.Version != 4 || set.Rules.Rules[1].Name != "Buyers" {
		t.Errorf("forth again: %d", set.Version)
	}
}

func TestAVersionIsAFileThatCanBeImported(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.publishes(owner, "", func(s *config.Set) { s.Mappings.Modules["Leads"][0].Value = "{{ last_name }} & <Co>" })
	p := owner.Get("/versions/1/document")
	if got := p.Header.Get("Content-Disposition"); got != `attachment; filename="hookline-rules-1.json"` {
		t.Errorf("Content-Disposition %q", got)
	}
	set, err := config.Parse([]byte(p.Body))
	want, _ := json.Marshal(liveConfig(t, owner))
	if got, _ := json.Marshal(set); err != nil || string(got) != string(want) || !strings.Contains(p.Body, "& <Co>") {
		t.Errorf("%v: the file is not the version", err)
	}
}

func TestVersionsArePaged(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	for i := range 21 {
		l.publishes(owner, "", func(s *config.Set) { s.Rules.Rules[0].Name = fmt.Sprintf("Name %d", i) })
	}
	first, second := owner.Get("/versions"), owner.Get("/versions?before=2")
	if !strings.Contains(first.Body, `href="/versions?before=2"`) || !strings.Contains(first.Body, "Version 21<") || strings.Contains(first.Body, "The defaults") {
		t.Error("the first page is not the newest twenty")
	}
	if !strings.Contains(second.Body, "Version 1<") || !strings.Contains(second.Body, "The defaults") || strings.Contains(second.Body, "Version 2<") || !strings.Contains(second.Body, ">Newest") {
		t.Error("the second page is not the rest")
	}
}
