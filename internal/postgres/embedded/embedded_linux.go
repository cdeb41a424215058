package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
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

// Server is a running PostgreSQL: one that this process keeps, or one that it joined.
type Server struct {
	config     Config
	bin        string
	data       string
	run        string
	lock       *os.File // nil when joined
	as         *syscall.Credential
	supervised bool // somebody restarts it when it dies, and closes done
	closed     bool // a folder above is closed to the server's user: see hand

	mu       sync.Mutex
	process  *os.Process
	exited   chan struct{} // of the present process
	stopping bool

	done chan struct{} // closed when the server is gone for good
	err  error
}

// Attach joins the server that another hookline process keeps in c.Dir, or starts one: what a command does that may
// run beside serve. While the other process is still starting or already stopping its server, Attach waits.
func Attach(ctx context.Context, c Config) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		s, err := Start(ctx, c)
		if !errors.Is(err, ErrBusy) {
			return s, err
		}
		if s, ok := Join(ctx, c.Dir); ok {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w, and its database does not answer", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Join gives the server that another hookline process keeps in dir, if it answers. Stop leaves such a server alone.
func Join(ctx context.Context, dir string) (*Server, bool) {
	dir, err := canonical(dir)
	if err != nil {
		return nil, false
	}
	s := &Server{run: filepath.Join(dir, "run"), done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.AppURL())
	if err != nil {
		return nil, false
	}
	_ = conn.Close(ctx)
	return s, true
}

// Look tells whether Start would find a cluster in c.Dir or make one. It changes nothing; an error says that the
// server's programs are not there.
func Look(c Config) (made bool, err error) {
	if dir, err := canonical(c.Dir); err == nil { // else there is nothing yet
		c.Dir = dir
	}
	s := &Server{config: c}
	if err := s.choosePrograms(); err != nil {
		return false, err
	}
	_, err = os.Stat(filepath.Join(s.data, "PG_VERSION"))
	return err == nil, nil
}

// Start makes the cluster if there is none, starts the server and waits until it answers. ErrBusy says that another
// process keeps a server there.
func Start(ctx context.Context, c Config) (*Server, error) {
	as, err := serverUser()
	if err != nil {
		return nil, err
	}
	mode := os.FileMode(0o700)
	if as != nil {
		mode = 0o711 // the server's user must pass through; the key file in it stays root's
	}
	if err := os.MkdirAll(c.Dir, mode); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	// The server reports its folder without symbolic links, and we compare.
	if c.Dir, err = canonical(c.Dir); err != nil {
		return nil, fmt.Errorf("finding the data directory: %w", err)
	}
	s := &Server{config: c, as: as, run: filepath.Join(c.Dir, "run"), done: make(chan struct{})}
	if n := len(s.socket()); n > maxSocketPath {
		return nil, fmt.Errorf("the data directory's path is too long for a socket by %d bytes: choose a shorter HOOKLINE_DATA_DIR than %s", n-maxSocketPath, c.Dir)
	}
	if s.lock, err = lockDir(c.Dir); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	s.supervised = true
	go s.supervise()
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	if err := s.choosePrograms(); err != nil {
		return err
	}
	if err := s.prepareRun(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.data, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		if err := s.initCluster(ctx); err != nil {
			return err
		}
	}
	if err := s.startUntilReady(ctx); err != nil {
		return err
	}
	return s.makeRoles(ctx)
}

// OwnerURL is for migrations: its login owns the schema.
func (s *Server) OwnerURL() string { return s.url(owner, dbname) }

// AppURL is for the program: its login owns nothing.
func (s *Server) AppURL() string { return s.url(app, dbname) }

// SuperURL is for tests that make databases.
func (s *Server) SuperURL() string { return s.url(superuser, "postgres") }

func (s *Server) url(login, database string) string {
	host := strings.ReplaceAll(url.QueryEscape(s.run), "+", "%20") // libpq takes no + for a space
	return "postgres://" + login + "@/" + database + "?host=" + host + "&port=" + port + "&sslmode=disable"
}

func (s *Server) socket() string { return filepath.Join(s.run, ".s.PGSQL."+port) }

// Done is closed when the server is gone for good: stopped, or dead three times over. Err then says why.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is nil after Stop, and otherwise says why the server is gone. Read it after Done.
func (s *Server) Err() error { return s.err }

// Stop ends the server: quickly and cleanly, and after 20 s by force. A server that was joined is left running.
func (s *Server) Stop() {
	if s.lock == nil {
		return
	}
	s.end()
	if s.supervised {
		<-s.done // whoever starts a server here next is not taken for what this one left behind
	}
	_ = s.lock.Close()
}

// end ends the server that runs, and lets no other be spawned.
func (s *Server) end() {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return
	}
	s.stopping = true // from here on nothing is spawned
	process, exited := s.process, s.exited
	s.mu.Unlock()
	if process != nil {
		_ = process.Signal(syscall.SIGINT) // fast shutdown
		select {
		case <-exited:
		case <-time.After(20 * time.Second):
			_ = process.Signal(syscall.SIGQUIT) // immediate: recovery at the next start
			select {
			case <-exited:
			case <-time.After(5 * time.Second):
				_ = process.Kill()
				<-exited
			}
		}
	}
}

// supervise restarts the server when it dies, and gives up at the third death within a minute.
func (s *Server) supervise() {
	defer close(s.done)
	var deaths []time.Time
	for {
		<-s.current()
		if s.isStopping() {
			return
		}
		now := time.Now()
		for len(deaths) > 0 && now.Sub(deaths[0]) > time.Minute {
			deaths = deaths[1:]
		}
		if deaths = append(deaths, now); len(deaths) >= 3 {
			s.err = errors.New("PostgreSQL died three times within a minute; its log is " + s.logPath())
			return
		}
		s.config.Log.Error("the embedded PostgreSQL died; starting it again", "death", len(deaths), "log", s.logPath())
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err := s.startUntilReady(ctx)
		cancel()
		if s.isStopping() {
			return
		}
		if err != nil {
			s.err = fmt.Errorf("starting PostgreSQL again: %w", err)
			s.end()
			_ = s.lock.Close()
			return
		}
		s.config.Log.Info("the embedded PostgreSQL is back", "after", time.Since(now).Round(time.Millisecond))
	}
}

func (s *Server) current() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exited
}

func (s *Server) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

func (s *Server) logPath() string { return filepath.Join(s.data, "server.log") }

// startUntilReady starts the server and waits until it answers. A server that exits at once is tried again for 15 s:
// after a kill -9 its children may hold the shared memory a moment longer.
func (s *Server) startUntilReady(ctx context.Context) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		if s.isStopping() {
			return errStopping
		}
		if err := s.clearStale(ctx); err != nil {
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
			return fmt.Errorf("starting PostgreSQL: %w; its log is %s", err, s.logPath())
		}
		time.Sleep(200 * time.Millisecond)
	}
}

var (
	errExited   = errors.New("the server ended while starting")
	errStopping = errors.New("the server was told to stop")
)

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
		case <-s.current():
			return errExited
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 200*time.Millisecond)
		}
	}
}

// settings of every server of ours. The log gets neither statements nor the rows that an error is about: those
// are people's names and numbers.
var settings = []string{"listen_addresses=", "unix_socket_permissions=0700", "jit=off",
	"log_min_error_statement=panic", "log_error_verbosity=terse", "log_parameter_max_length_on_error=0"}

// maxLog is the size at which the server's log is put aside at the next start; one old log is kept.
const maxLog = 16 << 20

// spawn starts the server. The goroutine that forks keeps its thread until the child is gone, because the signal
// that ends the child with its parent follows the thread that forked it.
func (s *Server) spawn() error {
	if info, err := os.Stat(s.logPath()); err == nil && info.Size() > maxLog {
		_ = os.Rename(s.logPath(), s.logPath()+".old")
	}
	logFile, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening PostgreSQL's log: %w", err)
	}
	defer logFile.Close()
	if s.as != nil {
		_ = logFile.Chown(int(s.as.Uid), int(s.as.Gid))
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-p", port)
	dir, run, folder, err := s.hand(cmd, s.data)
	if err != nil {
		return err
	}
	defer folder.Close()
	cmd.Args = append(cmd.Args, "-D", dir, "-k", run)
	params := slices.Concat(settings, s.config.Params)
	if s.config.Volatile {
		params = append(params, "fsync=off", "full_page_writes=off")
	}
	for _, p := range params {
		cmd.Args = append(cmd.Args, "-c", p)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = "/", logFile, logFile, cleanEnv()
	// A group of its own, so that a terminal's Ctrl-C reaches us first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT, Credential: s.as}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return errStopping
	}
	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
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
	s.process, s.exited = cmd.Process, exited
	return nil
}

// clearStale makes way for a new server. We hold the directory's lock, so processes of an earlier server are what a
// kill -9 left: a server that outlives its parent for a moment is ended in order; children that outlive their server
// are ended at once, for they still write to shared memory. Only when none is left may a lock file go, and PostgreSQL
// clears away its own, shared memory included, unless the process number in it belongs to a stranger by now: it asks
// no more than whether some process has that number.
func (s *Server) clearStale(ctx context.Context) error {
	pidFile := filepath.Join(s.data, "postmaster.pid")
	text, _ := os.ReadFile(pidFile)
	first, _, _ := strings.Cut(string(text), "\n")
	leader, _ := strconv.Atoi(strings.TrimSpace(first))

	told := map[int]syscall.Signal{}
	tell := func(pid int, signal syscall.Signal) {
		if told[pid] != signal {
			_ = syscall.Kill(pid, signal)
			told[pid] = signal
		}
	}
	for begun := time.Now(); ; {
		pids := s.processes()
		if len(pids) == 0 {
			break
		}
		waited := time.Since(begun)
		switch {
		case ctx.Err() != nil || waited > 20*time.Second:
			return fmt.Errorf("processes of an earlier PostgreSQL still use %s and do not end: %v", s.data, pids)
		case slices.Contains(pids, leader) && waited < 10*time.Second:
			tell(leader, syscall.SIGINT)
		default:
			for _, pid := range pids {
				tell(pid, syscall.SIGQUIT)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	stale := []string{s.socket(), s.socket() + ".lock"}
	if leader > 0 && syscall.Kill(leader, 0) != syscall.ESRCH {
		stale = append(stale, pidFile)
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing a stale lock file: %w", err)
		}
	}
	return nil
}

// processes lists the living processes of a PostgreSQL that works in our cluster's folder.
func (s *Server) processes() (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if comm, err := os.ReadFile(dir + "/comm"); err != nil || string(comm) != "postgres\n" {
			continue
		}
		if cwd, err := os.Readlink(dir + "/cwd"); err != nil || cwd != s.data { // a zombie has none
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// prepareRun makes the socket's folder, and asks for the server's user whether it can be reached at all.
func (s *Server) prepareRun() error {
	if err := os.MkdirAll(s.run, 0o700); err != nil {
		return fmt.Errorf("making the socket's directory: %w", err)
	}
	if s.as == nil {
		return nil
	}
	if err := os.Chmod(s.config.Dir, 0o711); err != nil {
		return fmt.Errorf("opening the data directory to the database's user: %w", err)
	}
	if err := os.Chown(s.run, int(s.as.Uid), int(s.as.Gid)); err != nil {
		return fmt.Errorf("handing the socket's directory to the database's user: %w", err)
	}
	probe := exec.Command("/bin/sh", "-c", `cd "$0"`, s.run)
	probe.Dir, probe.Env = "/", cleanEnv()
	probe.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	s.closed = probe.Run() != nil
	return nil
}

// hand names the cluster's folder and the socket's as cmd will reach them, and lets cmd have the former open. As
// root with the data under a private folder, root's home say, the server's user cannot walk there; but a descriptor
// that it inherits leads it in, and from the cluster the socket's folder is next door. The folder is for the caller to
// close.
func (s *Server) hand(cmd *exec.Cmd, data string) (dir, run string, folder *os.File, err error) {
	if !s.closed {
		return data, s.run, nil, nil
	}
	if folder, err = os.Open(data); err != nil {
		return "", "", nil, fmt.Errorf("opening the cluster's folder: %w", err)
	}
	cmd.ExtraFiles = []*os.File{folder} // descriptor 3
	return "/proc/self/fd/3", "../run", folder, nil
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
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions")
	dir, _, folder, err := s.hand(cmd, fresh)
	if err != nil {
		return err
	}
	defer folder.Close()
	cmd.Args = append(cmd.Args, "-D", dir)
	if s.config.Volatile {
		cmd.Args = append(cmd.Args, "--no-sync")
	}
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

// choosePrograms settles which server runs: the one whose version the cluster has, else the newest for a new
// cluster. A newer version beside an old cluster would start with an empty database, so that is refused.
func (s *Server) choosePrograms() error {
	found, err := findPrograms(s.config.BinDir)
	if err != nil {
		return err
	}
	clusters, _ := filepath.Glob(filepath.Join(s.config.Dir, "pg[0-9]*", "PG_VERSION"))
	for _, p := range found {
		data := filepath.Join(s.config.Dir, "pg"+strconv.Itoa(p.major))
		if len(clusters) == 0 || slices.Contains(clusters, filepath.Join(data, "PG_VERSION")) {
			s.bin, s.data = p.dir, data
			return nil
		}
	}
	old := filepath.Dir(clusters[len(clusters)-1])
	version := strings.TrimPrefix(filepath.Base(old), "pg")
	return fmt.Errorf("the data is in %s, made by PostgreSQL %s, but only version %d was found (%s). "+
		"Install PostgreSQL %s again, or set HOOKLINE_PG_BIN to its programs; to move to the new version, dump the data with the old one "+
		"(pg_dump -Fc), move %s away, start hookline once and load the dump (pg_restore)", old, version, found[0].major, found[0].dir, version, old)
}

// programs is a folder with PostgreSQL's server programs.
type programs struct {
	dir   string
	major int
}

// findPrograms finds PostgreSQL's server programs, the newest first.
func findPrograms(given string) (found []programs, err error) {
	candidates := []string{given}
	if given == "" {
		candidates = nil
		for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/usr/local/bin"} {
			dirs, _ := filepath.Glob(pattern)
			candidates = append(candidates, dirs...)
		}
		if p, err := exec.LookPath("postgres"); err == nil {
			candidates = append(candidates, filepath.Dir(p))
		}
	}
	tooOld := ""
	for _, dir := range candidates {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
		fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.18 (Debian …)
		if err != nil || len(fields) < 3 {
			continue
		}
		number, _, _ := strings.Cut(fields[2], ".")
		major, err := strconv.Atoi(number)
		switch {
		case err != nil:
		case major < 15:
			tooOld = fields[2] + " in " + dir
		default:
			found = append(found, programs{dir, major})
		}
	}
	slices.SortStableFunc(found, func(a, b programs) int { return b.major - a.major })
	switch {
	case len(found) > 0:
		return found, nil
	case tooOld != "":
		return nil, fmt.Errorf("PostgreSQL %s is too old: 15 or later is needed", tooOld)
	case given != "":
		return nil, fmt.Errorf("HOOKLINE_PG_BIN is %s, but initdb and postgres are not there. Example: HOOKLINE_PG_BIN=/usr/lib/postgresql/15/bin", given)
	}
	return nil, errors.New("PostgreSQL's server programs were not found. On Debian or Ubuntu: apt-get install postgresql. Elsewhere install PostgreSQL 15 or later and set HOOKLINE_PG_BIN to its bin folder, or set DATABASE_URL to a running server")
}

// canonical is dir as an absolute path without symbolic links.
func canonical(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// cleanEnv keeps the caller's PG variables from steering the server.
func cleanEnv() []string {
	env := []string{"LC_ALL=C.UTF-8", "TZ=UTC"}
	if p := os.Getenv("PATH"); p != "" {
		env = append(env, "PATH="+p)
	}
	return env
}
