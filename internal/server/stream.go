package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/delivery"
	"hookline/internal/fault"
	"hookline/internal/tenant"
)

const (
	heartbeat  = 15 * time.Second       // a comment, so that proxies keep the connection
	recheck    = 2 * time.Second        // whether the person is still a member
	liveGap    = 200 * time.Millisecond // between two looks at what changed
	oldestMark = time.Hour              // what is missed for longer is not told one by one
)

// live is the stream of what changes. It carries small facts, and pages ask for what they show: for each call that
// changed an event call-<id>, and after each batch one event named calls. Its id is a moment of this tenant's; a
// browser that comes back with the last one is told what it missed.
func (s *Server) live(c echo.Context) error {
	t := tenantOf(c)
	since, err := sinceOf(c, t)
	if err != nil {
		return err
	}
	w := c.Response()
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("clearing the write deadline: %w", err)
	}
	watch := s.Feed.Watch(t, since)
	defer watch.Close()

	h := w.Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx hands on at once
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write([]byte(": hello\n\n")); err != nil {
		return nil // the browser has left
	}
	w.Flush()

	beat, check := time.NewTicker(heartbeat), time.NewTicker(recheck)
	defer beat.Stop()
	defer check.Stop()
	gone := ctx(c).Done()
	for {
		text := ""
		select {
		case <-gone:
			return nil
		case <-watch.Ended():
			return nil
		case <-beat.C:
			text = ": still here\n\n"
		case <-check.C:
			if !s.stillMember(c) {
				return nil
			}
		case <-watch.Knocks():
			if !s.stillMember(c) {
				return nil
			}
			changed, err := watch.Changed(ctx(c))
			if err != nil {
				if ctx(c).Err() == nil {
					s.Log.Warn("live stream", "request", requestIDOf(c), "err", err)
				}
				return nil // it comes back with the last id
			}
			text = newsOf(t, changed)
			rest(ctx(c), liveGap)
		}
		if text == "" {
			continue
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return nil
		}
		w.Flush()
	}
}

// newsOf writes the events of calls that changed.
func newsOf(t tenant.ID, changed []delivery.Row) string {
	if len(changed) == 0 {
		return ""
	}
	var b strings.Builder
	latest := time.Time{}
	for _, r := range changed {
		fmt.Fprintf(&b, "event: call-%s\ndata: %s\n\n", r.ID, r.Status)
		if r.ChangedAt.After(latest) {
			latest = r.ChangedAt
		}
	}
	fmt.Fprintf(&b, "id: %s\nevent: calls\ndata: %d\n\n", markOf(t, latest), len(changed))
	return b.String()
}

// stillMember looks again whether the session stands and its person may see this tenant.
func (s *Server) stillMember(c echo.Context) bool {
	session, err := s.Sessions.New(c.Request(), account.Cookie) // past the request's own copy
	if err != nil {
		return false
	}
	person, ok := account.PersonOf(session)
	if !ok || person != memberOf(c).Person {
		return false
	}
	m, err := account.MemberOf(ctx(c), s.DB, person, tenantOf(c))
	return err == nil && m.Can(account.See)
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// markOf names a moment in one tenant's stream.
func markOf(t tenant.ID, at time.Time) string {
	sum := sha256.Sum256(t[:])
	return strconv.FormatInt(at.UnixMicro(), 10) + "." + hex.EncodeToString(sum[:6])
}

// sinceOf is the moment up to which the browser knows everything: of the last event it got, else of the page.
func sinceOf(c echo.Context, t tenant.ID) (time.Time, error) {
	text := c.Request().Header.Get("Last-Event-ID")
	if text == "" {
		text = c.QueryParam("since")
	}
	if text == "" {
		return time.Time{}, nil
	}
	micros, _, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || text != markOf(t, time.UnixMicro(n)) {
		return time.Time{}, fault.New(fault.Invalid, "This stream's mark is not one of this workspace. Reload the page.")
	}
	at := time.UnixMicro(n)
	if time.Since(at) > oldestMark {
		return time.Time{}, nil
	}
	return at, nil
}
