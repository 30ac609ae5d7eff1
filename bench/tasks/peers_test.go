package tasks

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// workersOfPeers is what our own runs have.
const workersOfPeers = 200

func freePort(b *testing.B) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// until waits for something outside of this process.
func until(b *testing.B, what string, ready func() error) {
	var err error
	for range 200 {
		if err = ready(); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatalf("%s: %v", what, err)
}

// runAsynq is no-op jobs of asynq on Redis, which loses them in a crash of the
// machine: nothing is written to disk.
func runAsynq(b *testing.B) {
	server, err := exec.LookPath("redis-server")
	if err != nil {
		b.Skip("redis-server is not installed (Debian: redis-server): asynq is absent")
	}
	addr := "127.0.0.1:" + strconv.Itoa(freePort(b))
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(server, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", b.TempDir())
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	redis := asynq.RedisClientOpt{Addr: addr}
	client := asynq.NewClient(redis)
	b.Cleanup(func() { _ = client.Close() })
	until(b, "redis", client.Ping)
	for i := range b.N {
		if _, err := client.Enqueue(asynq.NewTask("noop", fmt.Appendf(nil, `{"id":%d}`, i))); err != nil {
			b.Fatal(err)
		}
	}
	ran, done := atomic.Int64{}, make(chan struct{})
	srv := asynq.NewServer(redis, asynq.Config{Concurrency: workersOfPeers, LogLevel: asynq.FatalLevel})
	measure(b, func() {
		err := srv.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
			if ran.Add(1) == int64(b.N) {
				close(done)
			}
			return nil
		}))
		if err != nil {
			b.Fatal(err)
		}
		<-done
	})
	srv.Shutdown()
}

type riverArgs struct {
	ID int `json:"id"`
}

func (riverArgs) Kind() string { return "noop" }

type riverWorker struct {
	river.WorkerDefaults[riverArgs]
	ran  *atomic.Int64
	want int64
	done chan struct{}
}

func (w *riverWorker) Work(context.Context, *river.Job[riverArgs]) error {
	if w.ran.Add(1) == w.want {
		close(w.done)
	}
	return nil
}

// runRiver is no-op jobs of river on PostgreSQL, with its defaults.
func runRiver(b *testing.B) {
	pool := postgres(b)
	ctx := context.Background()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		b.Fatal(err)
	}
	workers := river.NewWorkers()
	ran, done := atomic.Int64{}, make(chan struct{})
	river.AddWorker(workers, &riverWorker{ran: &ran, want: int64(b.N), done: done})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workersOfPeers}}, Workers: workers,
	})
	if err != nil {
		b.Fatal(err)
	}
	var jobs []river.InsertManyParams
	for i := range b.N {
		jobs = append(jobs, river.InsertManyParams{Args: riverArgs{ID: i}})
	}
	for batch := range slices.Chunk(jobs, 1000) {
		if _, err := client.InsertManyFast(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	measure(b, func() {
		if err := client.Start(ctx); err != nil {
			b.Fatal(err)
		}
		<-done
	})
	if err := client.Stop(ctx); err != nil {
		b.Error(err)
	}
}

// postgres starts a server of our own on loopback. It will not run as root, so
// there it runs as the user postgres.
func postgres(b *testing.B) *pgxpool.Pool {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		b.Skip("PostgreSQL is not installed (Debian: postgresql): river is absent")
	}
	bin := found[len(found)-1]
	as := func(name string, args ...string) *exec.Cmd { return exec.Command(filepath.Join(bin, name), args...) }
	dir, err := os.MkdirTemp("", "river")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		as = func(name string, args ...string) *exec.Cmd {
			return exec.Command("runuser", append([]string{"-u", "postgres", "--", filepath.Join(bin, name)}, args...)...)
		}
		if out, err := exec.Command("chown", "postgres", dir).CombinedOutput(); err != nil {
			b.Fatalf("chown: %v: %s", err, out)
		}
	}
	data, port := filepath.Join(dir, "data"), freePort(b)
	if out, err := as("initdb", "-D", data, "-U", "bench", "--auth=trust").CombinedOutput(); err != nil {
		b.Fatalf("initdb: %v\n%s", err, out)
	}
	cmd := as("postgres", "-D", data, "-p", strconv.Itoa(port), "-h", "127.0.0.1", "-k", dir)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = as("pg_ctl", "-D", data, "-m", "immediate", "stop").Run()
		_ = cmd.Wait()
	})
	pool, err := pgxpool.New(context.Background(), fmt.Sprintf("postgres://bench@127.0.0.1:%d/postgres?pool_max_conns=20", port))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	until(b, "postgres", func() error { return pool.Ping(context.Background()) })
	return pool
}
