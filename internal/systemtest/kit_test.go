package systemtest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

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
	p.mu.Unlock()
	if p.before != nil {
		if res, err := p.before(op, r); res != nil || err != nil {
			return res, err
		}
	}
	res, err := p.next.Do(r)
	if p.after != nil {
		return p.after(op, r, res, err)
	}
	return res, err
}

// count is how many requests there were, of all operations with a name that begins so.
func (p *tap) count(operation string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for op, c := range p.counts {
		if strings.HasPrefix(op, operation) {
			n += c
		}
	}
	return n
}

// refused is the queue's answer to a request that the role may not make.
func refused(r *http.Request, right string) *http.Response {
	body := `{"__type":"com.amazonaws.sqs#AccessDenied","message":"User is not authorized to perform: sqs:` + right + `"}`
	return &http.Response{StatusCode: http.StatusForbidden, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Query-Error": {"AccessDenied;Sender"}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
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

// queueClient is the ordinary AWS client of q.
func queueClient(t *testing.T, q *localsqs.Server) *sqs.Client {
	t.Helper()
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(q.HTTPClient()))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// queueOf makes a queue as an operator does, before the service, and gives its URL.
func queueOf(t *testing.T, q *localsqs.Server, name string, attributes map[string]string) string {
	t.Helper()
	out, err := queueClient(t, q).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl
}

// depths says what lies on the queues: visible, in flight, delayed.
func depths(q *localsqs.Server) string {
	var b strings.Builder
	for _, s := range q.Stats().Queues {
		fmt.Fprintf(&b, " %s=%d/%d/%d", s.Name, s.Visible, s.InFlight, s.Delayed)
	}
	return strings.TrimSpace(b.String())
}

// warned says whether a line at WARN or above holds one of the texts, in any case.
func warned(sys *chassistest.System, texts ...string) bool {
	for _, r := range sys.Logs() {
		if r.Level != "WARN" && r.Level != "WARNING" && r.Level != "ERROR" && r.Level != "CRITICAL" {
			continue
		}
		line := strings.ToLower(fmt.Sprint(r))
		for _, text := range texts {
			if strings.Contains(line, strings.ToLower(text)) {
				return true
			}
		}
	}
	return false
}

// begin starts a service, or says why it refuses.
func begin(t *testing.T, sys *chassistest.System) {
	t.Helper()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// pass lets simulated time pass; what the handlers have written can be read
// after it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
