package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// program is the environment variable that makes this test binary a program that keeps a server in that directory.
const program = "HOOKLINE_EMBEDDED_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(program); dir != "" {
		keep(dir)
		return
	}
	os.Exit(m.Run())
}

func keep(dir string) {
	s, err := Start(context.Background(), Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Volatile: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	<-term
	s.Stop()
}

// runProgram starts a program of its own that keeps a server in dir, and waits until that answers.
func runProgram(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), program+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the program says %q", line)
	}
	return cmd
}

// folder is a data directory that PostgreSQL's user can reach; the testing package's own are closed to it.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hookline-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

func start(t *testing.T, dir string) *Server {
	t.Helper()
	begun := time.Now()
	s, err := Start(context.Background(), Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	t.Logf("started in %v", time.Since(begun).Round(time.Millisecond))
	return s
}

// count adds a row and says how many stand there.
func count(t *testing.T, url string) (n int) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS runs (at timestamptz); INSERT INTO runs VALUES (now())`); err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM runs`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func leader(t *testing.T, dir string) int {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "pg*", "postmaster.pid"))
	if len(files) != 1 {
		t.Fatalf("pid files: %v", files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%s after %v", what, time.Since(begun).Round(time.Millisecond))
}

func answers(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false
	}
	return conn.Close(ctx) == nil
}

func TestASecondStartKeepsTheData(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for want := 1; want <= 3; want++ {
		s := start(t, dir)
		if n := count(t, s.OwnerURL()); n != want {
			t.Fatalf("run %d finds %d rows", want, n)
		}
		s.Stop()
		<-s.Done()
		if s.Err() != nil {
			t.Error(s.Err())
		}
		if pids := s.processes(); len(pids) > 0 {
			t.Errorf("left running: %v", pids)
		}
	}
}

func TestTheProgramsLoginOwnsNothingAndTheServerHasNoPort(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, err := Start(ctx, Config{Dir: folder(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	conn, err := pgx.Connect(ctx, s.AppURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var addresses, flush string
	var power, owns bool
	if err := conn.QueryRow(ctx, `
		SELECT current_setting('listen_addresses'), current_setting('fsync'),
		       (SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user),
		       EXISTS (SELECT FROM pg_database WHERE pg_get_userbyid(datdba) = current_user)`).Scan(&addresses, &flush, &power, &owns); err != nil {
		t.Fatal(err)
	}
	if addresses != "" || flush != "on" || power || owns {
		t.Errorf("listens on %q, fsync %s, power %v, owns %v", addresses, flush, power, owns)
	}
	if _, err := conn.Exec(ctx, `CREATE TABLE mine (x int)`); err == nil {
		t.Error("the program's login made a table")
	}
	for _, path := range []string{s.run, s.data} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s is open to others: %v %v", path, info.Mode(), err)
		}
	}
}

func TestTheLogHoldsNoRowsAndNoStatements(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), start(t, folder(t))
	conn, err := pgx.Connect(ctx, s.OwnerURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	_, _ = conn.Exec(ctx, `CREATE TABLE numbers (n text PRIMARY KEY)`)
	for range 2 {
		_, _ = conn.Exec(ctx, `INSERT INTO numbers VALUES ($1)`, "+14155550123")
		_, _ = conn.Exec(ctx, `INSERT INTO numbers VALUES ('+14155550123')`)
	}
	text, err := os.ReadFile(s.logPath())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "duplicate key") || strings.Contains(string(text), "4155550123") {
		t.Errorf("the log says:\n%s", text)
	}
}

func TestASecondProgramIsRefusedAndMayAttach(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), folder(t)
	if _, ok := Join(ctx, dir); ok {
		t.Error("joined nothing")
	}
	first := start(t, dir)
	if _, err := Start(ctx, Config{Dir: dir}); !errors.Is(err, ErrBusy) {
		t.Errorf("a second start says %v", err)
	}
	joined, err := Attach(ctx, Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	count(t, joined.OwnerURL())
	joined.Stop()
	if n := count(t, first.OwnerURL()); n != 2 {
		t.Errorf("%d rows after the guest left", n)
	}
	first.Stop()
	alone, err := Attach(ctx, Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Stop()
	if n := count(t, alone.OwnerURL()); n != 3 {
		t.Errorf("%d rows after a start of its own", n)
	}
}

// told hands on the messages of a log.
type told chan string

func (told) Enabled(context.Context, slog.Level) bool { return true }
func (c told) Handle(_ context.Context, r slog.Record) error {
	c <- r.Message
	return nil
}
func (c told) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c told) WithGroup(string) slog.Handler      { return c }

func TestADeadServerIsStartedAgainAndTheThirdDeathIsTheLast(t *testing.T) {
	t.Parallel()
	dir, messages := folder(t), make(told, 10)
	s, err := Start(context.Background(), Config{Dir: dir, Log: slog.New(messages), Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	for death := 1; death <= 2; death++ {
		want := count(t, s.OwnerURL()) + 1
		begun := time.Now()
		if err := syscall.Kill(leader(t, dir), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for message := ""; !strings.Contains(message, "is back"); {
			select {
			case message = <-messages:
			case <-time.After(20 * time.Second):
				t.Fatalf("not back 20 s after death %d", death)
			}
		}
		t.Logf("back %v after its death", time.Since(begun).Round(time.Millisecond))
		if n := count(t, s.OwnerURL()); n != want {
			t.Fatalf("%d rows after death %d, want %d", n, death, want)
		}
	}
	if err := syscall.Kill(leader(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
		if s.Err() == nil || !strings.Contains(s.Err().Error(), "three times") {
			t.Errorf("it ended with %v", s.Err())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a server that dies three times is started for ever")
	}
}

func TestAKilledProgramTakesItsServerAlong(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	program := runProgram(t, dir)
	s, ok := Join(context.Background(), dir)
	if !ok {
		t.Fatal("nothing to join")
	}
	count(t, s.OwnerURL())
	old := leader(t, dir)
	_ = program.Process.Kill()
	eventually(t, "the server is gone", func() bool { return syscall.Kill(old, 0) == syscall.ESRCH })
	if n := count(t, start(t, dir).OwnerURL()); n != 2 {
		t.Errorf("%d rows", n)
	}
}

func TestAProgramStartsWhileTheKilledOnesServerIsStillEnding(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	program := runProgram(t, dir)
	s, _ := Join(context.Background(), dir)
	count(t, s.OwnerURL())
	_ = program.Process.Kill()
	_ = program.Wait()
	if n := count(t, start(t, dir).OwnerURL()); n != 2 {
		t.Errorf("%d rows", n)
	}
}

func TestProgramAndServerKilledAtOnceComeBackThoughABackendWasBusy(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), folder(t)
	program := runProgram(t, dir)
	s, _ := Join(ctx, dir)
	want := count(t, s.OwnerURL()) + 1
	busy, err := pgx.Connect(ctx, s.OwnerURL())
	if err != nil {
		t.Fatal(err)
	}
	var backend int
	if err := busy.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		t.Fatal(err)
	}
	go func() { // it looks at nothing but its own work, so it does not notice that the server is gone
		_, _ = busy.Exec(context.Background(), `SELECT count(*) FROM generate_series(1, 100000000000)`)
	}()
	eventually(t, "the backend is at work", func() bool {
		conn, err := pgx.Connect(ctx, s.OwnerURL())
		if err != nil {
			return false
		}
		defer conn.Close(ctx)
		var active bool
		return conn.QueryRow(ctx, `SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1`, backend).Scan(&active) == nil && active
	})
	_ = syscall.Kill(leader(t, dir), syscall.SIGKILL)
	_ = program.Process.Kill()
	_ = program.Wait()
	again := start(t, dir)
	if n := count(t, again.OwnerURL()); n != want {
		t.Errorf("%d rows, want %d", n, want)
	}
	if cwd, err := os.Readlink("/proc/" + strconv.Itoa(backend) + "/cwd"); err == nil && cwd == again.data {
		t.Error("the old server's backend still runs beside the new server")
	}
}

func TestAStaleLockFileThatNamesAStrangerIsCleared(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, dir)
	s.Stop()
	stranger := strconv.Itoa(os.Getpid())
	for _, path := range []string{filepath.Join(s.data, "postmaster.pid"), s.socket() + ".lock"} {
		text := stranger + "\n" + s.data + "\n1\n5432\n" + s.run + "\n\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, dir)
}

func TestAHalfMadeClusterIsMadeAgain(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	found, err := findPrograms("")
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "pg"+strconv.Itoa(found[0].major)+".init")
	if err := os.MkdirAll(filepath.Join(half, "base"), 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Error("the half-made cluster is still there")
	}
}

func TestWhatCannotWorkIsRefusedInWords(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, c Config, words ...string) {
		t.Helper()
		_, err := Start(context.Background(), c)
		if err == nil {
			t.Fatal("started")
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not in: %v", w, err)
			}
		}
	}
	t.Run("data of another major version", func(t *testing.T) {
		dir := folder(t)
		if err := os.MkdirAll(filepath.Join(dir, "pg14"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "pg14", "PG_VERSION"), []byte("14\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, Config{Dir: dir}, "PostgreSQL 14", "pg_dump")
		if entries, _ := filepath.Glob(filepath.Join(dir, "pg*")); len(entries) != 1 {
			t.Errorf("something was made all the same: %v", entries)
		}
	})
	t.Run("a path too long for a socket", func(t *testing.T) {
		refused(t, Config{Dir: filepath.Join(folder(t), strings.Repeat("long", 30))}, "too long", "HOOKLINE_DATA_DIR")
	})
	t.Run("programs that are not there", func(t *testing.T) {
		refused(t, Config{Dir: folder(t), BinDir: "/nowhere"}, "HOOKLINE_PG_BIN", "/nowhere")
	})
}

func TestAsRootTheDataMayLieUnderAFolderThatTheServersUserCannotEnter(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as another user")
	}
	dir := folder(t)
	if err := os.Chmod(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	for want := 1; want <= 2; want++ {
		s := start(t, dir)
		if !s.closed {
			t.Fatal("the folder is open to the server's user: this test tests nothing")
		}
		if n := count(t, s.OwnerURL()); n != want {
			t.Errorf("%d rows, want %d", n, want)
		}
		_ = syscall.Kill(leader(t, dir), syscall.SIGKILL)
		eventually(t, "another server answers", func() bool { return answers(s.OwnerURL()) })
		s.Stop()
	}
}
