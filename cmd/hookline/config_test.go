package main

import (
	"strings"
	"testing"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestUnsetEnvironmentMeansTheDefaults(t *testing.T) {
	c, err := readConfig(env("HOME", "/home/someone"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != "127.0.0.1:8080" || c.BaseURL != "http://127.0.0.1:8080" || !c.embedded() ||
		c.SandboxURL != "http://127.0.0.1:8090" || !c.sandboxInside || c.MetricsAddr != "127.0.0.1:9091" {
		t.Errorf("defaults: %+v", c)
	}
}

func TestEveryFaultOfTheEnvironmentIsNamedAtOnceWithAnExample(t *testing.T) {
	_, err := readConfig(env(
		"HOOKLINE_ADDR", "nonsense",
		"HOOKLINE_BASE_URL", "ftp://x",
		"DATABASE_URL", "mysql://x",
		"ZOHO_CLIENT_ID", "1000.X",
		"HOOKLINE_SANDBOX_URL", "http://127.0.0.1:1",
		"SMTP_URL", "mail.example.com",
		"HOOKLINE_METRICS_ADDR", "9091",
		"HOOKLINE_LOG", "loud",
	))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"HOOKLINE_ADDR", "HOOKLINE_BASE_URL", "DATABASE_URL", "HOOKLINE_SECRET_KEY",
		"ZOHO_CLIENT_SECRET", "HOOKLINE_SANDBOX_URL", "SMTP_URL", "HOOKLINE_METRICS_ADDR", "HOOKLINE_LOG"} {
		if !strings.Contains(err.Error(), name+" ") {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
	if n := strings.Count(err.Error(), "Example: "); n < 9 {
		t.Errorf("%d examples for 9 faults", n)
	}
}

func TestZohoClientSwitchesTheSandboxOff(t *testing.T) {
	c, err := readConfig(env("ZOHO_CLIENT_ID", "1000.X", "ZOHO_CLIENT_SECRET", "s", "ZOHO_CLIENT_SECRET_EU", "e"))
	if err != nil {
		t.Fatal(err)
	}
	if c.SandboxURL != "" || c.SandboxAddr != "" || c.sandboxInside {
		t.Errorf("sandbox still on: %+v", c)
	}
	if c.ZohoSecrets["eu"].Reveal() != "e" || c.ZohoSecrets[""].Reveal() != "s" {
		t.Error("secrets by centre are lost")
	}
}

func TestPublicAddressAsksForMail(t *testing.T) {
	if _, err := readConfig(env("HOOKLINE_ADDR", "0.0.0.0:8080")); err == nil || !strings.Contains(err.Error(), "SMTP_URL") {
		t.Errorf("got %v", err)
	}
	if _, err := readConfig(env("HOOKLINE_ADDR", "0.0.0.0:8080", "SMTP_URL", "off")); err != nil {
		t.Error(err)
	}
}
