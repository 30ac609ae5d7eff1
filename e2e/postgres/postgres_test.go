//go:build unix

// Package postgres holds tests of a service with a real PostgreSQL, which is stopped,
// killed and started again under it.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// database is a PostgreSQL of its own, on loopback.
type database struct {
	t        *testing.T
	bin, dir string
	port     int
	as       *syscall.SysProcAttr // PostgreSQL does not run as root
	cmd      *exec.Cmd
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		t.Skip("PostgreSQL is not installed under /usr/lib/postgresql (Debian: postgresql): its stop and start are not tested")
	}
	d := &database{t: t, bin: filepath.Dir(found[len(found)-1])}
	if d.dir, err = os.MkdirTemp("", "chassis-postgres-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(d.dir) })
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skipf("PostgreSQL does not run as root, and there is no user postgres: %v", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		d.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		if err := os.Chown(d.dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	initdb := d.command("initdb", "-D", d.dir+"/data", "-U", "postgres", "-A", "trust", "-N")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	t.Cleanup(func() { d.end(syscall.SIGQUIT) })
	return d
}

func (d *database) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(d.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = d.dir, d.as
	return cmd
}

func (d *database) start() {
	d.t.Helper()
	d.cmd = d.command("postgres", "-D", d.dir+"/data", "-p", strconv.Itoa(d.port), "-k", d.dir, "-h", "127.0.0.1", "-F")
	d.cmd.Stderr = d.t.Output()
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
}

// end ends it: SIGINT stops it in order, SIGQUIT at once, as a crash does.
func (d *database) end(sig syscall.Signal) {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Signal(sig)
	_ = d.cmd.Wait()
	d.cmd = nil
}

// service is an API with tasks that write rows.
type service struct {
	*chassis.System
	t    *testing.T
	pool *pgxpool.Pool
	work *task.Definition[int]
	sent int
}

const (
	interval = 500 * time.Millisecond
	limit    = time.Second
	// within is when a change must have been seen: an interval with its jitter, a run, and
	// the time of a busy machine.
	within = interval + interval/10 + limit + 5*time.Second
)

func newService(t *testing.T, d *database) *service {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", d.port))
	if err != nil {
		t.Fatal(err)
	}
	set := chassis.DefaultSettings()
	set.Admin.Listen, set.Tasks.Workers = "127.0.0.1:0", 4
	sys, err := chassis.New("shop", chassis.WithSettings(set), chassis.WithLogOutput(t.Output()), chassis.WithoutDefaultLogger(),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	s := &service{System: sys, t: t, pool: pool, work: task.Define[int]("work", task.MaxFailures(1))}
	sys.OnStop("postgres", func(context.Context) error { pool.Close(); return nil })
	sys.Check("postgres", pool.Ping, health.ForReadiness(), health.ForTasks(), health.Every(interval), health.Within(limit))
	chassis.Handle(sys, s.work, func(ctx context.Context, job task.Job[int]) error {
		_, err := pool.Exec(ctx, "insert into done values ($1) on conflict do nothing", job.Args)
		return err
	})
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// The sleeps of this file are real time: PostgreSQL is a process of its own.

// send sends tasks for a time, ten each 50 ms.
func (s *service) send(d time.Duration) {
	s.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) { // the pace of the load
		for range 10 {
			if _, err := chassis.Send(s.t.Context(), s.System, s.work, s.sent); err != nil {
				s.t.Fatal(err)
			}
			s.sent++
		}
	}
}

// await waits until /readyz and the pause of the tasks are so, and returns how long.
func (s *service) await(ready bool) time.Duration {
	s.t.Helper()
	begun := time.Now()
	for {
		res, err := http.Get(s.AdminURL() + "readyz?verbose")
		if err != nil {
			s.t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		paused := s.Tasks().Stats().Paused
		if (res.StatusCode == http.StatusOK) == ready && paused == !ready {
			return time.Since(begun)
		}
		if time.Since(begun) > within {
			s.t.Fatalf("after %v /readyz says %d, and the tasks are paused %v:\n%s", within, res.StatusCode, paused, text)
		}
		time.Sleep(10 * time.Millisecond) // follows a real PostgreSQL
	}
}

// While PostgreSQL is away the service is not ready, tasks wait on the queue, and none
// of them loses its only failure. It is stopped in order, killed, and away at the start.
func TestPostgreSQLGoesAndComesBack(t *testing.T) {
	d := newDatabase(t)
	s := newService(t, d)
	d.start()
	s.makeTable()
	d.end(syscall.SIGINT)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.send(500 * time.Millisecond) // it is away at the start
	s.await(false)
	d.start()
	t.Logf("ready %v after its start", s.await(true).Round(time.Millisecond))
	for name, sig := range map[string]syscall.Signal{"stopped": syscall.SIGINT, "killed": syscall.SIGQUIT} {
		s.send(500 * time.Millisecond)
		ended := make(chan struct{})
		go func() { s.sendQuietly(ended) }()
		d.end(sig)
		took := s.await(false)
		time.Sleep(2 * time.Second) // it is away for a time, which is the case
		d.start()
		back := s.await(true)
		ended <- struct{}{}
		<-ended
		t.Logf("%s: not ready after %v, ready %v after its start", name, took.Round(time.Millisecond), back.Round(time.Millisecond))
	}
	var rows int
	for begun := time.Now(); rows < s.sent && time.Since(begun) < 2*time.Minute; time.Sleep(100 * time.Millisecond) { // a real database
		if err := s.pool.QueryRow(t.Context(), "select count(*) from done").Scan(&rows); err != nil {
			t.Fatal(err)
		}
	}
	if rows != s.sent {
		t.Errorf("%d of %d tasks have written their row", rows, s.sent)
	}
	for letter, err := range s.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		t.Errorf("a dead letter: %s: %s", letter.Reason, letter.LastError)
	}
	for _, stats := range s.Tasks().Stats().Tasks {
		t.Logf("%d tasks in %d attempts", s.sent, stats.Started)
	}
}

// makeTable makes the table that tasks write to.
func (s *service) makeTable() {
	s.t.Helper()
	var err error
	for begun := time.Now(); time.Since(begun) < 30*time.Second; time.Sleep(20 * time.Millisecond) { // another process
		if _, err = s.pool.Exec(s.t.Context(), "create table done (id bigint primary key)"); err == nil {
			return
		}
	}
	s.t.Fatal(err)
}

// sendQuietly sends until ended has a value, and closes it then.
func (s *service) sendQuietly(ended chan struct{}) {
	defer close(ended)
	for {
		select {
		case <-ended:
			return
		case <-time.After(20 * time.Millisecond):
			_, err := chassis.Send(context.Background(), s.System, s.work, s.sent)
			if err != nil && !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "stopped") {
				s.t.Errorf("send: %v", err)
			}
			s.sent++
		}
	}
}
