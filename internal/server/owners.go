package server

import (
	"context"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"hookline/internal/connection"
	"hookline/internal/tenant"
	"hookline/web/ui"
)

// users remembers for a while who can own a record: each look costs a credit.
type users struct {
	mu    sync.Mutex
	known map[tenant.ID]usersOf
}

type usersOf struct {
	org   string
	until time.Time
	list  []ui.Option
}

const (
	usersFor  = 10 * time.Minute
	mostUsers = 1000 // tenants that are remembered
)

// recordOwners lists the organisation's active users by id. Where Zoho cannot be asked just now there are none.
func (s *Server) recordOwners(c echo.Context) []ui.Option {
	t := tenantOf(c)
	within, cancel := context.WithTimeout(ctx(c), 5*time.Second)
	defer cancel()
	link, err := s.Zoho.Get(within, t)
	if err != nil || link.Status != connection.Connected {
		return nil
	}
	s.users.mu.Lock()
	known, there := s.users.known[t]
	s.users.mu.Unlock()
	if there && known.org == link.OrgID && s.Now().Before(known.until) {
		return known.list
	}
	active, err := s.Zoho.API(t, nil).Users(within)
	if err != nil {
		return nil
	}
	fresh := usersOf{org: link.OrgID, until: s.Now().Add(usersFor)}
	for _, u := range active {
		fresh.list = append(fresh.list, ui.Option{Value: u.ID, Label: u.Name})
	}
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	if s.users.known == nil || len(s.users.known) >= mostUsers {
		s.users.known = map[tenant.ID]usersOf{}
	}
	s.users.known[t] = fresh
	return fresh.list
}
