package specification

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// Transport puts every exchange with /crm/v8 that passes through it into a book.
type Transport struct {
	Book *Book
	Next http.RoundTripper
}

// RoundTrip sends the request on and hands back its answer, both as they are.
func (t Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := Exchange{Method: req.Method, Path: req.URL.Path, Query: req.URL.RawQuery, RequestHeader: req.Header.Clone()}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		x.RequestBody = body
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := t.Next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if x.Body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(x.Body))
	x.Status, x.Header = resp.StatusCode, resp.Header
	if strings.HasPrefix(x.Path, "/crm/v8/") {
		t.Book.Keep(x)
	}
	return resp, nil
}
