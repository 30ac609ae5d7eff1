//go:build unix

package outboxtest

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/sambatech/chassis/task/outbox"
)

// The sleeps of this module are real time: the databases are processes of their own.

// server is a database server of the tests' own, on loopback.
type server struct {
	dialect outbox.Dialect
	dir     string
	port    int
	as      *syscall.SysProcAttr // not root
	cmd     *exec.Cmd
	program []string // and its arguments, for another start
	env     []string // beside that of this process
	absent  string   // why it is not there
}

var servers struct {
	once [4]sync.Once
	all  [4]*server
	n    atomic.Int64
}

// serverOf starts the server of a dialect at its first call.
func serverOf(d outbox.Dialect) *server {
	servers.once[d].Do(func() {
		s := &server{dialect: d}
		servers.all[d] = s
		start := s.postgres
		if d == outbox.MySQL {
			start = s.mariadb
		}
		if err := start(); err != nil {
			s.absent = err.Error()
		}
	})
	return servers.all[d]
}

func stopServers() {
	for _, s := range servers.all {
		if s != nil && s.cmd != nil {
			s.end(syscall.SIGQUIT)
		}
		if s != nil && s.dir != "" {
			_ = os.RemoveAll(s.dir)
		}
	}
}

// end ends the server: by SIGQUIT PostgreSQL stops at once, by SIGKILL both do.
func (s *server) end(sig syscall.Signal) {
	if s.dialect == outbox.MySQL && sig == syscall.SIGQUIT {
		sig = syscall.SIGKILL
	}
	_ = s.cmd.Process.Signal(sig)
	_ = s.cmd.Wait()
	s.cmd = nil
}

// prepare makes the folder, for a user that is not root.
func (s *server) prepare(name string) error {
	dir, err := os.MkdirTemp("", "outbox-"+name+"-")
	if err != nil {
		return err
	}
	s.dir = dir
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("it does not run as root, and there is no user %s: %w", name, err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return os.Chown(s.dir, uid, gid)
}

func (s *server) run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *server) postgres() error {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return errors.New("PostgreSQL is not installed under /usr/lib/postgresql (Debian: postgresql)")
	}
	if err := s.prepare("postgres"); err != nil {
		return err
	}
	bin := filepath.Dir(found[len(found)-1])
	if out, err := s.run(filepath.Join(bin, "initdb"), "-D", s.dir+"/data", "-U", "postgres", "-A", "trust", "-N"); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s.start(filepath.Join(bin, "postgres"), "-D", s.dir+"/data", "-p", strconv.Itoa(s.port), "-k", s.dir,
		"-h", "127.0.0.1", "-c", "max_connections=300", "-c", "fsync=off")
}

func (s *server) mariadb() error {
	bin := "/usr/sbin/mariadbd"
	if _, err := os.Stat(bin); err != nil {
		return errors.New("MariaDB is not installed as " + bin + " (Debian: mariadb-server)")
	}
	if err := s.prepare("mysql"); err != nil {
		return err
	}
	if out, err := s.run("mariadb-install-db", "--no-defaults", "--datadir="+s.dir+"/data",
		"--auth-root-authentication-method=normal", "--skip-test-db"); err != nil {
		return fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
	}
	return s.start(bin, "--no-defaults", "--datadir="+s.dir+"/data", "--port="+strconv.Itoa(s.port),
		"--bind-address=127.0.0.1", "--socket="+s.dir+"/socket", "--pid-file="+s.dir+"/pid", "--max-connections=300",
		"--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=128M", "--skip-grant-tables", "--skip-networking=0")
}

// start starts the server, and waits until it answers.
func (s *server) start(name string, args ...string) error {
	s.program = append([]string{name}, args...)
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.Command(name, args...)
	s.cmd.Dir, s.cmd.SysProcAttr, s.cmd.Stderr, s.cmd.Stdout = s.dir, s.as, log, log
	s.cmd.Env = append(os.Environ(), s.env...)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	driver, dsn := s.dsn("")
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(50 * time.Millisecond) {
		if err = db.Ping(); err == nil {
			return nil
		}
	}
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("it does not answer: %w\n%s", err, text)
}

func (s *server) dsn(database string) (driver, dsn string) {
	if s.dialect == outbox.MySQL {
		return "mysql", fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s", s.port, database)
	}
	if database == "" {
		database = "postgres"
	}
	return "pgx", fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// database is one database of a test's own.
type database struct {
	*sql.DB
	dialect     outbox.Dialect
	driver, dsn string
	server      *server // nil: SQLite
}

// newDatabase makes one, or skips the test.
func newDatabase(t testing.TB, d outbox.Dialect) *database {
	t.Helper()
	db := &database{dialect: d, driver: "sqlite"}
	if d == outbox.SQLite {
		db.dsn = "file:" + filepath.Join(t.TempDir(), "db") +
			"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)&_pragma=synchronous(NORMAL)&_txlock=immediate"
	} else {
		db.server = serverOf(d)
		if db.server.absent != "" {
			t.Skipf("the tests with %v are left out: %s", d, db.server.absent)
		}
		db.create(t)
	}
	db.DB = db.open(t)
	return db
}

// create makes the database on its server.
func (db *database) create(t testing.TB) {
	t.Helper()
	name := fmt.Sprintf("t%d", servers.n.Add(1))
	driver, dsn := db.server.dsn("")
	admin, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	db.driver, db.dsn = db.server.dsn(name)
}

// ownServer returns a database on a server of the test's own, with env in the environment
// of that, or skips the test.
func ownServer(t *testing.T, d outbox.Dialect, env ...string) *database {
	t.Helper()
	s := &server{dialect: d, env: env}
	start := s.postgres
	if d == outbox.MySQL {
		start = s.mariadb
	}
	t.Cleanup(func() {
		if s.cmd != nil {
			s.end(syscall.SIGQUIT)
		}
		_ = os.RemoveAll(s.dir)
	})
	if err := start(); err != nil {
		t.Skipf("the test with %v is left out: %v", d, err)
	}
	db := &database{dialect: d, server: s}
	db.create(t)
	db.DB = db.open(t)
	return db
}

// open opens a pool of its own.
func (db *database) open(t testing.TB, params ...string) *sql.DB {
	t.Helper()
	dsn := db.dsn
	for _, p := range params {
		if strings.Contains(dsn, "?") {
			dsn += "&" + p
		} else {
			dsn += "?" + p
		}
	}
	pool, err := sql.Open(db.driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(20)
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// box returns the outbox of the database, with its tables.
func (db *database) box(t testing.TB, opts ...outbox.Option) *outbox.Box {
	t.Helper()
	b, err := outbox.New(db.DB, db.dialect, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// exec runs a statement; ? becomes the placeholder of the dialect.
func (db *database) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(bind(db.dialect, query), args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// count returns the number that a query selects.
func (db *database) count(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRow(bind(db.dialect, query), args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// bind writes a query with the placeholders of a dialect.
func bind(d outbox.Dialect, query string) string {
	if d != outbox.PostgreSQL {
		return query
	}
	var b strings.Builder
	n := 0
	for _, c := range query {
		if c == '?' {
			n++
			fmt.Fprintf(&b, "$%d", n)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// each runs a test with each database.
func each(t *testing.T, f func(t *testing.T, db *database)) {
	for _, d := range []outbox.Dialect{outbox.SQLite, outbox.PostgreSQL, outbox.MySQL} {
		t.Run(d.String(), func(t *testing.T) { f(t, newDatabase(t, d)) })
	}
}
