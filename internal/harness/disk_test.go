package harness

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// The database's disk is full, and then is not. Meanwhile callers are answered 503 and pages can be read; afterwards all
// goes on by itself. It mounts a small file system, so it runs in the long run only, as root.
func TestChaosAFullDiskIsAnswered503AndNothingIsHalfStored(t *testing.T) { // F5
	if os.Getenv("HOOKLINE_CHAOS") != "full" {
		t.Skip("it mounts a small disk: HOOKLINE_CHAOS=full, as root")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dir := newDir(t)
	disk := filepath.Join(dir, "db")
	if err := os.MkdirAll(disk, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=140m,mode=711"); err != nil {
		t.Skipf("no small disk can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, 0) })
	c, err := NewCluster(ctx, program(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, role := range []string{"web", "worker"} {
		if _, err := c.StartPart(ctx, role, role); err != nil {
			t.Fatal(err)
		}
	}
	tenant, err := c.AddTenant(ctx, "Disk")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	var taken, unknown []Call
	for n := range 20 {
		call := NewCall(tenant, n, "+1415"+strconv.Itoa(2000000+n))
		if _, err := PostUntilTaken(ctx, client, call); err != nil {
			t.Fatal(err)
		}
		taken = append(taken, call)
	}

	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	refused, pages := 0, 0
	for n := 20; refused < 30 && n < 3000; n++ {
		call := NewCall(tenant, n, "+1415"+strconv.Itoa(2000000+n))
		began := time.Now()
		a, err := Post(ctx, client, call)
		switch took := time.Since(began); {
		case err != nil || a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable:
			t.Errorf("answered %d, %v", a.Status, err)
			unknown = append(unknown, call)
		case a.Status == http.StatusOK:
			taken = append(taken, call)
		default:
			refused++
			unknown = append(unknown, call)
			if took > 6*time.Second {
				t.Errorf("503 after %s", took)
			}
			if status := c.calls(ctx, client, tenant); status == http.StatusOK {
				pages++
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused: the disk was not full enough")
	}
	_ = filler.Close()
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	select {
	case <-c.server.Done(): // three deaths in a minute: its operator starts it again
		t.Log("the server had died three times")
		c.server.Stop()
		if err := c.startDatabase(ctx); err != nil {
			t.Fatal(err)
		}
	default:
	}
	after := NewCall(tenant, 9000, "+14152999999")
	if _, err := PostUntilTaken(ctx, client, after); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d refused, the list of calls was readable %d times meanwhile; taken again %s after there was room", refused, pages, time.Since(freed).Round(10*time.Millisecond))
	taken = append(taken, after)
	settling, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	if err := c.Settle(settling); err != nil {
		t.Error(err)
	}
	v, err := c.Compare(ctx, taken, unknown...)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(v)
	if !v.OK() {
		t.Error("promises were broken")
	}
}

// calls asks for the list of calls and gives the status of the answer, 0 for none.
func (s *System) calls(ctx context.Context, client *http.Client, t Tenant) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr+"/api/v1/calls", nil)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+t.APIKey)
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
