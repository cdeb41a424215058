package server_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/fault"
	"hookline/internal/server/servertest"
	"hookline/internal/tenant"
)

func TestBusinessIsSavedOrGivenBackWithWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	form := url.Values{"name": {"Acme & Söhne"}, "country": {"DE"}, "zone": {"Europe/Berlin"}, "day1": {"on"}, "day1-from": {"08:30"}, "day1-to": {"18:00"}}
	if p := owner.Post("/settings", form); p.Status != 303 {
		t.Fatalf("save: %d\n%s", p.Status, p.Body)
	}
	if p := owner.Get("/settings"); !strings.Contains(p.Body, "Saved.") || !strings.Contains(p.Body, "Acme &amp; Söhne") || !strings.Contains(p.Body, `value="08:30"`) {
		t.Error("the page does not show what was saved")
	}
	if p := owner.Get("/settings"); strings.Contains(p.Body, "Saved.") {
		t.Error("the toast came twice")
	}
	err := s.DB.InTenant(context.Background(), owner.Tenant, func(tx pgx.Tx) error {
		got, err := tenant.Get(context.Background(), tx, owner.Tenant)
		if got.Country != "DE" || got.Hours[1].Open != 8*60+30 || got.Hours[1].Close != 18*60 || got.Hours[2].Close != 0 {
			t.Errorf("stored %+v", got)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	form.Set("day1-to", "08:00")
	if p := owner.Post("/settings", form); p.Status != 422 || !strings.Contains(p.Body, "Opening must be before closing") {
		t.Errorf("hours that end before they begin: %d", p.Status)
	}
}

// TI13
func TestAPIKeysAreShownOnceHashedAndRevocable(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	p := owner.Post("/settings/keys", url.Values{"name": {"Wallboard"}, "role": {"viewer"}})
	secret := regexp.MustCompile(`hk_[\w-]{43}`).FindString(p.Body)
	if secret == "" {
		t.Fatalf("no key on the page: %d", p.Status)
	}
	page := owner.Get("/settings/keys").Body
	if strings.Contains(page, secret) || !strings.Contains(page, "Wallboard") {
		t.Error("the key is shown again, or not listed")
	}
	holder, err := account.Authenticate(context.Background(), s.DB, secret)
	if err != nil || holder.Tenant != owner.Tenant || holder.Role != account.Viewer {
		t.Fatalf("the key opens %+v, %v", holder, err)
	}
	id := regexp.MustCompile(`/settings/keys/([0-9a-f-]{36})/revoke`).FindStringSubmatch(page)[1]
	if p := owner.Post("/settings/keys/"+id+"/revoke", nil); p.Status != 303 {
		t.Fatalf("revoke: %d", p.Status)
	}
	if _, err := account.Authenticate(context.Background(), s.DB, secret); fault.KindOf(err) != fault.Unauthorized {
		t.Errorf("a revoked key: %v", err)
	}
	if p := owner.Post("/settings/keys", url.Values{"name": {"Mine"}, "role": {"owner"}}); p.Status != 422 {
		t.Errorf("a key that is an owner: %d", p.Status)
	}
}

func TestTheThemeIsKeptWithoutScript(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	b := s.Visitor()
	if p := b.Post("/theme", url.Values{"theme": {"dark"}, "back": {"/login"}}); p.Location != "/login" {
		t.Errorf("leads to %q", p.Location)
	}
	if p := b.Get("/login"); !strings.Contains(p.Body, `data-theme="dark"`) {
		t.Error("the page is not dark")
	}
	b.Post("/theme", url.Values{"theme": {"system"}})
	if p := b.Get("/login"); strings.Contains(p.Body, "data-theme=") {
		t.Error("the choice is not taken back")
	}
}

func TestTheCalculatorShowsTheStudysFigures(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	if p := s.Visitor().Get("/"); !strings.Contains(p.Body, "$31,122") || !strings.Contains(p.Body, "31 calls") {
		t.Error("the study's numbers do not give the study's result")
	}
	if p := s.Visitor().Get("/welcome?calls=100&missed=50&close=10&deal=1%2C000"); !strings.Contains(p.Body, "$5,000") || !strings.Contains(p.Body, "50 calls") {
		t.Error("own numbers are not worked out")
	}
	if p := s.Visitor().Get("/welcome?calls=many&missed=50&close=10&deal=1"); p.Status != 200 || !strings.Contains(p.Body, "Enter a number") {
		t.Error("a word is not refused beside its field")
	}
}

func TestHolidaysAreKeptAndAWrongLineIsNamed(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	form := url.Values{"name": {"Acme"}, "country": {"US"}, "zone": {"America/New_York"}, "holidays": {"2026-12-25 Christmas Day\nsoon New Year"}}
	p := owner.Post("/settings", form)
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "Line 2: “soon” is no day.") || !strings.Contains(p.Body, "soon New Year</textarea>") {
		t.Fatalf("a wrong line answers %d\n%s", p.Status, p.Body)
	}
	form.Set("holidays", "2027-01-01 New Year\n2026-12-25 Christmas Day")
	if p := owner.Post("/settings", form); p.Status != http.StatusSeeOther {
		t.Fatalf("saving answers %d\n%s", p.Status, p.Body)
	}
	if p := owner.Get("/settings"); !strings.Contains(p.Body, "2026-12-25 Christmas Day\n2027-01-01 New Year") {
		t.Error("the holidays are not shown as they were saved")
	}
	form.Set("holidays", "")
	owner.Post("/settings", form)
	if p := owner.Get("/settings"); strings.Contains(p.Body, "2027-01-01 New Year") {
		t.Error("holidays that were taken out are still shown")
	}
}
