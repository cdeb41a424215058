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

func TestAPortThatDoesNotExistIsAFault(t *testing.T) {
	for name, value := range map[string]string{
		"HOOKLINE_ADDR": "127.0.0.1:99999", "HOOKLINE_BASE_URL": "http://127.0.0.1:99999", "HOOKLINE_SANDBOX_ADDR": "127.0.0.1:99999",
		"HOOKLINE_SANDBOX_URL": "http://127.0.0.1:99999", "HOOKLINE_METRICS_ADDR": "127.0.0.1:-1", "SMTP_URL": "smtp://127.0.0.1:99999",
	} {
		if _, err := readConfig(env(name, value)); err == nil || !strings.Contains(err.Error(), name+" ") {
			t.Errorf("%s=%s: %v", name, value, err)
		}
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

func TestWhoeverIsReachedFromElsewhereNeedsMail(t *testing.T) {
	for name, public := range map[string]func(string) string{
		"a public listen address":            env("HOOKLINE_ADDR", "192.0.2.1:8080"),
		"a public URL before a proxy beside": env("HOOKLINE_BASE_URL", "https://calls.example.com"),
	} {
		if _, err := readConfig(public); err == nil || !strings.Contains(err.Error(), "SMTP_URL is required") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := readConfig(func(n string) string { return or(public(n), env("SMTP_URL", "off")(n)) }); err != nil {
			t.Errorf("%s, without mail on purpose: %v", name, err)
		}
	}
	for _, here := range []string{"http://127.0.0.1:8080", "http://localhost:9000", "http://[::1]:8080/"} {
		if _, err := readConfig(env("HOOKLINE_BASE_URL", here)); err != nil {
			t.Errorf("%s: %v", here, err)
		}
	}
}

func TestABaseURLThatNobodyCanOpenIsRefused(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:8080", ":8080", "[::]:8080"} {
		if _, err := readConfig(env("HOOKLINE_ADDR", addr, "SMTP_URL", "off")); err == nil || !strings.Contains(err.Error(), "HOOKLINE_BASE_URL is required") {
			t.Errorf("%s without a base URL: %v", addr, err)
		}
		if _, err := readConfig(env("HOOKLINE_ADDR", addr, "SMTP_URL", "off", "HOOKLINE_BASE_URL", "https://calls.example.com/")); err != nil {
			t.Errorf("%s with one: %v", addr, err)
		}
	}
	for _, base := range []string{"https://example.com/hookline", "https://example.com?a=b", "https://example.com#a", "https://", "calls.example.com"} {
		if _, err := readConfig(env("SMTP_URL", "off", "HOOKLINE_BASE_URL", base)); err == nil || !strings.Contains(err.Error(), "HOOKLINE_BASE_URL must") {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestTrustedProxiesAreAddressesAndRanges(t *testing.T) {
	c, err := readConfig(env("HOOKLINE_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,::1"))
	if err != nil || len(c.Proxies) != 3 || c.Proxies[0].String() != "127.0.0.1/32" || c.Proxies[1].String() != "10.0.0.0/8" || c.Proxies[2].String() != "::1/128" {
		t.Errorf("%v, %v", c.Proxies, err)
	}
	if _, err := readConfig(env("HOOKLINE_TRUSTED_PROXIES", "nginx")); err == nil || !strings.Contains(err.Error(), "HOOKLINE_TRUSTED_PROXIES must") {
		t.Errorf("a name: %v", err)
	}
}
