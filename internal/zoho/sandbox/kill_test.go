package sandbox_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"hookline/internal/zoho/sandbox"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

const childDir = "HOOKLINE_TEST_SANDBOX_DIR"

// TestMain lets the test binary be the sandbox process that a test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		serveAsChild(dir)
		return
	}
	os.Exit(m.Run())
}

func serveAsChild(dir string) {
	sb, err := sandbox.New(sandbox.Options{Dir: dir})
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	fmt.Println("http://" + l.Addr().String())
	fmt.Println("stopped:", http.Serve(l, sb.Handler()))
}

// newChild starts a sandbox in a process of its own and answers its address.
func newChild(t testing.TB, dir string, environment ...string) (child *exec.Cmd, base string) {
	t.Helper()
	child = exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(append(os.Environ(), childDir+"="+dir), environment...)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(first, "http") {
		t.Fatalf("%q %v", first, err)
	}
	return child, strings.TrimSpace(first)
}

// startChild is newChild that ends with the test.
func startChild(t testing.TB, dir string, environment ...string) (base string, pid int) {
	t.Helper()
	child, base := newChild(t, dir, environment...)
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	return base, child.Process.Pid
}

func TestWhatWasAnsweredOutlivesSIGKILL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var org string
	var tokens sandboxtest.Tokens
	acknowledged := map[string]bool{}
	for life := range 3 {
		child, base := newChild(t, dir)
		control := sandboxtest.At(t, base)
		if org == "" {
			g := control.NewOrg("enterprise", "us")
			org, tokens = g.OrgID, control.Exchange(g)
		}
		killed := make(chan struct{})
		for n := range 200 {
			if n == 100 { // while requests go on
				go func() {
					_ = child.Process.Kill()
					_ = child.Wait()
					close(killed)
				}()
			}
			name := fmt.Sprintf("Caller %d %d", life, n)
			req, _ := http.NewRequest("POST", base+"/crm/v8/Leads", strings.NewReader(`{"data":[{"Last_Name":"`+name+`"}]}`))
			req.Header.Set("Authorization", "Zoho-oauthtoken "+tokens.Access)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				break
			}
			if resp.StatusCode != 201 {
				t.Fatalf("life %d: status %d", life, resp.StatusCode)
			}
			acknowledged[name] = true
			resp.Body.Close()
		}
		<-killed
	}

	s := sandboxtest.Start(t, sandbox.Options{Dir: dir})
	kept := map[string]int{}
	for _, r := range s.Control.Records(org, "Leads") {
		kept[r.Text("Last_Name")]++
	}
	for name := range acknowledged {
		if kept[name] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", name, kept[name])
		}
	}
	told := map[string]bool{}
	for _, l := range s.Control.Ledger(0) {
		for _, e := range l.Effects {
			told[e.ID] = true
		}
	}
	for _, r := range s.Control.Records(org, "Leads") {
		if !told[r.ID()] {
			t.Errorf("%s took effect and the ledger does not say so", r.ID())
		}
	}
	if len(acknowledged) < 300 {
		t.Errorf("only %d acknowledged", len(acknowledged))
	}
}
