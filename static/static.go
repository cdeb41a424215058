// Package static holds the files that browsers fetch: one style sheet, one script, htmx and the icons.
//
// Files are embedded and served under names that carry their content's hash, /static/<12 hex>/<name>, so that a
// browser may keep them for ever and a new release is a new name. URL gives that name, Handler serves it, Icon
// hands an icon's drawing to pages that inline it. Nothing here knows a page.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed app.css app.js mapping.js logo.svg vendor/htmx/*.js vendor/lucide/*.svg
var files embed.FS

type file struct {
	hash        string
	contentType string
	body        []byte
	gzipped     []byte // nil when it saves nothing
}

var served = load("app.css", "app.js", "mapping.js", "logo.svg", "vendor/htmx/htmx.min.js", "vendor/htmx/hx-sse.min.js")

func load(names ...string) map[string]file {
	all := make(map[string]file, len(names))
	for _, name := range names {
		body, err := files.ReadFile(name)
		if err != nil {
			panic(err) // the embed line above does not hold it: a fault of the build
		}
		sum := sha256.Sum256(body)
		f := file{hash: hex.EncodeToString(sum[:])[:12], contentType: mime.TypeByExtension(path.Ext(name)), body: body}
		var z bytes.Buffer
		w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression) // the level is valid
		w.Write(body)                                         // a buffer takes everything
		w.Close()
		if z.Len() < len(body) {
			f.gzipped = z.Bytes()
		}
		all[path.Base(name)] = f
	}
	return all
}

// URL is the address of a file by its base name. An unknown name panics: it is a typing error in a page.
func URL(name string) string {
	f, ok := served[name]
	if !ok {
		panic("static: no file " + name)
	}
	return "/static/" + f.hash + "/" + name
}

// Handler serves /static/<hash>/<name>. A wrong hash is not found, so that no cache ever holds one release's
// content under another's name.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/static/"), "/")
		f, ok := served[name]
		if !ok || f.hash != hash {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.contentType)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
		body := f.body
		if f.gzipped != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = f.gzipped
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method != http.MethodHead {
			w.Write(body)
		}
	})
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) == "gzip" {
			return strings.ReplaceAll(params, " ", "") != "q=0"
		}
	}
	return false
}

var icons = loadIcons()

// loadIcons keeps of each Lucide file what stands inside its svg element.
func loadIcons() map[string]string {
	names, err := fs.Glob(files, "vendor/lucide/*.svg")
	if err != nil {
		panic(err)
	}
	all := make(map[string]string, len(names))
	for _, name := range names {
		body, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		_, svg, _ := strings.Cut(string(body), "<svg")
		_, inner, _ := strings.Cut(svg, ">")
		inner, _, _ = strings.Cut(inner, "</svg>")
		all[strings.TrimSuffix(path.Base(name), ".svg")] = strings.Join(strings.Fields(inner), " ")
	}
	return all
}

// Icon is the inside of a Lucide icon's svg element (24 × 24, stroked). An unknown name panics: it is a typing
// error in a page.
func Icon(name string) string {
	inner, ok := icons[name]
	if !ok {
		panic("static: no icon " + name)
	}
	return inner
}
