package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is one run of the program.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	log  *os.File
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends s.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill ends the process at once and waits until it is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Terminate asks the process to end and waits; the answer is its exit code.
func (p *Process) Terminate() int {
	p.Signal(syscall.SIGTERM)
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// System is one sandbox and one program, each a process of its own, on a machine of their own as far as ports and
// folders go.
type System struct {
	Binary     string
	Dir        string   // everything the processes keep and log
	Env        []string // more environment for the program, name=value
	Addr       string
	SandboxURL string
	SuperURL   string // of the database, where it is not the program's own

	sandboxAddr, metricsAddr string
	Sandbox                  *Process

	mu      sync.Mutex
	program *Process
}

// NewSystem takes ports and starts the sandbox.
func NewSystem(ctx context.Context, binary, dir string) (*System, error) {
	s := &System{Binary: binary, Dir: dir}
	var err error
	for _, addr := range []*string{&s.Addr, &s.sandboxAddr, &s.metricsAddr} {
		if *addr, err = freeAddr(); err != nil {
			return nil, err
		}
	}
	s.SandboxURL = "http://" + s.sandboxAddr
	if s.Sandbox, err = s.start("sandbox", nil, "sandbox", "--addr", s.sandboxAddr); err != nil {
		return nil, err
	}
	return s, waitFor(ctx, s.SandboxURL+"/_sandbox/clients", s.Sandbox)
}

// Start runs the program and waits until it is ready.
func (s *System) Start(ctx context.Context, more ...string) (*Process, error) {
	p, err := s.start("program", more, "serve")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.program = p
	s.mu.Unlock()
	return p, waitFor(ctx, "http://"+s.Addr+"/readyz", p)
}

// Close ends what runs.
func (s *System) Close() {
	s.mu.Lock()
	program := s.program
	s.mu.Unlock()
	if program != nil {
		program.Terminate()
	}
	s.Sandbox.Kill()
}

// Environ is what the program runs under.
func (s *System) Environ(more ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "HOOKLINE_ADDR=" + s.Addr, "HOOKLINE_METRICS_ADDR=" + s.metricsAddr,
		"HOOKLINE_DATA_DIR=" + s.DataDir(), "HOOKLINE_SANDBOX_URL=" + s.SandboxURL, "HOOKLINE_LOG=json"}
	return append(append(env, s.Env...), more...)
}

// DataDir is the program's data directory.
func (s *System) DataDir() string { return filepath.Join(s.Dir, "data") }

func (s *System) start(name string, env []string, args ...string) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(s.Dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(s.Binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = s.Environ(env...), log, log, s.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &Process{cmd: cmd, done: make(chan struct{}), log: log}
	started := make(chan error, 1)
	go func() {
		// The signal that ends the child with us follows the thread that forked it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Tenant is a business made by the command line.
type Tenant struct {
	ID, URL, Secret, APIKey, Org, Email string
}

// AddTenant makes a business with a native source that is connected to an organisation of its own.
func (s *System) AddTenant(ctx context.Context, name string) (Tenant, error) {
	return s.AddTenantOf(ctx, name, "native")
}

// AddTenantOf is AddTenant with a source of the given provider.
func (s *System) AddTenantOf(ctx context.Context, name, provider string) (Tenant, error) {
	email := strings.ToLower(strings.ReplaceAll(name, " ", "")) + "@example.com"
	cmd := exec.CommandContext(ctx, s.Binary, "tenant", "create", "--provider", provider, "--name", name, "--owner", email, "--password", "a long enough pass phrase", "--connect-sandbox", "--json")
	cmd.Env, cmd.Dir = s.Environ(), s.Dir
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return Tenant{}, fmt.Errorf("making tenant %s: %w: %s", name, err, errOut.String())
	}
	var made struct {
		TenantID string `json:"tenant_id"`
		APIKey   string `json:"api_key"`
		Source   struct{ URL, Secret string }
		Link     struct {
			Org string `json:"org_id"`
		} `json:"connection"`
	}
	if err := json.Unmarshal(out.Bytes(), &made); err != nil {
		return Tenant{}, fmt.Errorf("reading what tenant create said: %w", err)
	}
	return Tenant{ID: made.TenantID, URL: made.Source.URL, Secret: made.Source.Secret, APIKey: made.APIKey, Org: made.Link.Org, Email: email}, nil
}

// Control speaks to the sandbox's control routes; body and into may be nil.
func (s *System) Control(ctx context.Context, method, path string, body, into any) error {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.SandboxURL+path, reader)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 2048))
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// Records are all records of a module in a tenant's organisation.
func (s *System) Records(ctx context.Context, t Tenant, module string) ([]map[string]any, error) {
	var answer struct {
		Data []map[string]any `json:"data"`
	}
	err := s.Control(ctx, http.MethodGet, "/_sandbox/records/"+module+"?org="+t.Org, nil, &answer)
	return answer.Data, err
}

// freeAddr finds a port that stays free while the program that listens there is down: none of those that the system
// hands to whoever connects or listens without a wish.
func freeAddr() (string, error) {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(10000+rand.IntN(20000)))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String(), nil
	}
	return "", errors.New("no port of 127.0.0.1 between 10000 and 30000 is free")
}

// waitFor asks url until it answers 200, the process ends or ctx does.
func waitFor(ctx context.Context, url string, p *Process) error {
	client := http.Client{Timeout: time.Second}
	for {
		resp, err := client.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return errors.New("the process ended before it answered; its log: " + tail(p.log.Name()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func tail(path string) string {
	text, _ := os.ReadFile(path)
	return string(text[max(0, len(text)-2000):])
}

// CPU is the processor time that a process and its descendants have used, and RSS the memory that the process alone
// holds, in bytes.
func CPU(pid int) (used time.Duration, rss int64) {
	stats := map[int][]string{} // pid → fields after the name
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, d := range dirs {
		text, err := os.ReadFile(d)
		if err != nil {
			continue
		}
		_, rest, ok := strings.Cut(string(text), ") ")
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(d))); err == nil && ok {
			stats[n] = strings.Fields(rest)
		}
	}
	number := func(pid, field int) int64 {
		if f := stats[pid]; len(f) > field {
			n, _ := strconv.ParseInt(f[field], 10, 64)
			return n
		}
		return 0
	}
	isBelow := func(child int) bool {
		for n := 0; child > 1 && n < 10; n++ {
			if child == pid {
				return true
			}
			child = int(number(child, 1))
		}
		return false
	}
	ticks := int64(0)
	for child := range stats {
		if isBelow(child) {
			// utime, stime, and those of children that have ended
			ticks += number(child, 11) + number(child, 12) + number(child, 13) + number(child, 14)
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, number(pid, 21) * int64(os.Getpagesize())
}
