//go:build unix

package outboxtest

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// work is the task of most tests.
var work = task.Define[int]("work", task.MaxFailures(3), task.Wait(time.Millisecond, task.None))

// service is a service with an outbox; its handler notes what it ran.
type service struct {
	*chassis.System
	mu   sync.Mutex
	runs map[string][]int // of exec_ids: the arguments
	all  []int
}

// newService makes a service on a queue server; change may change its settings.
func newService(t testing.TB, srv *localsqs.Server, change func(*chassis.Settings)) *service {
	t.Helper()
	set := chassis.DefaultSettings()
	set.Log.Level, set.Tasks.TaskPool, set.Tasks.Workers = "error", "jobs", 8
	if change != nil {
		change(&set)
	}
	sys, err := chassis.New("shop", chassis.WithSettings(set), chassis.WithEmbedded(srv), chassis.WithoutDefaultLogger(),
		chassis.WithLogOutput(output(t)),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	s := &service{System: sys, runs: map[string][]int{}}
	t.Cleanup(func() { s.stop(t) })
	return s
}

// output is where a service logs to.
func output(t testing.TB) io.Writer {
	if tt, ok := t.(*testing.T); ok {
		return tt.Output()
	}
	return io.Discard
}

func (s *service) stop(t testing.TB) {
	http.DefaultClient.CloseIdleConnections()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// handle notes what is run.
func (s *service) handle() {
	chassis.Handle(s.System, work, func(_ context.Context, job task.Job[int]) error {
		s.note(job)
		return nil
	})
}

func (s *service) note(job task.Job[int]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[job.ExecID] = append(s.runs[job.ExecID], job.Args)
	s.all = append(s.all, job.Args)
}

func (s *service) ran() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.all...)
}

func (s *service) start(t testing.TB) {
	t.Helper()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// queueServer is an embedded SQS of the test's own.
func queueServer(t testing.TB) *localsqs.Server {
	t.Helper()
	srv, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return srv
}

// send sends tasks in one transaction, and commits it.
func send(t testing.TB, box *outbox.Box, db *sql.DB, args []int, opts ...task.Option) (ids []string) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, a := range args {
		id, err := outbox.Send(t.Context(), box, tx, work, a, opts...)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// within waits until a condition holds.
func within(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Since(begun) > limit {
			t.Fatalf("after %v still not: %s", limit, what)
		}
	}
}
