package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hookline/internal/account"
	"hookline/internal/backtest"
	"hookline/internal/delivery"
	"hookline/internal/intake"
	"hookline/internal/postgres"
	"hookline/internal/server"
	"hookline/internal/zoho/sandbox"
)

type serveCommand struct {
	Role string `help:"all, web or worker." enum:"all,web,worker" default:"all"`
}

func (s *serveCommand) Run(w *world) error {
	c, err := readConfig(w.env)
	if err != nil {
		return err
	}
	if s.Role != "all" {
		if c.embedded() {
			return fmt.Errorf("--role %s needs DATABASE_URL: only --role all starts the embedded database", s.Role)
		}
		if c.sandboxInside {
			c.SandboxAddr, c.SandboxURL, c.sandboxInside = "", w.env("HOOKLINE_SANDBOX_URL"), false
		}
		if c.ZohoClientID == "" && c.SandboxURL == "" {
			return fmt.Errorf("--role %s needs ZOHO_CLIENT_ID and ZOHO_CLIENT_SECRET, or HOOKLINE_SANDBOX_URL", s.Role)
		}
	}
	return serve(w.ctx, c, s.Role, newLog(c, w.errOut), func() { fmt.Fprintln(w.out, c.BaseURL) }, nil)
}

// stopWithin is the time from the signal to the end.
const stopWithin = 14 * time.Second

// serve runs until ctx ends. ready is called once everything answers; beside, when given, runs next to the server
// with the parts and ends with it.
func serve(ctx context.Context, c config, role string, log *slog.Logger, ready func(), beside func(context.Context, *parts, *intake.Receiver)) error {
	end := closing{log: log, within: stopWithin}
	defer end.run()

	if c.sandboxInside {
		stop, err := serveSandbox(ctx, c.SandboxAddr, c.sandboxDir(), []string{c.BaseURL + "/zoho/callback"}, log)
		if err != nil {
			return err
		}
		end.add(stop)
	}
	d, err := openDatabase(ctx, c, log, false)
	if err != nil {
		return err
	}
	end.add(d.close)
	if err := d.ensureSchema(ctx, c); err != nil {
		return err
	}
	p, err := wire(ctx, c, d, log)
	if err != nil {
		return err
	}
	end.add(p.close)
	if err := checkKeys(ctx, p.db, p.keys); err != nil {
		return err
	}
	if d.server != nil {
		// The data directory is locked by us: no other worker lives, and a killed one's lanes need not wait.
		if err := delivery.Reclaim(ctx, p.db); err != nil {
			return err
		}
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	health := server.NewHealth(p.db, d.schemaReasons())
	end.work(health.Drain)
	failed := make(chan error, 4)
	metrics := &http.Server{Addr: c.MetricsAddr, Handler: inside(registry, health), ReadHeaderTimeout: 5 * time.Second}
	end.add(func() { shutdown(metrics) })

	listener := delivery.NewListener(func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, d.direct) }, log)
	end.add(background(listener.Run))

	var mailbox string
	if role != "worker" && c.SMTPURL == "" && !c.SMTPOff {
		mailbox = randomPath()
		log.Info("no mail server is set: mails are kept and shown here", "url", c.BaseURL+"/mail/"+mailbox)
	}
	if err := startJobs(ctx, c, d, p, role, &end); err != nil {
		return err
	}
	var door front
	if role != "worker" {
		if door, err = openFront(ctx, p, d, registry, health, listener, mailbox, &end); err != nil {
			return err
		}
		web := &http.Server{Addr: c.Addr, Handler: door.server.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 12 * time.Second,
			WriteTimeout: 60 * time.Second, IdleTimeout: 120 * time.Second, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
		if err := listen(web, failed); err != nil {
			return fmt.Errorf("HOOKLINE_ADDR %s cannot be used: %w", c.Addr, err)
		}
		end.work(func() { shutdown(web) })
	}
	if role != "web" {
		worker := delivery.New(delivery.Deps{DB: p.db, Keys: p.keys, Connections: p.connections, Listener: listener, Now: time.Now, Log: log, Gap: c.gap()})
		end.work(background(worker.Run))
	}
	if beside != nil {
		end.work(background(func(ctx context.Context) { beside(ctx, p, door.receiver) }))
	}

	if c.MetricsAddr != "" { // last: it says that we are ready
		if err := listen(metrics, failed); err != nil {
			return fmt.Errorf("HOOKLINE_METRICS_ADDR %s cannot be used: %w. Choose another address or off", c.MetricsAddr, err)
		}
	}
	log.Info("serving", "role", role, "url", c.BaseURL, "sandbox", c.SandboxURL)
	ready()
	var gone <-chan struct{}
	if d.server != nil {
		gone = d.server.Done()
	}
	select {
	case <-ctx.Done():
		log.Info("stopping")
		return nil
	case err := <-failed:
		return err
	case <-gone:
		return fmt.Errorf("the embedded PostgreSQL is gone: %w", d.server.Err())
	}
}

// front is what faces people and phone providers.
type front struct {
	server   *server.Server
	receiver *intake.Receiver
}

// openFront builds intake and the server. Intake has a pool of its own: no slow page keeps a call waiting.
func openFront(ctx context.Context, p *parts, d database, registry prometheus.Registerer, health *server.Health, listener *delivery.Listener, mailbox string, end *closing) (front, error) {
	pool, err := postgres.Open(ctx, postgres.Config{URL: d.program, MaxConns: 6, Name: "hookline intake", Direct: p.config.direct()})
	if err != nil {
		return front{}, err
	}
	end.add(pool.Close)
	f := front{receiver: intake.New(intake.Deps{DB: pool, Keys: p.keys, Ring: p.bell.Ring, Now: time.Now, Log: p.log, Metrics: registry})}
	end.work(f.receiver.Close)
	feed := delivery.NewFeed(p.db, listener)
	end.work(feed.Close) // ends the live pages, for which the listener's shutdown waits
	backtests := backtest.New(backtest.Deps{DB: p.db, Known: p.connections, Log: p.log, Now: time.Now})
	end.work(backtests.Close)
	f.server, err = server.New(server.Deps{
		DB: p.db, Log: p.log, Now: time.Now, BaseURL: p.config.BaseURL, Desk: p.desk, Sessions: account.NewSessions(p.db, time.Now),
		Zoho: p.connections, Keys: p.keys, Sources: p.sources, Receiver: f.receiver, Intake: f.receiver, Feed: feed, Backtests: backtests, Bell: p.bell, Health: health,
		Sandbox: p.config.SandboxURL != "", SandboxURL: p.config.SandboxURL, Consent: p.consent, Mailbox: mailbox,
		NoMail: p.config.SMTPOff, Proxies: p.config.Proxies,
	})
	return f, err
}

func listen(s *http.Server, failed chan<- error) error {
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return nil
}

func shutdown(s *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		_ = s.Close()
	}
}

// inside is the listener for operators: metrics, profiles and health.
func inside(registry *prometheus.Registry, health http.Handler) http.Handler {
	m := http.NewServeMux()
	m.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	m.HandleFunc("/debug/pprof/", pprof.Index)
	m.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("/debug/pprof/profile", pprof.Profile)
	m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	m.Handle("GET /healthz", health)
	m.Handle("GET /readyz", health)
	return m
}

// serveSandbox runs a Zoho sandbox that keeps its state in dir, or nothing when dir is empty.
func serveSandbox(_ context.Context, addr, dir string, redirects []string, log *slog.Logger) (stop func(), err error) {
	box, err := sandbox.New(sandbox.Options{Dir: dir, BaseURL: "http://" + addr, RedirectURIs: redirects, Log: log})
	if err != nil {
		return nil, err
	}
	s := &http.Server{Addr: addr, Handler: box.Handler(), ReadHeaderTimeout: 5 * time.Second}
	if err := listen(s, make(chan error, 1)); err != nil {
		_ = box.Close()
		return nil, fmt.Errorf("the sandbox's address %s cannot be used: %w. Choose another HOOKLINE_SANDBOX_ADDR or off", addr, err)
	}
	return func() {
		_ = s.Close()
		_ = box.Close()
	}, nil
}

func randomPath() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
