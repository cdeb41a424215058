package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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

// BenchmarkMixed is what a CRM under load hears, over real HTTP, from a sandbox in a process of its own on one core and with its
// journal: looking callers up by COQL and search, writing Calls, reading records, among 100,000 records in one organisation or
// spread over twenty. requests/cpu-s is what one core of the sandbox serves, whatever else the machine does.
func BenchmarkMixed(b *testing.B) {
	const records, connections = 100_000, 8 // a ninth COQL at once would come close to Zoho's own limit
	for _, orgs := range []int{1, 20} {
		b.Run(fmt.Sprintf("%d organisations", orgs), func(b *testing.B) {
			base, pid := startChild(b, b.TempDir(), "GOMAXPROCS=1")
			control := sandboxtest.At(b, base)
			control.Settings("", map[string]any{"search_index_lag_ms": 0, "credits": 1 << 40})
			type tenant struct {
				token string
				ids   []string
			}
			tenants := make([]tenant, orgs)
			each := records / orgs
			for i := range tenants {
				g := control.NewOrg("ultimate", "us")
				tenants[i].token = control.Exchange(g).Access
				for from := 0; from < each; from += 1000 {
					batch := make([]sandboxtest.Record, min(1000, each-from))
					for j := range batch {
						batch[j] = sandboxtest.Record{"Last_Name": fmt.Sprintf("Caller %d", from+j), "Phone": fmt.Sprintf("+1555%07d", from+j), "Email": fmt.Sprintf("caller%d@abc.example", from+j)}
					}
					tenants[i].ids = append(tenants[i].ids, control.Put(g.OrgID, "Contacts", batch...)...)
				}
			}
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
			send := func(t tenant, method, path, body string, want int) {
				req, _ := http.NewRequest(method, base+path, bytes.NewReader([]byte(body)))
				req.Header.Set("Authorization", "Zoho-oauthtoken "+t.token)
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				answer, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != want {
					b.Errorf("%s %s: %d %s", method, path, resp.StatusCode, answer)
				}
			}
			var serial atomic.Int64
			b.SetParallelism(connections)
			b.ResetTimer()
			before := processTime(b, pid)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := int(serial.Add(1))
					t := tenants[n%orgs]
					who := (n * 7919) % each
					switch phone := fmt.Sprintf("%07d", who); n % 10 {
					case 0, 1, 2, 3:
						query, _ := json.Marshal(map[string]string{"select_query": fmt.Sprintf(
							"select id, Full_Name, Phone, Mobile from Contacts where (Phone in ('+1555%s','1555%s','555%s') or Mobile in ('+1555%s','1555%s','555%s')) limit 200", phone, phone, phone, phone, phone, phone)})
						send(t, "POST", "/crm/v8/coql", string(query), 200)
					case 4, 5:
						send(t, "GET", "/crm/v8/Contacts/search?fields=Full_Name,Phone&phone=%2B1555"+phone, "", 200)
					case 6, 7:
						send(t, "POST", "/crm/v8/Calls", `{"data":[{"Subject":"Inbound call","Call_Type":"Inbound","Call_Start_Time":"2026-01-20T15:00:00+00:00","Call_Duration":"02:05","Who_Id":{"id":"`+t.ids[who]+`"}}],"trigger":[]}`, 201)
					default:
						send(t, "GET", "/crm/v8/Contacts/"+t.ids[who], "", 200)
					}
				}
			})
			b.ReportMetric(float64(b.N)/(processTime(b, pid)-before).Seconds(), "requests/cpu-s")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// processTime is what another process has used of the processors (Linux).
func processTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // in ticks, of which a second has 100
}
