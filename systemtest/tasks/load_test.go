package tasks_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// load is a few tasks of each way to end, and what became of them.
type load struct {
	ids    map[string]string // exec_id: the kind
	budget map[string]int    // of a kind: runs without any trouble

	mu     sync.Mutex
	runs   map[string]int
	done   map[string]int
	inside map[string]int // runs under way
	beside int            // runs that began while another of the same task was under way with its lease kept
}

var (
	quick   = task.Define[kit.Payload]("quick")
	slow    = task.Define[kit.Payload]("slow")
	flaky   = task.Define[kit.Payload]("flaky", task.MaxFailures(4), task.Wait(time.Minute, task.None))
	doomed  = task.Define[kit.Payload]("doomed", task.MaxFailures(3), task.Wait(20*time.Second, task.None))
	dropped = task.Define[kit.Payload]("dropped", task.MaxFailures(3))
	snoozer = task.Define[kit.Payload]("snoozer", task.MaxFailures(3))
	dated   = task.Define[kit.Payload]("dated", task.MaxFailures(1))
)

func newLoad() *load {
	return &load{ids: map[string]string{}, runs: map[string]int{}, done: map[string]int{}, inside: map[string]int{},
		budget: map[string]int{"quick": 1, "slow": 1, "flaky": 3, "doomed": 3, "dropped": 1, "snoozer": 4, "dated": 1}}
}

// handle registers the tasks on a service.
func (l *load) handle(sys *chassis.System) {
	on := func(def *task.Definition[kit.Payload], f func(ctx context.Context, run int) error) {
		chassis.Handle(sys, def, func(ctx context.Context, j task.Job[kit.Payload]) error {
			l.mu.Lock()
			l.runs[j.ExecID]++
			run := l.runs[j.ExecID]
			if l.inside[j.ExecID]++; l.inside[j.ExecID] > 1 {
				l.beside++
			}
			l.mu.Unlock()
			err := f(ctx, run)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.inside[j.ExecID]--
			if err == nil {
				l.done[j.ExecID]++
			}
			return err
		})
	}
	on(quick, func(context.Context, int) error { return nil })
	on(slow, func(ctx context.Context, _ int) error {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Minute):
			return nil
		}
	})
	on(flaky, func(_ context.Context, run int) error {
		if run < 3 {
			return kit.ErrBroken
		}
		return nil
	})
	on(doomed, func(context.Context, int) error { return kit.ErrBroken })
	on(dropped, func(context.Context, int) error { return task.Cancel(kit.ErrBroken) })
	on(snoozer, func(_ context.Context, run int) error {
		if run < 4 {
			return task.Snooze(2 * time.Minute)
		}
		return nil
	})
	on(dated, func(context.Context, int) error { return nil })
}

// send sends n of each kind.
func (l *load) send(t *testing.T, sys *chassistest.System, n int, opts ...task.Option) {
	t.Helper()
	for i := range n {
		for _, def := range []*task.Definition[kit.Payload]{quick, slow, flaky, doomed, dropped, snoozer, dated} {
			more := opts
			if def == dated {
				more = append([]task.Option{task.At(time.Now().Add(20 * time.Minute))}, opts...)
			}
			l.ids[chassistest.Send(sys, def, kit.Payload{N: i}, more...)] = def.Name()
		}
	}
}

// judge fails the test unless every task is done or a dead letter as its kind has it, but those of one kind.
func (l *load) judge(t *testing.T, q *localsqs.Server, dead map[string]string, grace int, but string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, kind := range l.ids {
		ends := kind == "doomed" || kind == "dropped"
		switch {
		case kind == but:
			continue
		case ends && dead[id] == "":
			t.Errorf("%s: no dead letter after %d runs; queues %s", kind, l.runs[id], kit.Depths(q))
		case !ends && l.done[id] == 0 && dead[id] != "":
			t.Errorf("%s: a dead letter (%s) after %d runs", kind, dead[id], l.runs[id])
		case !ends && l.done[id] == 0:
			t.Errorf("%s: neither done nor dead after %d runs; queues %s", kind, l.runs[id], kit.Depths(q))
		case !ends && dead[id] != "":
			t.Errorf("%s: done, and a dead letter too: %s", kind, dead[id])
		}
		if most := l.budget[kind] + grace; l.runs[id] > most {
			t.Errorf("%s: %d runs, want at most %d", kind, l.runs[id], most)
		}
		if kind == "doomed" && l.runs[id] < 3 && strings.HasPrefix(dead[id], "exhausted") {
			t.Errorf("%s: %d runs, want its budget of 3: %s", kind, l.runs[id], dead[id])
		}
	}
	if l.beside > 0 {
		t.Errorf("%d runs beside another of the same task", l.beside)
	}
}

// letters are the dead letters by exec_id, with reason and error.
func letters(sys *chassistest.System) map[string]string {
	dead := map[string]string{}
	for _, d := range sys.Dead() {
		dead[d.ExecID] += fmt.Sprintf("%s: %s; ", d.Reason, d.LastError)
	}
	return dead
}

// queues are the two that scenarios are played on: a kind one, and one that does as AWS does.
var queues = map[string][]localsqs.Option{"kind": nil, "as AWS": {localsqs.AsAWS(7)}}

// onQueue is a service on a queue with these options, which it sends to.
func onQueue(t *testing.T, options []localsqs.Option, opts ...chassistest.Option) *chassistest.System {
	t.Helper()
	q, err := localsqs.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return chassistest.New(t, append([]chassistest.Option{chassistest.Beside(&chassistest.System{Queue: q})}, opts...)...)
}

// answer is what the queue says to a request, of a status and a code.
func answer(r *http.Request, status int, code, text string) *http.Response {
	body := `{"__type":"com.amazonaws.sqs#` + code + `","message":"` + text + `"}`
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Query-Error": {code + ";Sender"}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}
