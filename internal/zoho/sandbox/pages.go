package sandbox

import (
	"net/http"
	"sync"
)

func (s *Sandbox) pages() http.Handler { return http.NotFoundHandler() }
func (s *Sandbox) serveConsent(w http.ResponseWriter, r *http.Request, centre string) {
	http.NotFound(w, r)
}

type watchers struct{ mu sync.Mutex }

func (w *watchers) tell()  {}
func (w *watchers) close() {}
