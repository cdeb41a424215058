package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"hookline/internal/account"
	"hookline/internal/delivery"
	"hookline/internal/intake"
	"hookline/internal/postgres"
)

// startJobs runs what may happen later (mail, daily housekeeping) on River, with a pool of its own: its leader's
// election must not wait for a page. A web process only inserts jobs.
func startJobs(ctx context.Context, c config, d database, p *parts, role string, end *closing) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: d.program, MaxConns: 4, Name: "hookline jobs", Direct: c.direct()})
	if err != nil {
		return err
	}
	end.add(db.Close)
	workers := river.NewWorkers()
	if c.SMTPURL != "" {
		send, err := account.SMTP(c.SMTPURL, mailFrom(c))
		if err != nil {
			return err
		}
		river.AddWorker(workers, &account.SendMail{DB: p.db, Outbox: p.outbox, Send: send})
	}
	river.AddWorker(workers, &housekeeping{db: p.db})
	river.AddWorker(workers, &watch{parts: p})
	rc := &river.Config{Logger: p.log, Workers: workers, JobTimeout: 30 * time.Second, RescueStuckJobsAfter: 90 * time.Second,
		PollOnly: !c.direct()} // a pooler passes no notifications on
	if role != "web" {
		rc.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}}
		rc.PeriodicJobs = []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(24*time.Hour),
			func() (river.JobArgs, *river.InsertOpts) { return housekeepingArgs{}, nil }, &river.PeriodicJobOpts{RunOnStart: true}),
			river.NewPeriodicJob(river.PeriodicInterval(watchEvery), func() (river.JobArgs, *river.InsertOpts) { return watchArgs{}, nil }, nil)}
	}
	client, err := river.NewClient(riverpgxv5.New(db.Pool()), rc)
	if err != nil {
		return fmt.Errorf("setting up jobs: %w", err)
	}
	if c.SMTPURL != "" {
		p.outbox.Jobs = client
	}
	if role == "web" {
		return nil
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting jobs: %w", err)
	}
	end.work(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if client.Stop(ctx) != nil {
			_ = client.StopAndCancel(ctx)
		}
	})
	return nil
}

func mailFrom(c config) string {
	if from := hostOf(c.BaseURL); from != "" {
		return "hookline@" + from
	}
	return "hookline@localhost"
}

type housekeepingArgs struct{}

func (housekeepingArgs) Kind() string { return "keep_house" }

// housekeeping makes the coming months' partitions and clears what has expired, daily and at every start.
type housekeeping struct {
	river.WorkerDefaults[housekeepingArgs]
	db *postgres.DB
}

// Timeout is long: a database may hold a month of many tenants the first time.
func (h *housekeeping) Timeout(*river.Job[housekeepingArgs]) time.Duration { return time.Hour }

func (h *housekeeping) Work(ctx context.Context, _ *river.Job[housekeepingArgs]) error {
	if err := h.db.Directory(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT hookline_make_partitions()`)
		return err
	}); err != nil {
		return fmt.Errorf("making partitions: %w", err)
	}
	return errors.Join(account.Sweep(ctx, h.db, time.Now()), forget(ctx, h.db))
}

// watchEvery is how often the fields of organisations are looked at that no call makes Hookline look at: some sixty
// credits a day, of the five thousand that the smallest edition has.
const watchEvery = 6 * time.Hour

type watchArgs struct{}

func (watchArgs) Kind() string { return "watch_fields" }

// watch notices what changes in Zoho before a call meets it: Home says so. One tenant's trouble leaves the others' alone.
type watch struct {
	river.WorkerDefaults[watchArgs]
	*parts
}

// Timeout is long: there may be many tenants, each with a minute at most.
func (w *watch) Timeout(*river.Job[watchArgs]) time.Duration { return watchEvery / 2 }

func (w *watch) Work(ctx context.Context, _ *river.Job[watchArgs]) error {
	tenants, err := account.Tenants(ctx, w.db)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		within, cancel := context.WithTimeout(ctx, time.Minute)
		if err := w.connections.KeepFresh(within, t); err != nil {
			w.log.WarnContext(ctx, "the fields in zoho could not be looked at", "tenant", t.String(), "err", err)
		}
		cancel()
	}
	return ctx.Err()
}

// forget deletes what is kept for a month only. One tenant's trouble leaves the others' alone.
func forget(ctx context.Context, db *postgres.DB) error {
	tenants, err := account.Tenants(ctx, db)
	if err != nil {
		return err
	}
	var faults []error
	for _, t := range tenants {
		_, raw := intake.ForgetRaw(ctx, db, t)
		_, exchanges := delivery.ForgetExchanges(ctx, db, t)
		faults = append(faults, raw, exchanges)
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(faults...)
}
