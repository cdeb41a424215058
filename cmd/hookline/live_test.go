package main

import (
	"strings"
	"testing"

	"hookline/internal/zoho/sandbox/sandboxtest"
)

func TestDoctorPutsItsQuestionsToALiveOrganisation(t *testing.T) {
	t.Parallel()
	zoho := sandboxtest.New(t)
	zoho.Control.Settings("", map[string]any{"search_index_lag_ms": 0, "latency_ms": 20})
	w, out, _ := commandWorld(t, "HOOKLINE_SANDBOX_URL", zoho.URL)
	if err := (doctorCommand{Live: true}).Run(w); err == nil || !strings.Contains(err.Error(), "no such business is connected") {
		t.Fatalf("nobody is connected: %v\n%s", err, out)
	}
	for _, name := range []string{"Acme", "Bob's"} {
		create := &tenantCreate{Name: name, Owner: strings.ToLower(name[:1]) + "@example.com", Password: "a long enough pass phrase", Provider: "native", Country: "US", Zone: "UTC",
			ConnectSandbox: true, Edition: "free"}
		if err := create.Run(w); err != nil {
			t.Fatal(err)
		}
	}
	if err := (doctorCommand{Live: true}).Run(w); err == nil || !strings.Contains(err.Error(), "choose one with --tenant: Acme (") {
		t.Fatalf("two are connected: %v", err)
	}
	out.Reset()
	if err := (doctorCommand{Live: true, Tenant: "acme", ProvokeLimits: true}).Run(w); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, words := range []string{
		"ok    Zoho: the sandbox at " + zoho.URL, "the sandbox, which is not Zoho, “Acme”", "QUESTION", "Is Call_Duration minutes and seconds?",
		"5 of 5", "TOO_MANY_REQUESTS", "there is no unique Hookline_Ref", "Delete these by hand, which Hookline has no right to: ", "mail: none is sent",
	} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("it lacks %q:\n%s", words, out)
		}
	}
	if strings.Contains(out.String(), "WRONG") {
		t.Errorf("something is wrong:\n%s", out)
	}
}
