package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"hookline/internal/zoho/sandbox"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// filled is a sandbox with 100,000 Leads, and a function that serves requests without the network between.
func filled(b *testing.B, n int) (c *crm, serve func(method, path, body string) int) {
	b.Helper()
	s := sandboxtest.New(b)
	s.Control.Settings("", map[string]any{"search_index_lag_ms": 0, "credits": 1 << 40, "unique": map[string][]string{"Leads": {"Hookline_Ref"}}})
	c = connect(b, s, "ultimate", "us")
	for from := 0; from < n; from += 1000 {
		batch := make([]sandboxtest.Record, 1000)
		for i := range batch {
			batch[i] = sandboxtest.Record{"Last_Name": fmt.Sprintf("Caller %d", from+i), "Phone": fmt.Sprintf("+1555%07d", from+i), "Hookline_Ref": fmt.Sprintf("hk-%d", from+i)}
		}
		s.Control.Put(c.org, "Leads", batch...)
	}
	h := s.Sandbox.Handler()
	return c, func(method, path, body string) int {
		req := httptest.NewRequest(method, path, bytes.NewReader([]byte(body)))
		req.Header.Set("Authorization", "Zoho-oauthtoken "+c.tokens.Access)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w.Code
	}
}

// BenchmarkRequests measures each kind of request against 100,000 records, without the network: how many a second of one core serves.
func BenchmarkRequests(b *testing.B) {
	const n = 100_000
	c, serve := filled(b, n)
	coql := func(q string) string {
		x, _ := json.Marshal(map[string]string{"select_query": q})
		return string(x)
	}
	id := c.coql("select id from Leads where Last_Name = 'Caller 77'").text("data", 0, "id")
	for _, x := range []struct {
		name, method, path string
		body               func(i int) string
		want               int
	}{
		{"create", "POST", "/crm/v8/Leads", func(i int) string { return fmt.Sprintf(`{"data":[{"Last_Name":"New %d","Phone":"+1666%07d"}]}`, i, i) }, 201},
		{"get by id", "GET", "/crm/v8/Leads/" + id, nil, 200},
		{"search by phone", "GET", "/crm/v8/Leads/search?phone=%2B15550000077", nil, 200},
		{"search by phone, miss", "GET", "/crm/v8/Contacts/search?phone=%2B15550000077", nil, 204},
		{"COQL Phone in", "POST", "/crm/v8/coql", func(i int) string {
			return coql(fmt.Sprintf("select id, Full_Name, Phone from Leads where (Phone in ('+1555%07d','555%07d') or Mobile in ('+1555%07d')) limit 10", i%n, i%n, i%n))
		}, 200},
		{"COQL by unique reference", "POST", "/crm/v8/coql", func(i int) string { return coql(fmt.Sprintf("select id from Leads where Hookline_Ref = 'hk-%d'", i%n)) }, 200},
	} {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime(b)
			for i := range b.N {
				body := ""
				if x.body != nil {
					body = x.body(i)
				}
				if got := serve(x.method, x.path, body); got != x.want {
					b.Fatalf("status %d", got)
				}
			}
			b.ReportMetric(float64(b.N)/(cpuTime(b)-before).Seconds(), "requests/cpu-s")
		})
	}
}

// cpuTime is what this process has used of the processors: on a busy machine it says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOverHTTP is creates over real HTTP, journal and client included in what a second of one core serves.
func BenchmarkOverHTTP(b *testing.B) {
	s := sandboxtest.Start(b, sandbox.Options{Dir: b.TempDir()})
	s.Control.Settings("", map[string]any{"credits": 1 << 40})
	c := connect(b, s, "ultimate", "us")
	before := cpuTime(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, _ := http.NewRequest("POST", s.URL+"/crm/v8/Leads", bytes.NewReader([]byte(`{"data":[{"Last_Name":"x","Phone":"+15551234567"}]}`)))
			req.Header.Set("Authorization", "Zoho-oauthtoken "+c.tokens.Access)
			resp, err := client.Do(req)
			if err != nil || resp.StatusCode != 201 {
				b.Errorf("%v %v", resp, err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body) // or the connection is not used again
			resp.Body.Close()
		}
	})
	b.ReportMetric(float64(b.N)/(cpuTime(b)-before).Seconds(), "requests/cpu-s")
}
