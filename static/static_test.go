package static

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http/httptest"
	"testing"
)

func TestFilesAreServedForEverUnderTheirHash(t *testing.T) {
	for name, f := range served {
		for _, encoding := range []string{"", "br, gzip", "gzip;q=0"} {
			r := httptest.NewRequest("GET", URL(name), nil)
			r.Header.Set("Accept-Encoding", encoding)
			w := httptest.NewRecorder()
			Handler().ServeHTTP(w, r)
			if w.Code != 200 || w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
				t.Fatalf("%s: %d, %q", name, w.Code, w.Header().Get("Cache-Control"))
			}
			body := w.Body.Bytes()
			if w.Header().Get("Content-Encoding") == "gzip" {
				if encoding != "br, gzip" {
					t.Errorf("%s: gzip to a client that takes %q", name, encoding)
				}
				z, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(z); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(body, f.body) {
				t.Errorf("%s for %q is not the file", name, encoding)
			}
		}
	}
}

func TestAWrongHashIsNotFound(t *testing.T) {
	for _, path := range []string{"/static/000000000000/app.css", "/static/app.css", "/static/", "/static/" + served["app.js"].hash + "/app.css", URL("app.css") + "/.."} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 404 {
			t.Errorf("%s: %d, want 404", path, w.Code)
		}
	}
}

// The first page may weigh 100 KB, compressed, in all; this leaves room for the page itself.
func TestTheFirstPageIsLight(t *testing.T) {
	sum := 0
	for name, f := range served {
		n := len(f.body)
		if f.gzipped != nil {
			n = len(f.gzipped)
		}
		t.Logf("%s: %d bytes", name, n)
		sum += n
	}
	if sum > 60_000 {
		t.Errorf("style, script and icons weigh %d bytes compressed, want at most 60,000", sum)
	}
}
