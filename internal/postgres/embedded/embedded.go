// Package embedded is the default database: it starts, recovers and stops a PostgreSQL server of its own, so that
// trying Hookline takes one command.
//
// It needs PostgreSQL's server programs, not a running server: it makes a cluster in the data directory, starts the
// server as a child that listens on a socket only, and restarts it when it dies. As root it runs the server as an
// ordinary user, because PostgreSQL refuses to be root. Production sets DATABASE_URL instead and never comes here.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Names inside the cluster. The superuser makes the two login roles and the database and is not used again.
const (
	superuser = "hookline_super"
	owner     = "hookline_owner"
	app       = "hookline_app"
	dbname    = "hookline"
	port      = "5432" // names the socket file; no TCP port is opened
)

// maxSocketPath is what sun_path holds, without its final zero.
const maxSocketPath = 107

// Config says where the cluster lives.
type Config struct {
	Dir    string   // data directory; the cluster is Dir/pg<major>, its socket Dir/run
	BinDir string   // PostgreSQL's server programs; empty: found
	Params []string // further settings, name=value
	Log    *slog.Logger
}

// Server is a running PostgreSQL.
type Server struct {
	config Config
	bin    string
	data   string
	run    string
	lock   *os.File
	as     *syscall.Credential

	mu       sync.Mutex
	process  *os.Process
	exited   chan struct{} // of the present process
	stopping bool

	done chan struct{} // closed when the server is gone for good
	err  error
}

// ErrBusy says that another process of ours holds the data directory.
var ErrBusy = errors.New("another hookline process uses this data directory")

// Start makes the cluster if there is none, starts the server and waits until it answers.
func Start(ctx context.Context, c Config) (*Server, error) {
	bin, major, err := findPrograms(c.BinDir)
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, bin: bin, data: filepath.Join(c.Dir, "pg"+major), run: filepath.Join(c.Dir, "run"), done: make(chan struct{})}
	if n := len(s.socket()); n > maxSocketPath {
		return nil, fmt.Errorf("the data directory's path is too long for a socket by %d bytes: choose a shorter HOOKLINE_DATA_DIR than %s", n-maxSocketPath, c.Dir)
	}
	if s.as, err = serverUser(); err != nil {
		return nil, err
	}
	if err := s.prepareDirs(); err != nil {
		return nil, err
	}
	if s.lock, err = lockDir(c.Dir); err != nil {
		return nil, err
	}
	ok := false
	defer func() {
		if !ok {
			s.lock.Close()
		}
	}()
	if err := s.refuseOtherMajor(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(s.data, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		if err := s.initCluster(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.startUntilReady(ctx); err != nil {
		return nil, err
	}
	if err := s.makeRoles(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	ok = true
	go s.supervise()
	return s, nil
}

// Join gives the URLs of the server that another hookline process runs on dir, if one answers.
func Join(ctx context.Context, dir string) (ownerURL, appURL string, ok bool) {
	s := &Server{run: filepath.Join(dir, "run")}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.AppURL())
	if err != nil {
		return "", "", false
	}
	conn.Close(ctx)
	return s.OwnerURL(), s.AppURL(), true
}

// OwnerURL is for migrations: its login owns the schema.
func (s *Server) OwnerURL() string { return s.url(owner, dbname) }

// AppURL is for the program: its login owns nothing.
func (s *Server) AppURL() string { return s.url(app, dbname) }

// SuperURL is for tests that make databases.
func (s *Server) SuperURL() string { return s.url(superuser, "postgres") }

func (s *Server) url(login, database string) string {
	return "postgres://" + login + "@/" + database + "?host=" + s.run + "&port=" + port + "&sslmode=disable"
}

func (s *Server) socket() string { return filepath.Join(s.run, ".s.PGSQL."+port) }

// Done is closed when the server is gone for good: stopped, or dead three times over. Err then says why.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is nil after Stop, and otherwise says why the server is gone. Read it after Done.
func (s *Server) Err() error { return s.err }

// Stop ends the server: quickly and cleanly, and after 20 s by force.
func (s *Server) Stop() {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return
	}
	s.stopping = true
	process, exited := s.process, s.exited
	s.mu.Unlock()
	if process != nil {
		_ = process.Signal(syscall.SIGINT) // fast shutdown
		select {
		case <-exited:
		case <-time.After(20 * time.Second):
			_ = process.Signal(syscall.SIGQUIT)
			<-exited
		}
	}
	s.lock.Close()
}

// supervise restarts the server when it dies, and gives up after three deaths within a minute.
func (s *Server) supervise() {
	defer close(s.done)
	var deaths []time.Time
	for {
		s.mu.Lock()
		exited := s.exited
		s.mu.Unlock()
		<-exited
		s.mu.Lock()
		stopping := s.stopping
		s.mu.Unlock()
		if stopping {
			return
		}
		now := time.Now()
		for len(deaths) > 0 && now.Sub(deaths[0]) > time.Minute {
			deaths = deaths[1:]
		}
		deaths = append(deaths, now)
		if len(deaths) >= 3 {
			s.err = errors.New("PostgreSQL died three times within a minute; see the lines above and " + filepath.Join(s.data, "server.log"))
			return
		}
		s.config.Log.Error("the embedded PostgreSQL died; starting it again", "death", len(deaths))
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err := s.startUntilReady(ctx)
		cancel()
		if err != nil {
			s.err = fmt.Errorf("starting PostgreSQL again: %w", err)
			return
		}
		s.config.Log.Info("the embedded PostgreSQL is back")
	}
}

// startUntilReady starts the server and waits until it answers. A server that exits at once is tried again for 15 s:
// after a kill -9 its children may hold the shared memory a moment longer.
func (s *Server) startUntilReady(ctx context.Context) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		if err := s.clearStale(); err != nil {
			return err
		}
		if err := s.spawn(); err != nil {
			return err
		}
		err := s.waitReady(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) || !errors.Is(err, errExited) {
			return fmt.Errorf("starting PostgreSQL: %w; its log is %s", err, filepath.Join(s.data, "server.log"))
		}
		time.Sleep(200 * time.Millisecond)
	}
}

var errExited = errors.New("the server ended while starting")

func (s *Server) waitReady(ctx context.Context) error {
	pause := 5 * time.Millisecond
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		conn, err := pgx.Connect(try, s.SuperURL())
		cancel()
		if err == nil {
			return conn.Close(context.WithoutCancel(ctx))
		}
		select {
		case <-s.exited:
			return errExited
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 200*time.Millisecond)
		}
	}
}

// spawn starts the server. The goroutine that forks keeps its thread until the child is gone, because the signal
// that ends the child with its parent follows the thread that forked it.
func (s *Server) spawn() error {
	logFile, err := os.OpenFile(filepath.Join(s.data, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening PostgreSQL's log: %w", err)
	}
	args := []string{"-D", s.data, "-k", s.run, "-p", port, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700",
		"-c", "log_min_error_statement=panic", "-c", "log_parameter_max_length_on_error=0"}
	if s.as != nil {
		// The program reaches the socket as root whatever its mode.
		_ = logFile.Chown(int(s.as.Uid), int(s.as.Gid))
	}
	for _, p := range s.config.Params {
		args = append(args, "-c", p)
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = "/", logFile, logFile, cleanEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT, Credential: s.as}

	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer logFile.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	s.mu.Lock()
	s.process, s.exited = cmd.Process, exited
	s.mu.Unlock()
	return nil
}

// clearStale removes the lock files of a server that is gone. PostgreSQL itself only asks whether some process has
// the number that it finds there, and believes a zombie or a stranger. We hold the directory's lock, so no server of
// ours can be running but one that outlives its killed parent for a moment: that one is ended.
func (s *Server) clearStale() error {
	pidFile := filepath.Join(s.data, "postmaster.pid")
	text, err := os.ReadFile(pidFile)
	if err == nil {
		first, _, _ := strings.Cut(string(text), "\n")
		if pid, err := strconv.Atoi(strings.TrimSpace(first)); err == nil && s.isOurServer(pid) {
			_ = syscall.Kill(pid, syscall.SIGINT)
			for deadline := time.Now().Add(10 * time.Second); s.isOurServer(pid); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					return fmt.Errorf("an earlier PostgreSQL (process %d) still uses %s and does not end", pid, s.data)
				}
			}
		}
	}
	for _, stale := range []string{pidFile, s.socket(), s.socket() + ".lock"} {
		if err := os.Remove(stale); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing a stale lock file: %w", err)
		}
	}
	return nil
}

func (s *Server) isOurServer(pid int) bool {
	proc := "/proc/" + strconv.Itoa(pid)
	comm, err := os.ReadFile(proc + "/comm")
	if err != nil || strings.TrimSpace(string(comm)) != "postgres" {
		return false
	}
	if stat, err := os.ReadFile(proc + "/stat"); err == nil {
		if _, rest, ok := strings.Cut(string(stat), ") "); ok && strings.HasPrefix(rest, "Z") {
			return false
		}
	}
	cwd, err := os.Readlink(proc + "/cwd")
	return err == nil && cwd == s.data
}

func (s *Server) prepareDirs() error {
	if err := os.MkdirAll(s.config.Dir, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if err := os.MkdirAll(s.run, 0o700); err != nil {
		return fmt.Errorf("making the socket's directory: %w", err)
	}
	if s.as == nil {
		return nil
	}
	// The server's user must pass through the data directory and own what is below; the key file stays root's.
	if err := os.Chmod(s.config.Dir, 0o711); err != nil {
		return fmt.Errorf("opening the data directory to the database's user: %w", err)
	}
	if err := os.Chown(s.run, int(s.as.Uid), int(s.as.Gid)); err != nil {
		return fmt.Errorf("handing the socket's directory to the database's user: %w", err)
	}
	probe := exec.Command("/bin/sh", "-c", `cd "$0"`, s.run)
	probe.Dir, probe.Env = "/", cleanEnv()
	probe.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if err := probe.Run(); err != nil {
		return fmt.Errorf("the database's user cannot enter %s: a folder above it is closed to others. Set HOOKLINE_DATA_DIR to a folder that everyone may pass through, such as /var/lib/hookline", s.config.Dir)
	}
	return nil
}

func (s *Server) initCluster(ctx context.Context) error {
	fresh := s.data + ".init"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("clearing a half-made cluster: %w", err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("making the cluster's folder: %w", err)
	}
	if s.as != nil {
		if err := os.Chown(fresh, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return fmt.Errorf("handing the cluster's folder to the database's user: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", fresh, "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions")
	cmd.Dir, cmd.Env = "/", cleanEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(fresh, s.data); err != nil {
		return fmt.Errorf("putting the new cluster in place: %w", err)
	}
	return nil
}

func (s *Server) refuseOtherMajor() error {
	if _, err := os.Stat(s.data); err == nil {
		return nil
	}
	others, _ := filepath.Glob(filepath.Join(s.config.Dir, "pg[0-9]*"))
	for _, other := range others {
		if strings.HasSuffix(other, ".init") {
			continue
		}
		old := strings.TrimPrefix(filepath.Base(other), "pg")
		return fmt.Errorf("the data is in %s, made by PostgreSQL %s, but the programs found are of another version (%s). Set HOOKLINE_PG_BIN to version %s's programs, or dump the data with them (pg_dump) and load it into a fresh data directory", other, old, s.bin, old)
	}
	return nil
}

// makeRoles makes the login roles and the database, again harmless when they exist.
func (s *Server) makeRoles(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.SuperURL())
	if err != nil {
		return fmt.Errorf("connecting to the new server: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `
		DO $$ BEGIN
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hookline_owner') THEN
				CREATE ROLE hookline_owner LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS;
			END IF;
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hookline_app') THEN
				CREATE ROLE hookline_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
			END IF;
			IF NOT pg_has_role('hookline_owner', 'hookline_app', 'MEMBER') THEN
				GRANT hookline_app TO hookline_owner;
			END IF;
		END $$`); err != nil {
		return fmt.Errorf("making the database's roles: %w", err)
	}
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'hookline')`).Scan(&exists); err != nil {
		return fmt.Errorf("looking for the database: %w", err)
	}
	if !exists {
		if _, err := conn.Exec(ctx, `CREATE DATABASE hookline OWNER hookline_owner`); err != nil {
			return fmt.Errorf("making the database: %w", err)
		}
	}
	return nil
}

// lockDir takes the data directory for this process; the kernel gives it back when the process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w (%s)", ErrBusy, dir)
	}
	return f, nil
}

// serverUser is the user that the server runs as: nil for our own, postgres or nobody when we are root.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{}}, nil
		}
	}
	return nil, errors.New("PostgreSQL will not run as root, and neither a user postgres nor nobody exists here: run hookline as an ordinary user, or set DATABASE_URL")
}

// findPrograms finds PostgreSQL's server programs and their major version.
func findPrograms(given string) (dir, major string, err error) {
	var candidates []string
	if given != "" {
		candidates = []string{given}
	} else {
		debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
		best, bestVersion := "", 0
		for _, d := range debian {
			if v, err := strconv.Atoi(filepath.Base(filepath.Dir(d))); err == nil && v > bestVersion {
				best, bestVersion = d, v
			}
		}
		candidates = append(candidates, best)
		if p, err := exec.LookPath("postgres"); err == nil {
			candidates = append(candidates, filepath.Dir(p))
		}
		candidates = append(candidates, "/usr/local/pgsql/bin", "/usr/pgsql/bin", "/opt/homebrew/bin")
	}
	for _, dir := range candidates {
		if dir == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
		if err != nil {
			continue
		}
		fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.18 (Debian …)
		if len(fields) < 3 {
			continue
		}
		major, _, _ := strings.Cut(fields[2], ".")
		if v, err := strconv.Atoi(major); err != nil || v < 15 {
			return "", "", fmt.Errorf("PostgreSQL %s in %s is too old: 15 or later is needed", fields[2], dir)
		}
		return dir, major, nil
	}
	if given != "" {
		return "", "", fmt.Errorf("HOOKLINE_PG_BIN is %s, but initdb and postgres are not there. Example: HOOKLINE_PG_BIN=/usr/lib/postgresql/15/bin", given)
	}
	return "", "", errors.New("PostgreSQL's server programs were not found. On Debian or Ubuntu: apt-get install postgresql. Elsewhere install PostgreSQL 15 or later and set HOOKLINE_PG_BIN to its bin folder, or set DATABASE_URL to a running server")
}

// cleanEnv keeps the caller's PG variables from steering the server.
func cleanEnv() []string {
	env := []string{"LC_ALL=C.UTF-8", "TZ=UTC"}
	if p := os.Getenv("PATH"); p != "" {
		env = append(env, "PATH="+p)
	}
	return env
}
