package admin

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/lifecycle"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// plant is a service in memory. What the adapters of a real one do is tested in
// package console.
type plant struct {
	mu       sync.Mutex
	info     Info
	live     Liveness
	ready    Readiness
	queues   []Queue
	workers  Workers
	tasks    []dispatcher.TaskStats
	execs    []Execution
	asked    int // for executions
	events   []chan *dispatcher.Event
	letters  []DeadLetter
	breakers []Breaker
	log      []breaker.Transition
	lines    []string
	follow   []chan string
	levels   map[string]string
	commands []string
}

func newBreaker(service string, state breaker.State, entries ...breaker.EntryStatus) Breaker {
	return Breaker{Snapshot: breaker.Snapshot{Service: service, State: state, Entries: entries}}
}

func newPlant() *plant {
	started := time.Now().Add(-time.Hour)
	p := &plant{
		info:  Info{Name: "mailer", Version: "v1.2.3", GoVersion: "go1.26", Host: "host", PID: 7, State: StateRunning, Queue: "embedded", Started: started},
		live:  Liveness{Actors: OK},
		ready: Readiness{TaskQueues: OK, TaskConsumer: OK},
		queues: []Queue{
			{Name: "mailer-tasks", Role: "tasks", Visible: 12, InFlight: 3, Delayed: 1, At: time.Now()},
			{Name: "mailer-tasks_dead", Role: "dead", Visible: 2, At: time.Now()},
		},
		workers: Workers{Pool: "mailer-tasks", Stats: dispatcher.Stats{Status: dispatcher.Running, Workers: 3, Running: 2}, Pools: []Pool{{Name: "mailer-tasks", Weight: 1}}, Poller: poller.Stats{Requests: poller.Requests{Receive: 4}, LastSuccess: started,
			Client:  sqsclient.Stats{Shortcut: 9, Refused: 2, SDK: 3},
			Refused: []poller.Refusal{{Action: "sqs:SendMessage", Queue: "mailer-sorry", Since: started, Error: "AccessDenied"}}}},
		tasks: []dispatcher.TaskStats{
			{Name: "welcome", Registered: true, MaxFailures: 5, Started: 12, Succeeded: 9, Failed: 1, Stalled: 2,
				Run: dispatcher.Durations{P50: time.Second / 10, P99: 4 * time.Second / 10, Count: 10, Sum: 2 * time.Second, AtMost: map[time.Duration]uint64{time.Second / 10: 5, time.Second: 10}}},
			{Name: "stranger's own \x00 name"},
		},
		letters: []DeadLetter{{ID: "m1", Task: "welcome", ExecID: "e1", Reason: "exhausted", LastError: "550 user unknown", Body: `{"email":"a@b"}`},
			{ID: "m2", Task: "report", ExecID: "e2", Reason: "unknown", Body: `{}`}},
		breakers: []Breaker{newBreaker("https://mail.internal", breaker.Closed, breaker.EntryStatus{}, breaker.EntryStatus{Entry: "/v1", State: breaker.Open, Own: breaker.Open, Failures: 3})},
		lines:    []string{`{"level":"INFO","msg":"running"}`},
		levels:   map[string]string{"": "INFO"},
	}
	p.breakers[0].Limit = &breaker.LimitStats{Limit: 20, InFlight: 12, Waiting: 3, Refused: 5}
	p.breakers[0].Spread = map[string]int{"closed": 9, "open": 1, "half-open": 0}
	p.breakers[0].Calls = func() breaker.HTTPCalls {
		took := breaker.Latencies{Count: 3, Sum: 90 * time.Millisecond, AtMost: map[time.Duration]uint64{50 * time.Millisecond: 3}}
		return breaker.HTTPCalls{Refused: 2, Retried: 5, Hedged: 3, Spent: 1, Judged: map[breaker.Verdict]breaker.Latencies{breaker.Success: took}}
	}
	return p
}

func (p *plant) config(s Settings) Config {
	return Config{Settings: s, Service: p, Queues: p.Queues, Tasks: plantTasks{p}, Dead: plantDead{p}, Breakers: plantBreakers{p}, Logs: plantLogs{p}, Explain: plantSettings,
		Checks: func() []health.Status {
			return []health.Status{{Name: "db", Up: true, Known: true, Readiness: true, Took: 0.001, At: time.Now(), Since: time.Now()}}
		},
		Parts: func() []parts.Status {
			return []parts.Status{{Name: "http :8080", State: parts.Running, Since: time.Now(), Intake: true, Detail: "http on [::]:8080"}}
		},
		Actors: func() lifecycle.Counts { return lifecycle.Counts{Failures: 3, Restarts: 2, Stops: 1, DeadLetters: 4} }}
}

func (p *plant) did(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commands = append(p.commands, fmt.Sprintf(format, args...))
}

func (p *plant) done() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.commands)
}

func (p *plant) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *plant) Info() Info                      { p.mu.Lock(); defer p.mu.Unlock(); return p.info }
func (p *plant) Live(context.Context) Liveness   { p.mu.Lock(); defer p.mu.Unlock(); return p.live }
func (p *plant) Ready(context.Context) Readiness { p.mu.Lock(); defer p.mu.Unlock(); return p.ready }
func (p *plant) Queues(context.Context) []Queue {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.queues)
}

type (
	plantTasks    struct{ *plant }
	plantDead     struct{ *plant }
	plantBreakers struct{ *plant }
	plantLogs     struct{ *plant }
)

func (p plantTasks) Workers() Workers {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.workers
	w.Stats.Tasks = slices.Clone(p.tasks)
	return w
}
func (p plantTasks) Executions(_ context.Context, limit int) ([]Execution, int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	return p.execs[:min(limit, len(p.execs))], len(p.execs), nil
}
func (p plantTasks) Pause(_ context.Context, name string) error {
	if name == "unknown-task" {
		return fmt.Errorf("%w: no task %q is registered", ErrNotFound, name)
	}
	p.did("pause %q", name)
	return nil
}
func (p plantTasks) Resume(_ context.Context, name string) error {
	p.did("resume %q", name)
	return nil
}
func (p plantTasks) Cancel(_ context.Context, id, reason string) (int, error) {
	p.did("cancel %s %s", id, reason)
	return 1, nil
}
func (p plantTasks) Snooze(_ context.Context, id string, d time.Duration) (int, error) {
	p.did("snooze %s %v", id, d)
	return 1, nil
}
func (p plantTasks) Events(buffer int) (<-chan *dispatcher.Event, func()) {
	c := make(chan *dispatcher.Event, buffer)
	p.set(func() { p.events = append(p.events, c) })
	return c, func() {
		p.set(func() { p.events = slices.DeleteFunc(p.events, func(o chan *dispatcher.Event) bool { return o == c }) })
	}
}

func (p plantDead) List(_ context.Context, limit int) ([]DeadLetter, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(limit, len(p.letters))
	return p.letters[:n], n < len(p.letters), nil
}
func (p plantDead) SendBack(_ context.Context, ids []string) ([]string, error) {
	p.did("back %v", ids)
	return ids, nil
}
func (p plantDead) Delete(_ context.Context, ids []string) ([]string, error) {
	p.did("delete %v", ids)
	return ids, nil
}

func (p plantBreakers) Breakers() []Breaker {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.breakers)
}
func (p plantBreakers) Transitions(service string, since uint64) ([]breaker.Transition, error) {
	if service != "https://mail.internal" {
		return nil, fmt.Errorf("%w: no breaker of %q", ErrNotFound, service)
	}
	return p.log, nil
}
func (p plantBreakers) Force(service, path string, to breaker.State, d time.Duration) error {
	p.did("force %s %s %s %v", service, path, to, d)
	return nil
}
func (p plantBreakers) Reset(service, path string) error {
	p.did("reset %s %s", service, path)
	return nil
}

func (p plantLogs) Tail(n int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines[max(0, len(p.lines)-n):]
}
func (p plantLogs) Follow(ctx context.Context, buffer int) <-chan string {
	c := make(chan string, buffer)
	p.set(func() { p.follow = append(p.follow, c) })
	context.AfterFunc(ctx, func() {
		p.set(func() { p.follow = slices.DeleteFunc(p.follow, func(o chan string) bool { return o == c }) })
		close(c)
	})
	return c
}
func (p plantLogs) Stats() logger.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return logger.Stats{Levels: maps.Clone(p.levels), Outputs: []logger.OutputStats{{Name: "main", Format: "json", Policy: "block", Written: 5}}}
}
func (p plantLogs) SetLevel(name, level string) error {
	if level == "loud" {
		return fmt.Errorf("%w: level %q is not known", ErrInvalid, level)
	}
	p.did("level %q %s", name, level)
	return nil
}

func plantSettings() []Setting {
	return []Setting{{Key: "tasks.workers", Value: "3", From: "default"}, {Key: "admin.token", Value: "not masked by mistake", From: "CHASSIS_ADMIN__TOKEN", Secret: true}}
}

// serve makes a server of p and ends it with the test.
func serve(t testing.TB, p *plant, s Settings) *Server {
	t.Helper()
	srv, err := New(p.config(s))
	if err != nil {
		t.Fatal(err)
	}
	srv.guard.delay = 0 // the answer to a wrong token is not waited for
	t.Cleanup(func() {
		if err := srv.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return srv
}

// ask sends one request to the handler; headers are "Name: value".
func ask(srv *Server, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost:9190"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if method == "POST" {
		r.Header.Set(CommandHeader, "1")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header[http.CanonicalHeaderKey(name)] = []string{value}
	}
	w := httptest.NewRecorder()
	srv.Handler().ServeHTTP(w, r)
	return w
}

func text(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
