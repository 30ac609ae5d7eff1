//go:build unix

package outboxtest

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// pooler starts PgBouncer in transaction mode in front of a database, and returns the DSN
// through it.
func pooler(t *testing.T, db *database) string {
	t.Helper()
	program, err := exec.LookPath("/usr/sbin/pgbouncer")
	if err != nil {
		t.Skip("PgBouncer is not installed as /usr/sbin/pgbouncer (Debian: pgbouncer)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	name := db.dsn[strings.LastIndex(db.dsn, "/")+1 : strings.Index(db.dsn, "?")]
	dir := filepath.Join(db.server.dir, "pooler-"+name)
	set := fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%d user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"+
		"listen_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\n"+
		"max_client_conn = 100\nlogfile = %s/log\n", db.server.port, port, dir)
	if err := os.MkdirAll(dir, 0o777); err == nil {
		err = os.WriteFile(dir+"/ini", []byte(set), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if as := db.server.as; as != nil {
		_ = os.Chown(dir, int(as.Credential.Uid), int(as.Credential.Gid))
	}
	cmd := exec.Command(program, "-q", dir+"/ini")
	cmd.Dir, cmd.SysProcAttr = dir, db.server.as
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	})
	dsn := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", port, name)
	through, err := sql.Open("pgx", dsn+"&default_query_exec_mode=exec")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = through.Close() }()
	within(t, 20*time.Second, "PgBouncer answers", func() bool { return through.Ping() == nil })
	return dsn
}

// All but LISTEN works through PgBouncer in transaction mode, where the next statement may
// be on another connection of the server: the migration under its lock, sends that are rolled
// back, keys, notes, steps, an order key, and two relays.
func TestPgBouncerInTransactionMode(t *testing.T) {
	for _, mode := range []string{"exec", "simple_protocol", "cache_describe"} {
		t.Run(mode, func(t *testing.T) {
			direct := newDatabase(t, outbox.PostgreSQL)
			db := &database{dialect: outbox.PostgreSQL, driver: "pgx", server: direct.server,
				dsn: pooler(t, direct) + "&default_query_exec_mode=" + mode}
			db.DB = db.open(t)
			box := db.box(t)
			if err := box.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			db.exec(t, "CREATE TABLE effects (id TEXT)")
			s := newService(t, queueServer(t), func(set *chassis.Settings) {
				set.Tasks.Pools = map[string]chassis.PoolSettings{"ledger.fifo": {}}
			})
			chassis.Handle(s.System, work, func(ctx context.Context, job task.Job[int]) error {
				n, err := outbox.Step(ctx, box, "count", func(ctx context.Context, tx *sql.Tx) (n int, err error) {
					return n, tx.QueryRowContext(ctx, "SELECT count(*) FROM effects").Scan(&n)
				})
				if err != nil || n < 0 {
					return err
				}
				return box.Once(ctx, job.Info, func(tx *sql.Tx) error {
					_, err := tx.ExecContext(ctx, "INSERT INTO effects VALUES ($1)", job.ExecID)
					return err
				})
			})
			for i := range 2 {
				s.Add(fmt.Sprint("outbox ", i), box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond, Batch: 7}))
			}
			s.start(t)
			want := 0
			for i := range 20 {
				opts := []task.Option{task.UniqueUntilDone(fmt.Sprint("k", i), time.Hour)}
				if i%2 == 0 {
					opts = []task.Option{task.Pool("ledger.fifo"), task.Group("g")}
				}
				send(t, box, db.DB, []int{i, i}[:1+(i+1)%2], opts...)
				want += 1 + (i+1)%2
				if _, err := sendOne(t, box, db.DB, true, task.Unique(fmt.Sprint("back ", i/2), time.Hour)); err != nil {
					t.Errorf("a key that was rolled back is taken: %v", err)
				}
			}
			within(t, 30*time.Second, "all have their effect", func() bool {
				return db.count(t, "SELECT count(*) FROM effects") >= want && db.count(t, "SELECT count(*) FROM chassis_outbox") == 0
			})
			if n := db.count(t, "SELECT count(DISTINCT id) FROM effects"); n != want {
				t.Errorf("%d effects of %d tasks", n, want)
			}
		})
	}
}

// A server that is killed in the middle of passes, twice, and is back: each task runs, and has
// its effect once.
func TestTheServerIsKilledInTheMiddleOfAPass(t *testing.T) {
	for _, d := range []outbox.Dialect{outbox.PostgreSQL, outbox.MySQL} {
		t.Run(d.String(), func(t *testing.T) {
			db := ownServer(t, d)
			box := db.box(t)
			db.exec(t, "CREATE TABLE effects (id VARCHAR(40))")
			s := newService(t, queueServer(t), func(set *chassis.Settings) { set.Log.Level = "critical" })
			chassis.Handle(s.System, task.Define[int]("work", task.MaxFailures(1000), task.Wait(50*time.Millisecond, task.None)),
				func(ctx context.Context, job task.Job[int]) error {
					return box.Once(ctx, job.Info, func(tx *sql.Tx) error {
						_, err := tx.ExecContext(ctx, bind(d, "INSERT INTO effects VALUES (?)"), job.ExecID)
						return err
					})
				})
			relay := box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond, Batch: 3})
			s.Add("outbox", relay)
			s.start(t)
			want := 0
			for round := range 2 {
				ids := send(t, box, db.DB, make([]int, 60))
				want += len(ids)
				within(t, 20*time.Second, "some rows are sent", func() bool { return relay.Stats().Sent > int64(want-50) })
				db.server.end(syscall.SIGKILL)
				time.Sleep(300 * time.Millisecond) // it is away, in real time
				_ = os.Remove(db.server.dir + "/data/postmaster.pid")
				if err := db.server.start(db.server.program[0], db.server.program[1:]...); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				within(t, 60*time.Second, "all have their effect", func() bool {
					var n, left int
					err := db.QueryRow("SELECT (SELECT count(DISTINCT id) FROM effects), (SELECT count(*) FROM chassis_outbox)").
						Scan(&n, &left)
					return err == nil && n == want && left == 0
				})
			}
			if n := db.count(t, "SELECT count(*) FROM effects"); n != want {
				t.Errorf("%d effects of %d tasks", n, want)
			}
			if n := db.count(t, "SELECT count(*) FROM chassis_outbox_aside"); n != 0 {
				t.Errorf("%d rows were set aside", n)
			}
		})
	}
}

// The clock of the database is two hours ahead of this process, or behind: rows, windows, ages
// and the retention of notes are by the database's clock alone.
func TestTheClockOfTheDatabaseDiffers(t *testing.T) {
	lib, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if len(lib) == 0 {
		t.Skip("libfaketime is not installed (Debian: faketime)")
	}
	for _, skew := range []string{"+7200", "-7200"} {
		t.Run(skew, func(t *testing.T) {
			db := ownServer(t, outbox.PostgreSQL, "LD_PRELOAD="+lib[0], "FAKETIME="+skew, "FAKETIME_DONT_FAKE_MONOTONIC=1")
			var ahead float64
			if err := db.QueryRow("SELECT extract(epoch FROM clock_timestamp())::float8 - $1", time.Now().Unix()).
				Scan(&ahead); err != nil || math.Abs(ahead) < 7000 {
				t.Skipf("its clock is %.0f s ahead, error %v", ahead, err)
			}
			box := db.box(t)
			s := newService(t, queueServer(t), func(set *chassis.Settings) { set.Log.Level = "critical" })
			s.handle()
			relay := box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond, Retention: time.Hour, SweepEvery: time.Second})
			s.Add("outbox", relay)
			if _, err := sendOne(t, box, db.DB, false, task.Unique("k", 30*time.Minute)); err != nil {
				t.Fatal(err)
			}
			if d, err := box.Depth(t.Context()); err != nil || d.Oldest < 0 || d.Oldest > time.Minute {
				t.Errorf("the age of a new row is %v, error %v", d.Oldest, err)
			}
			if err := box.Check(5 * time.Minute)(t.Context()); err != nil {
				t.Errorf("a new row is too old: %v", err)
			}
			if err := box.Once(t.Context(), &task.Info{Task: "work", ExecID: "kept"}, func(*sql.Tx) error { return nil }); err != nil {
				t.Fatal(err)
			}
			s.start(t)
			within(t, 20*time.Second, "the row is sent, and swept for", func() bool { return len(s.ran()) == 1 && relay.Stats().Passes > 100 })
			if _, err := sendOne(t, box, db.DB, false, task.Unique("k", 30*time.Minute)); err == nil {
				t.Error("the window of a key was over at once")
			}
			if n := db.count(t, "SELECT count(*) FROM chassis_outbox_done WHERE exec_id = 'kept'"); n != 1 {
				t.Error("a new note was swept")
			}
		})
	}
}

// Rows that others have written into the table, or changed: each is sent or set aside, and
// none holds up the next one.
func TestGarbageRows(t *testing.T) {
	long := strings.Repeat("x", 2<<20)
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		s := newService(t, queueServer(t), func(set *chassis.Settings) { set.Log.Level = "critical" })
		s.handle()
		relay := box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond, MaxTries: 2})
		s.Add("outbox", relay)
		garbage := []string{"", "null", "[]", "7", "{", `{"body": 5}`, `{"body": ""}`, `{"body": null, "attributes": null}`,
			`{"body": "\u0000"}`, `{"body": "\ud800", "attributes": {}}`, `{"body": "1", "delay": -5}`, `{"body": "1", "delay": 1e9}`,
			`{"body": "1", "attributes": {"a b": {"text": "x"}}}`, `{"body": "1", "attributes": {"": {"text": "x"}}}`,
			`{"body": "1", "attributes": {"x": {}}}`, `{"body": "1", "attributes": {"x": {"type": "Nothing", "text": "x"}}}`,
			`{"body": "1", "attributes": {"AWS.x": {"text": "x"}}}`, `{"body": "1", "group": "a b"}`, `{"body": "1", "room": -9}`,
			`{"body": "1", "attributes": {"x": {"type": "Binary", "binary": "%"}}}`, `{"body": "` + long + `"}`,
			`{"body": "1", "trace": "` + long[:5000] + `"}`, strings.Repeat("[", 100_000)}
		ids := send(t, box, db.DB, make([]int, len(garbage)))
		for i, text := range garbage {
			db.exec(t, "UPDATE chassis_outbox SET message = ? WHERE exec_id = ?", text, ids[i])
		}
		pools := []string{"a\nb", "\n", "http://", "http://127.0.0.1:1/", "ftp://x/y", strings.Repeat("p", 200), "ü", "x.fifo.fifo"}
		for i, pool := range send(t, box, db.DB, make([]int, len(pools))) {
			db.exec(t, "UPDATE chassis_outbox SET pool = ? WHERE exec_id = ?", pools[i], pool)
		}
		keyed := send(t, box, db.DB, []int{1, 2})
		db.exec(t, "UPDATE chassis_outbox SET order_key = 'k', message = '{' WHERE exec_id = ?", keyed[0])
		db.exec(t, "UPDATE chassis_outbox SET order_key = 'k' WHERE exec_id = ?", keyed[1])
		good := send(t, box, db.DB, []int{42})
		s.start(t)
		within(t, 20*time.Second, "the good row ran, and the one behind garbage of its key", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.runs[good[0]]) > 0 && len(s.runs[keyed[1]]) > 0
		})
		within(t, 20*time.Second, "the others are set aside", func() bool {
			return db.count(t, "SELECT count(*) FROM chassis_outbox") == 0
		})
		list, err := box.Aside(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			if a.Reason == "" || len(a.Reason) > 4<<10 {
				t.Errorf("row %d is set aside for a reason of %d bytes", a.ID, len(a.Reason))
			}
		}
		t.Logf("%d rows set aside, %d ran", len(list), len(s.ran()))
	})
}
