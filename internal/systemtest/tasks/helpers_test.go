package tasks_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// payload is what the tasks carry.
type payload struct {
	N    int    `json:"n"`
	Data string `json:"data,omitempty"`
}

var errBroken = errors.New("broken")

// tap is an HTTP client before the embedded queue's: it counts requests by
// operation, may answer a request itself and may lose or change an answer.
type tap struct {
	next   *http.Client
	before func(op string, r *http.Request) (*http.Response, error) // nil and nil: the queue answers
	after  func(op string, r *http.Request, res *http.Response, err error) (*http.Response, error)

	mu     sync.Mutex
	counts map[string]int
}

func (p *tap) Do(r *http.Request) (*http.Response, error) {
	op := r.Header.Get("X-Amz-Target")
	op = op[strings.LastIndexByte(op, '.')+1:]
	p.mu.Lock()
	if p.counts == nil {
		p.counts = map[string]int{}
	}
	p.counts[op]++
	before := p.before
	p.mu.Unlock()
	if before != nil {
		if res, err := before(op, r); res != nil || err != nil {
			return res, err
		}
	}
	res, err := p.next.Do(r)
	if p.after != nil {
		return p.after(op, r, res, err)
	}
	return res, err
}

// set changes what happens to requests from now on.
func (p *tap) set(before func(op string, r *http.Request) (*http.Response, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = before
}

// hang is a before: the network to the queue is gone, or the process is.
func hang(_ string, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// tapped is a service on base's queue; its requests go through a tap.
func tapped(t *testing.T, base *chassistest.System, p *tap, opts ...chassistest.Option) *chassistest.System {
	t.Helper()
	p.next = base.Queue.HTTPClient()
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(p))
	if err != nil {
		t.Fatal(err)
	}
	return chassistest.New(t, append([]chassistest.Option{chassistest.Beside(base), chassistest.Options(chassis.WithSQS(client))}, opts...)...)
}

// quietly sets what a service logs at least, and other settings.
func quietly(level logger.Level, change ...func(*chassis.Settings)) chassistest.Option {
	return chassistest.Settings(func(s *chassis.Settings) {
		s.Log.Level = level
		for _, c := range change {
			c(s)
		}
	})
}

func onPool(name string) func(*chassis.Settings) {
	return func(s *chassis.Settings) { s.Tasks.TaskPool = name }
}

// depths says what lies on the queues: visible, in flight, delayed.
func depths(q *localsqs.Server) string {
	var b strings.Builder
	for _, s := range q.Stats().Queues {
		fmt.Fprintf(&b, " %s=%d/%d/%d", s.Name, s.Visible, s.InFlight, s.Delayed)
	}
	return strings.TrimSpace(b.String())
}

// begin starts a service, or says why it refuses.
func begin(t *testing.T, sys *chassistest.System) {
	t.Helper()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ahead is a clock that goes two hours before everybody else's.
type ahead struct{}

func (ahead) Now() time.Time                                  { return time.Now().Add(2 * time.Hour) }
func (ahead) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// pass lets simulated time pass; what the handlers have written can be read
// after it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
