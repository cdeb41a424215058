package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	rules "hookline/internal/config"
	"hookline/internal/server/servertest"
)

// shell runs commands as a script does, on a server of the test's.
type shell struct {
	t     *testing.T
	site  *servertest.Site
	owner *servertest.Browser
	key   string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	site := servertest.New(t)
	s := &shell{t: t, site: site, owner: site.Owner("ann@acme.test")}
	s.key = s.newKey("CI")
	return s
}

func (s *shell) newKey(name string) (key string) {
	s.t.Helper()
	err := s.site.DB.InTenant(s.t.Context(), s.owner.Tenant, func(tx pgx.Tx) error {
		_, secret, err := account.CreateKey(s.t.Context(), tx, s.owner.Tenant, s.owner.Email, name, account.Admin)
		key = secret.Reveal()
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

// run is hookline with arguments and standard input.
func (s *shell) run(in string, args ...string) (out string, err error) {
	s.t.Helper()
	var c commands
	parser, err := kong.New(&c, kong.Name("hookline"))
	if err != nil {
		s.t.Fatal(err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		s.t.Fatal(err)
	}
	var b bytes.Buffer
	err = parsed.Run(&world{ctx: s.t.Context(), env: env("HOOKLINE_URL", s.site.URL, "HOOKLINE_API_KEY", s.key), in: strings.NewReader(in), out: &b, errOut: &b})
	return b.String(), err
}

func (s *shell) must(in string, args ...string) string {
	s.t.Helper()
	out, err := s.run(in, args...)
	if err != nil {
		s.t.Fatalf("hookline %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func TestRulesLiveInARepository(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	first := s.must("", "rules", "export")
	if set, err := rules.Parse([]byte(first)); err != nil || len(set.Rules.Rules) != 7 || !strings.HasSuffix(first, "\n}\n") {
		t.Fatalf("%v\n%.400s", err, first)
	}
	if s.must("", "rules", "export") != first {
		t.Error("two exports of the same differ")
	}
	file := filepath.Join(t.TempDir(), "rules.json")
	s.must("", "rules", "export", "--file", file)
	if text, err := os.ReadFile(file); err != nil || string(text) != first {
		t.Errorf("the file holds something else: %v", err)
	}
	if out := s.must(first, "rules", "import"); !strings.Contains(out, "nothing to publish") {
		t.Errorf("importing what was exported: %s", out)
	}

	changed := strings.Replace(first, `"name": "Known Lead"`, `"name": "Known Lead calls"`, 1)
	out := s.must(changed, "rules", "import", "--file", "-")
	if !strings.Contains(out, "Rule “Known Lead” is now named “Known Lead calls”.") || !strings.Contains(out, "revision 1") {
		t.Errorf("the import says: %s", out)
	}
	again := s.must("", "rules", "export")
	if again != changed {
		t.Error("the export is not what was imported: diffs in a repository would not be small")
	}
	if live := s.must("", "rules", "export", "--live"); live != first {
		t.Error("an import is live at once")
	}
	if _, err := s.run("", "rules", "publish"); err == nil || !strings.Contains(err.Error(), "rules backtest") {
		t.Errorf("publish without a backtest: %v", err)
	}
	if _, err := s.run("", "rules", "publish", "--skip-backtest", "--revision", "0"); err == nil || !strings.Contains(err.Error(), "changed since") {
		t.Errorf("publish of another revision: %v", err)
	}
	if out := s.must("", "rules", "publish", "--skip-backtest", "--why", "Clearer"); !strings.Contains(out, "Version 1 is live") {
		t.Errorf("publish: %s", out)
	}
	if live := s.must("", "rules", "export", "--version", "1"); live != changed {
		t.Error("version 1 is not what was imported")
	}
	if out := s.must("", "rules", "versions"); !strings.Contains(out, "1 (live)") || !strings.Contains(out, "key CI") || !strings.Contains(out, "Clearer") {
		t.Errorf("versions: %s", out)
	}
	var list struct {
		Data []version `json:"data"`
	}
	if err := json.Unmarshal([]byte(s.must("", "rules", "versions", "--json")), &list); err != nil || len(list.Data) != 1 {
		t.Errorf("versions as JSON: %v %v", err, list)
	}
}

func TestAnImportReplacesNobodysUnpublishedWork(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	mine := strings.Replace(s.must("", "rules", "export"), `"Known Lead"`, `"Lead"`, 1)
	s.must(mine, "rules", "import")
	s.must(strings.Replace(mine, `"Lead"`, `"A Lead"`, 1), "rules", "import") // over its own is no matter
	s.owner.Post("/rules/lead/switch", url.Values{"revision": {"2"}, "on": {"0"}})
	before := s.must("", "rules", "export")
	out, err := s.run(mine, "rules", "import")
	if err == nil || !strings.Contains(err.Error(), "ann@acme.test") || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("over Ann's: %v %s", err, out)
	}
	if s.must("", "rules", "export") != before {
		t.Error("a refused import changed the draft")
	}
	s.must(mine, "rules", "import", "--replace")
	if s.must("", "rules", "export") != mine {
		t.Error("--replace does not")
	}
}

func TestAnImportSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	good := s.must("", "rules", "export")
	for what, want := range map[string]string{
		strings.Replace(good, `"name": "Known Lead"`, `"name": ""`, 1):                         "rule lead: Give the rule a name",
		strings.Replace(good, `"phrases"`, `"frases"`, 1):                                      "frases",
		strings.Replace(good, `"field": "Last_Name"`, `"field": "Last_Name", "mode": "no"`, 1): "mode",
		"": "request body is required",
	} {
		if _, err := s.run(what, "rules", "import"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	if out := s.must(strings.Replace(good, "\n", "\n"+strings.Repeat(" ", 2000), 1000), "rules", "import"); !strings.Contains(out, "nothing to publish") {
		t.Errorf("the same, with wide indents: %s", out)
	}
	out := s.must(strings.Replace(good, `"field": "Last_Name",
        "value": "`, `"field": "Last_Name",
        "value": "{{ no_such }}`, 1), "rules", "import")
	if !strings.Contains(out, "Zoho would refuse this: Leads: ") || !strings.Contains(out, "no_such") {
		t.Errorf("a problem is not said: %s", out)
	}
	if _, err := s.run("", "rules", "publish", "--skip-backtest"); err == nil || !strings.Contains(err.Error(), "--despite-problems") {
		t.Errorf("publishing it: %v", err)
	}
}

func TestTheKeyIsReadFromAFileOrTheEnvironment(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(s.key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.key = ""
	if _, err := s.run("", "rules", "export"); err == nil || !strings.Contains(err.Error(), "HOOKLINE_API_KEY") {
		t.Errorf("without a key: %v", err)
	}
	s.must("", "rules", "export", "--key-file", file)
	s.key = "hk_wrong"
	if _, err := s.run("", "rules", "export"); err == nil {
		t.Error("a wrong key exports")
	}
	for _, field := range []string{"--key", "--api-key"} {
		var c commands
		parser, err := kong.New(&c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse([]string{"rules", "export", field, "hk_1"}); err == nil {
			t.Errorf("%s is a flag: the key would stand in process lists", field)
		}
	}
	if _, err := s.run("", "rules", "export", "--url", "localhost:80"); err == nil || !strings.Contains(err.Error(), "https://") {
		t.Errorf("an address without a scheme: %v", err)
	}
}

func TestABacktestIsATableAndAnExitCode(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.must(strings.Replace(s.must("", "rules", "export"), `"Known Lead"`, `"Lead"`, 1), "rules", "import")
	if out := s.must("", "rules", "backtest", "--last", "10", "--fail-on-change"); !strings.Contains(out, "Draft revision 1 against version 0 on 0 calls: 0 would change, 0 would fail.") {
		t.Errorf("without calls: %s", out)
	}
	if _, err := s.run("", "rules", "backtest", "--days", "91"); err == nil || !strings.Contains(err.Error(), "days") {
		t.Errorf("of 91 days: %v", err)
	}
	if out := s.must("", "rules", "publish"); !strings.Contains(out, "Version 1 is live") {
		t.Errorf("a tested draft is published: %s", out)
	}
}

func TestABacktestPrintsWhatChangesAndNoCaller(t *testing.T) {
	t.Parallel()
	const answer = `{"revision":18,"version":3,"result":{"total":25,"calls":12,"undecided":1,"unreadable":2,"still_fail":5,"changed":4,"reruled":2,"failing":1,"mended":0,
		"outcomes":[{"outcome":"Lead and Call created","live":10,"draft":7},{"outcome":"Deal and Call created","live":2,"draft":5}],
		"moves":[{"from":"Lead and Call created","to":"Deal and Call created","calls":3},{"from":"Lead and Call created","to":"Lead and Call created","calls":1}],
		"failures":[{"id":"0190","received_at":"2026-03-02T17:04:00Z","name":"Sarah","number":"+14155550123","reasons":[{"module":"Leads","field":"Industry","sentence":"Zoho requires Industry."}]}],
		"credits":{"live_per_day":131.2,"draft_per_day":140.9}}}`
	var b backtested
	if err := json.Unmarshal([]byte(answer), &b); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := b.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `Draft revision 18 against version 3 on 12 calls: 4 would change, 1 would fail.
5 fail now and with the draft.
2 more are decided by another rule, to the same effect.
1 were left out: they still wait, or could not be read as calls.
2 were left out: what is stored of them could not be run.
10 older ones were not run.

OUTCOME                LIVE  DRAFT  CHANGE
Lead and Call created  10    7      -3
Deal and Call created  2     5      +3

NOW                    WITH THE DRAFT               CALLS
Lead and Call created  Deal and Call created        3
Lead and Call created  the same, with other values  1

Calls that would fail:
  0190, 2026-03-02 17:04: Leads Industry: Zoho requires Industry.

Zoho API credits for writing, a day: 132 now, 141 with the draft.
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
