package sandbox

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options says where a sandbox keeps its state and how it is reached. The zero value is a sandbox in memory.
type Options struct {
	Dir          string           // folder of the journal; "" keeps everything in memory
	BaseURL      string           // such as http://127.0.0.1:8090, without a final slash; "" takes it from each request's Host
	RedirectURIs []string         // redirect addresses the fixed client may use beside any loopback one
	Now          func() time.Time // business time; nil is time.Now
	Log          *slog.Logger     // nil discards
}

// Sandbox is the whole of it: accounts server, organisations, faults, ledger.
type Sandbox struct {
	base     string
	now      func() time.Time
	log      *slog.Logger
	redirect []string

	mu       sync.RWMutex // guards all below, organisations and their records included
	orgs     []*org
	orgByID  map[string]*org
	auth     authState
	defaults settings // what organisations to come start with
	edition  string   // edition and data centre of organisations to come, where nobody says
	centre   string

	crossOrigin http.CrossOriginProtection // of the forms for people

	faults  faults
	ledger  ledger
	watch   watchers
	calls   messenger
	journal *journal
}

// New opens a sandbox, with the state found in o.Dir if one is given. A sandbox that holds no organisation gets its first.
func New(o Options) (*Sandbox, error) {
	s := &Sandbox{
		base:     strings.TrimRight(o.BaseURL, "/"),
		now:      o.Now,
		log:      o.Log,
		redirect: o.RedirectURIs,
		orgByID:  map[string]*org{},
		auth:     newAuthState(),
		defaults: freshSettings(),
		edition:  "enterprise",
		centre:   "us",
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ledger.init()
	if o.Dir != "" {
		if err := s.open(o.Dir); err != nil {
			return nil, fmt.Errorf("opening the sandbox's state: %w", err)
		}
	}
	if len(s.orgs) == 0 {
		s.addOrg(newOrg{Name: "Sandbox Organisation"})
	}
	return s, nil
}

// Close ends live pages and closes the journal. What was answered before is in the journal already.
func (s *Sandbox) Close() error {
	s.watch.close()
	s.stopCalling()
	return s.journal.close()
}

// Handler serves everything: /oauth, /crm/v8, /crm/v2, the same under each data centre's prefix, the control routes and the pages.
func (s *Sandbox) Handler() http.Handler {
	pages := s.pages()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, centre := r.URL.Path, "us"
		if first, rest, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/"); ok && first != "us" && centreByKey(first) != nil {
			centre, path = first, "/"+rest
		}
		switch {
		case tabPath(path) != nil:
			s.tabPage(w, r, tabPath(path))
		case strings.HasPrefix(path, "/crm/"):
			s.serveCRM(w, r, centre, path)
		case strings.HasPrefix(path, "/oauth/v2/auth"):
			s.serveConsent(w, r, centre)
		case strings.HasPrefix(path, "/oauth/"):
			s.serveAccounts(w, r, centre, path)
		case strings.HasPrefix(path, "/_sandbox/"):
			s.serveControl(w, r)
		default:
			pages.ServeHTTP(w, r)
		}
	})
}

// baseURL is what this sandbox is called from outside, in the request at hand.
func (s *Sandbox) baseURL(r *http.Request) string {
	if s.base != "" {
		return s.base
	}
	return "http://" + r.Host
}

// centreURL is both accounts-server and api_domain of a data centre. The base itself is us.
func (s *Sandbox) centreURL(r *http.Request, centre string) string {
	if centre == "us" {
		return s.baseURL(r)
	}
	return s.baseURL(r) + "/" + centre
}
