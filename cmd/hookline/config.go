package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"hookline/internal/seal"
)

// config is all that the environment may say. It is read once; packages are handed values, never the config.
type config struct {
	Addr          string // listen address, host:port
	BaseURL       string // public URL without a trailing slash
	DatabaseURL   seal.Secret
	DirectURL     seal.Secret // past a pooler: migrations and LISTEN
	PGBin         string
	DataDir       string
	SecretKey     seal.Secret
	ZohoClientID  string
	ZohoSecrets   map[string]seal.Secret // by location; "" is the secret for every centre without its own
	SandboxAddr   string                 // "" for none
	SandboxURL    string
	SMTPURL       seal.Secret // "" for none
	SMTPOff       bool
	Proxies       []netip.Prefix // whose X-Forwarded-For is believed
	MetricsAddr   string         // "" for none
	Log           string         // text or json
	onLoopback    bool           // listens there and is reached there: by nobody from elsewhere
	sandboxInside bool
}

// embedded reports whether the program starts a database of its own.
func (c config) embedded() bool { return c.DatabaseURL == "" }

// direct reports whether no pooler stands before the database: DATABASE_URL_DIRECT names none to go past.
func (c config) direct() bool { return c.DirectURL == c.DatabaseURL }

// faults gathers what is wrong with the environment, so that all of it is said at once.
type faults []string

func (f *faults) add(name, wrong, example string) {
	*f = append(*f, fmt.Sprintf("%s %s. Example: %s=%s", name, wrong, name, example))
}

// readConfig reads the environment through get. The error lists every fault, one a line.
func readConfig(get func(string) string) (config, error) {
	var f faults
	c := config{
		Addr:        or(get("HOOKLINE_ADDR"), "127.0.0.1:8080"),
		DatabaseURL: seal.Secret(get("DATABASE_URL")),
		PGBin:       get("HOOKLINE_PG_BIN"),
		DataDir:     get("HOOKLINE_DATA_DIR"),
		SecretKey:   seal.Secret(get("HOOKLINE_SECRET_KEY")),
		Log:         get("HOOKLINE_LOG"),
	}
	host, err := listenAddress(c.Addr)
	if err != nil {
		f.add("HOOKLINE_ADDR", "must be host:port", "127.0.0.1:8080")
	}

	c.BaseURL = strings.TrimRight(or(get("HOOKLINE_BASE_URL"), "http://"+c.Addr), "/")
	u, baseErr := url.Parse(c.BaseURL)
	switch {
	case get("HOOKLINE_BASE_URL") == "" && err == nil && isEverywhere(host):
		f.add("HOOKLINE_BASE_URL", "is required when HOOKLINE_ADDR names no host: nobody can open a link to "+c.Addr, "https://calls.example.com")
	case get("HOOKLINE_BASE_URL") != "" && (baseErr != nil || u.Hostname() == "" || badPort(u) || (u.Scheme != "http" && u.Scheme != "https")):
		f.add("HOOKLINE_BASE_URL", "must be an http or https URL", "https://calls.example.com")
	case baseErr == nil && (u.Path != "" || u.RawQuery != "" || u.Fragment != ""):
		f.add("HOOKLINE_BASE_URL", "must end with the host or port: Hookline's pages are at the root", "https://calls.example.com")
	}
	c.onLoopback = isLoopback(host) && baseErr == nil && isLoopback(u.Hostname())

	for part := range strings.FieldsFuncSeq(get("HOOKLINE_TRUSTED_PROXIES"), func(r rune) bool { return r == ',' || r == ' ' }) {
		prefix, err := netip.ParsePrefix(part)
		if addr, alone := netip.ParseAddr(part); alone == nil {
			addr = addr.Unmap()
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			f.add("HOOKLINE_TRUSTED_PROXIES", fmt.Sprintf("must be addresses or CIDR ranges, not %q", part), "127.0.0.1,10.0.0.0/8")
			break
		}
		c.Proxies = append(c.Proxies, prefix)
	}

	for name, text := range map[string]seal.Secret{"DATABASE_URL": c.DatabaseURL, "DATABASE_URL_DIRECT": seal.Secret(get("DATABASE_URL_DIRECT"))} {
		if text == "" {
			continue
		}
		if u, err := url.Parse(text.Reveal()); err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
			f.add(name, "must be a postgres:// URL", "postgres://hookline:secret@db.example.com:5432/hookline")
		}
	}
	c.DirectURL = seal.Secret(or(get("DATABASE_URL_DIRECT"), c.DatabaseURL.Reveal()))
	if c.DatabaseURL == "" && get("DATABASE_URL_DIRECT") != "" {
		f.add("DATABASE_URL_DIRECT", "is set without DATABASE_URL", "(unset it, or set DATABASE_URL too)")
	}
	if c.DatabaseURL != "" && c.SecretKey == "" {
		f.add("HOOKLINE_SECRET_KEY", "is required with DATABASE_URL: it seals tokens and raw events", "k1:"+"…32 random bytes in base64…")
	}
	if c.SecretKey != "" {
		if _, err := seal.Parse(c.SecretKey.Reveal()); err != nil {
			f.add("HOOKLINE_SECRET_KEY", "cannot be used ("+err.Error()+")", "k1:…32 random bytes in base64…")
		}
	}
	if c.DataDir == "" {
		c.DataDir = defaultDataDir(get)
	}
	if !filepath.IsAbs(c.DataDir) {
		if abs, err := filepath.Abs(c.DataDir); err == nil {
			c.DataDir = abs
		}
	}

	c.ZohoClientID = get("ZOHO_CLIENT_ID")
	c.ZohoSecrets = map[string]seal.Secret{}
	for _, location := range []string{"", "us", "eu", "in", "au", "jp", "cn", "ca", "sa", "uk", "ae"} {
		name := "ZOHO_CLIENT_SECRET"
		if location != "" {
			name += "_" + strings.ToUpper(location)
		}
		if v := get(name); v != "" {
			c.ZohoSecrets[location] = seal.Secret(v)
		}
	}
	switch {
	case c.ZohoClientID != "" && len(c.ZohoSecrets) == 0:
		f.add("ZOHO_CLIENT_SECRET", "is required with ZOHO_CLIENT_ID", "…from Zoho's API console…")
	case c.ZohoClientID == "" && len(c.ZohoSecrets) > 0:
		f.add("ZOHO_CLIENT_ID", "is required with ZOHO_CLIENT_SECRET", "1000.ABC…")
	}

	c.SandboxURL = strings.TrimRight(get("HOOKLINE_SANDBOX_URL"), "/")
	if c.SandboxURL != "" {
		if u, err := url.Parse(c.SandboxURL); err != nil || u.Host == "" || badPort(u) || (u.Scheme != "http" && u.Scheme != "https") {
			f.add("HOOKLINE_SANDBOX_URL", "must be an http URL", "http://127.0.0.1:8090")
		}
		if c.ZohoClientID != "" {
			f.add("HOOKLINE_SANDBOX_URL", "cannot be used together with ZOHO_CLIENT_ID: choose the real Zoho or the sandbox", "(unset one of them)")
		}
	}
	c.SandboxAddr = or(get("HOOKLINE_SANDBOX_ADDR"), "127.0.0.1:8090")
	if c.SandboxAddr == "off" || c.ZohoClientID != "" || c.SandboxURL != "" {
		c.SandboxAddr = ""
	} else if _, err := listenAddress(c.SandboxAddr); err != nil {
		f.add("HOOKLINE_SANDBOX_ADDR", "must be host:port or off", "127.0.0.1:8090")
	}
	if c.SandboxAddr != "" {
		c.SandboxURL = "http://" + c.SandboxAddr
		c.sandboxInside = true
	}

	switch smtp := get("SMTP_URL"); {
	case smtp == "off":
		c.SMTPOff = true
	case smtp != "":
		c.SMTPURL = seal.Secret(smtp)
		if u, err := url.Parse(smtp); err != nil || (u.Scheme != "smtp" && u.Scheme != "smtps") || u.Host == "" || badPort(u) {
			f.add("SMTP_URL", "must be an smtp:// URL or off", "smtp://user:secret@mail.example.com:587")
		}
	case !c.onLoopback:
		f.add("SMTP_URL", "is required when HOOKLINE_ADDR or HOOKLINE_BASE_URL is not a loopback address: people must get their mail", "smtp://user:secret@mail.example.com:587 (or off)")
	}

	c.MetricsAddr = or(get("HOOKLINE_METRICS_ADDR"), "127.0.0.1:9091")
	if c.MetricsAddr == "off" {
		c.MetricsAddr = ""
	} else if _, err := listenAddress(c.MetricsAddr); err != nil {
		f.add("HOOKLINE_METRICS_ADDR", "must be host:port or off", "127.0.0.1:9091")
	}

	switch c.Log {
	case "text", "json":
	case "":
		c.Log = "json"
		if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			c.Log = "text"
		}
	default:
		f.add("HOOKLINE_LOG", "must be text or json", "json")
	}

	if len(f) > 0 {
		return c, fmt.Errorf("the environment cannot be used:\n  %s", strings.Join(f, "\n  "))
	}
	return c, nil
}

// defaultDataDir is outside any checkout: a checkout of root's often lies where the database's user may not go.
func defaultDataDir(get func(string) string) string {
	if os.Geteuid() == 0 {
		return "/var/lib/hookline"
	}
	state := get("XDG_STATE_HOME")
	if state == "" {
		state = filepath.Join(get("HOME"), ".local", "state")
	}
	return filepath.Join(state, "hookline")
}

// listenAddress splits host:port; the port is one that exists.
func listenAddress(text string) (host string, err error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", err
	}
	_, err = net.LookupPort("tcp", port)
	return host, err
}

// badPort reports a port beyond the last one, which parsing a URL lets pass.
func badPort(u *url.URL) bool {
	_, err := net.LookupPort("tcp", u.Port())
	return u.Port() != "" && err != nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isEverywhere reports whether a listen address's host stands for all of the machine's addresses.
func isEverywhere(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// sandboxDir is where the sandbox inside serve keeps its state.
func (c config) sandboxDir() string { return filepath.Join(c.DataDir, "sandbox") }
