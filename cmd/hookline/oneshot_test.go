package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hookline/internal/intake"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

func TestHealthyAsksWhereTheServerListens(t *testing.T) {
	t.Parallel()
	lives := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(lives))
	defer server.Close()
	up := server.Listener.Addr().String()
	closed := httptest.NewServer(nil)
	down := closed.Listener.Addr().String()
	closed.Close()
	port := up[strings.LastIndexByte(up, ':'):]
	for name, c := range map[string]config{
		"a worker, by its metrics":                  {MetricsAddr: up, Addr: down},
		"without metrics":                           {Addr: up},
		"with metrics of somebody who is not there": {MetricsAddr: down, Addr: up},
		"on every address":                          {Addr: "0.0.0.0" + port},
		"on every address, in short":                {Addr: port},
	} {
		if err := c.healthy(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (config{MetricsAddr: down, Addr: down}).healthy(t.Context()); err == nil {
		t.Error("nobody answers and that is healthy")
	}
	sick := httptest.NewServer(http.NotFoundHandler())
	defer sick.Close()
	if err := (config{Addr: sick.Listener.Addr().String()}).healthy(t.Context()); err == nil {
		t.Error("a server that is not ours is healthy")
	}
}

func TestTenantCreateOffersEveryProvider(t *testing.T) {
	t.Parallel()
	field, _ := reflect.TypeFor[tenantCreate]().FieldByName("Provider")
	var names []string
	for _, p := range intake.Providers() {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	if got := field.Tag.Get("enum"); got != strings.Join(names, ",") {
		t.Errorf("the flag takes %s, the providers are %v", got, names)
	}
}

// commandWorld is the surroundings of a command that runs on a database and a sandbox of the test's.
func commandWorld(t *testing.T, more ...string) (*world, *bytes.Buffer, *pgtest.Database) {
	t.Helper()
	database := pgtest.NewDatabase(t)
	out := &bytes.Buffer{}
	given := env(append(more, "DATABASE_URL", database.AppURL, "HOOKLINE_SECRET_KEY", seal.Generate("k1"), "HOOKLINE_LOG", "json",
		"HOOKLINE_DATA_DIR", t.TempDir())...)
	return &world{ctx: t.Context(), env: given, out: out, errOut: out}, out, database
}

func TestTenantCreateTellsWhatItMadeWhenTheRestFails(t *testing.T) {
	t.Parallel()
	w, out, _ := commandWorld(t, "HOOKLINE_SANDBOX_URL", sandboxtest.New(t).URL)
	create := &tenantCreate{Name: "B", Owner: "o@example.com", Password: "a long enough pass phrase", Provider: "native", Country: "US", Zone: "UTC",
		ConnectSandbox: true, Edition: "no such edition"}
	err := create.Run(w)
	var made created
	if json.Unmarshal(out.Bytes(), &made) != nil || err == nil || made.APIKey == "" || made.Source.Secret == "" || made.Connection.Status != "not_connected" {
		t.Errorf("%v, printed %s", err, out)
	}
}

func TestTenantCreateWithoutTheSandboxItNeedsMakesNothing(t *testing.T) {
	t.Parallel()
	w, out, database := commandWorld(t, "HOOKLINE_SANDBOX_ADDR", "off")
	create := &tenantCreate{Name: "B", Owner: "o@example.com", Password: "a long enough pass phrase", Provider: "native", Country: "US", Zone: "UTC", ConnectSandbox: true}
	if err := create.Run(w); err == nil || !strings.Contains(err.Error(), "needs a sandbox") || out.Len() > 0 {
		t.Errorf("%v, printed %s", err, out)
	}
	var people int
	if err := database.DB.Directory(t.Context(), func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT count(*) FROM people`).Scan(&people)
	}); err != nil || people != 0 {
		t.Errorf("%d people were made, %v", people, err)
	}
}

func TestDoctorOnAFreshMachineFindsNothingWrongAndMakesNothing(t *testing.T) {
	t.Parallel()
	dir, out := filepath.Join(t.TempDir(), "data"), &bytes.Buffer{}
	w := &world{ctx: context.Background(), env: env("HOOKLINE_DATA_DIR", dir, "HOOKLINE_SANDBOX_ADDR", "127.0.0.1:1"), out: out, errOut: out}
	if err := (doctorCommand{}).Run(w); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data directory was made: %v", err)
	}
}

func TestDoctorNamesEachFaultWithItsCure(t *testing.T) {
	t.Parallel()
	w, out, database := commandWorld(t, "DATABASE_URL_DIRECT", "postgres://x@127.0.0.1:1/x?sslmode=disable", "HOOKLINE_BASE_URL", "https://calls.example.com", "SMTP_URL", "off")
	if err := (doctorCommand{}).Run(w); err != errReported || !strings.Contains(out.String(), "WRONG database, past the pooler") || strings.Contains(out.String(), "migrate up") {
		t.Errorf("a direct URL that leads nowhere: %v\n%s", err, out)
	}
	if !strings.Contains(out.String(), "HOOKLINE_TRUSTED_PROXIES") || !strings.Contains(out.String(), "NOTE  the sandbox stands in") {
		t.Errorf("no word about proxies and the sandbox:\n%s", out)
	}

	keys, err := seal.Parse(seal.Generate("lost"))
	if err != nil {
		t.Fatal(err)
	}
	if err := noteKey(t.Context(), database.DB, keys); err != nil {
		t.Fatal(err)
	}
	if err := database.DB.Directory(t.Context(), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO mails (id, sealed) VALUES (gen_random_uuid(), $1)`, keys.Seal(nil, [16]byte{}, "mails.sealed", "x"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	whole := w.env
	w.env = func(name string) string {
		if name == "DATABASE_URL_DIRECT" {
			return ""
		}
		return whole(name)
	}
	if err := (doctorCommand{}).Run(w); err != errReported || !strings.Contains(out.String(), "1 sealed with key lost") {
		t.Errorf("rows of a key that is missing: %v\n%s", err, out)
	}
}
