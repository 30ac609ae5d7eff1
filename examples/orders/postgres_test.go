//go:build unix

package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis/health"
)

// postgres is a PostgreSQL of the test's own, on loopback.
type postgres struct {
	t        *testing.T
	bin, dir string
	port     string
	as       *syscall.SysProcAttr // PostgreSQL does not run as root
	cmd      *exec.Cmd
}

func newPostgres(t *testing.T) *postgres {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		t.Skip("PostgreSQL is not installed under /usr/lib/postgresql (Debian: postgresql)")
	}
	p := &postgres{t: t, bin: filepath.Dir(found[len(found)-1])}
	if p.dir, err = os.MkdirTemp("", "orders-postgres-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(p.dir) })
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skipf("PostgreSQL does not run as root, and there is no user postgres: %v", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		p.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		if err := os.Chown(p.dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	_, p.port, _ = strings.Cut(freeAddress(t), ":")
	if out, err := p.command("initdb", "-D", p.dir+"/data", "-U", "postgres", "-A", "trust", "-N").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	t.Cleanup(p.end)
	return p
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, p.as
	return cmd
}

// start starts it, and waits until it answers.
func (p *postgres) start() {
	p.t.Helper()
	p.cmd = p.command("postgres", "-D", p.dir+"/data", "-p", p.port, "-k", p.dir, "-h", "127.0.0.1", "-F")
	p.cmd.Stderr = p.t.Output()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	db, err := sql.Open("pgx", p.url())
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	for begun := time.Now(); db.PingContext(p.t.Context()) != nil; time.Sleep(20 * time.Millisecond) { // another process
		if time.Since(begun) > 30*time.Second {
			p.t.Fatal("PostgreSQL does not answer 30 s after its start")
		}
	}
}

// end ends it at once, as a crash does.
func (p *postgres) end() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

func (p *postgres) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%s/postgres?sslmode=disable", p.port)
}

// The statements are those of SQLite. Two processes bring the tables up to date at once.
// While PostgreSQL is away the API says so, and no task loses a try.
func TestOnPostgreSQL(t *testing.T) {
	p := newPostgres(t)
	p.start()
	var both sync.WaitGroup
	stores := make([]*Store, 2)
	for i := range stores {
		both.Go(func() {
			store, err := openStore(t.Context(), p.url())
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = store
			t.Cleanup(func() { store.db.Close() })
		})
	}
	both.Wait()
	if t.Failed() {
		return
	}
	s := newServiceOn(t, stores[0], nil)
	s.pause = 300 * time.Millisecond
	s.Check("database", s.db.PingContext, health.ForReadiness(), health.ForTasks(), health.Every(100*time.Millisecond))

	paid, refused := s.place("1", tea), s.place("2", declined)
	s.RunUntilIdle()
	cancelled := s.place("3", tea)
	if status := s.ask("POST", "/orders/"+cancelled.ID+"/cancel", "", "", nil); status != http.StatusOK {
		t.Errorf("to cancel: %d", status)
	}
	s.RunUntilIdle()
	for id, want := range map[string]Status{paid.ID: Paid, refused.ID: Declined, cancelled.ID: Cancelled} {
		if got := s.order(id); got.Status != want {
			t.Errorf("%s is %s, want %s", id, got.Status, want)
		}
	}
	var page struct{ Orders []Order }
	if s.ask("GET", "/orders?status=paid", "", "", &page); len(page.Orders) != 1 {
		t.Errorf("%d orders are paid", len(page.Orders))
	}
	day, err := s.store.Count(t.Context(), time.Now().UTC().Truncate(24*time.Hour))
	if err == nil {
		err = s.store.AddReport(t.Context(), day, Letter{"accounts@shop.test", "The day " + day.Day, ""})
	}
	if err != nil || day.Orders < 1 || day.Cents%900 != 0 {
		t.Errorf("the day: %+v, %v", day, err)
	}
	if next, err := s.store.NextReport(t.Context()); err != nil || next.Format(time.DateOnly) <= day.Day {
		t.Errorf("the next report: %v, %v", next, err)
	}

	// PostgreSQL has no text with these: they were answered with 500.
	for path, want := range map[string]int{"/orders/%00": 404, "/orders/%ff": 404, "/orders?after=%00": 400} {
		if status := s.ask("GET", path, "", "", nil); status != want {
			t.Errorf("GET %s: %d, want %d", path, status, want)
		}
	}
	if status := s.ask("POST", "/orders", "k\xff", tea, nil); status != http.StatusBadRequest {
		t.Errorf("an odd key: %d", status)
	}

	waiting := s.place("4", tea) // perhaps it is charged before the end, perhaps after it
	p.end()
	s.await(false)
	if status := s.ask("POST", "/orders", "5", tea, nil); status != http.StatusInternalServerError {
		t.Errorf("POST /orders without a database: %d", status)
	}
	p.start()
	s.await(true)
	s.place("5", tea)
	s.RunUntilIdle()
	if got := s.order(waiting.ID); got.Status != Paid {
		t.Errorf("the order of before is %s", got.Status)
	}
	s.AssertNoneDead()
	if err := agree(s.db, s.gateway.Books()); err != nil {
		t.Error(err)
	}
}

// await waits until the tasks are paused by the check, or are not.
func (s *service) await(up bool) {
	s.t.Helper()
	for begun := time.Now(); s.Tasks().Stats().Paused == up; time.Sleep(10 * time.Millisecond) { // follows a real PostgreSQL
		if time.Since(begun) > 20*time.Second {
			s.t.Fatalf("after 20 s the tasks are paused %v", up)
		}
	}
}
