package kit

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// Payload is what the tasks carry.
type Payload struct {
	N    int    `json:"n"`
	Data string `json:"data,omitempty"`
}

// ErrBroken is what a handler returns.
var ErrBroken = errors.New("broken")

// Tap is an HTTP client before the embedded queue's: it counts requests by
// operation, may answer a request itself and may lose or change an answer.
type Tap struct {
	next   *http.Client
	Before func(op string, r *http.Request) (*http.Response, error) // nil and nil: the queue answers
	After  func(op string, r *http.Request, res *http.Response, err error) (*http.Response, error)

	mu     sync.Mutex
	counts map[string]int
}

// Do implements sqsclient.Doer.
func (p *Tap) Do(r *http.Request) (*http.Response, error) {
	op := r.Header.Get("X-Amz-Target")
	op = op[strings.LastIndexByte(op, '.')+1:]
	p.mu.Lock()
	if p.counts == nil {
		p.counts = map[string]int{}
	}
	p.counts[op]++
	before := p.Before
	p.mu.Unlock()
	if before != nil {
		if res, err := before(op, r); res != nil || err != nil {
			return res, err
		}
	}
	res, err := p.next.Do(r)
	if p.After != nil {
		return p.After(op, r, res, err)
	}
	return res, err
}

// Set replaces Before, while requests may be under way.
func (p *Tap) Set(before func(op string, r *http.Request) (*http.Response, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Before = before
}

// Count returns how many requests there were, of all operations with a name that begins so.
func (p *Tap) Count(operation string) int {
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

// Refused is the queue's answer to a request that the role may not make.
func Refused(r *http.Request, right string) *http.Response {
	body := `{"__type":"com.amazonaws.sqs#AccessDenied","message":"User is not authorized to perform: sqs:` + right + `"}`
	return &http.Response{StatusCode: http.StatusForbidden, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Query-Error": {"AccessDenied;Sender"}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// Tapped is a service on base's queue; its requests go through a tap.
func Tapped(t *testing.T, base *chassistest.System, p *Tap, opts ...chassistest.Option) *chassistest.System {
	t.Helper()
	p.next = base.Queue.HTTPClient()
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(p))
	if err != nil {
		t.Fatal(err)
	}
	return chassistest.New(t, append([]chassistest.Option{chassistest.Beside(base), chassistest.Options(chassis.WithSQS(client))}, opts...)...)
}

// Quietly sets what a service logs at least, and other settings.
func Quietly(level logger.Level, change ...func(*chassis.Settings)) chassistest.Option {
	return chassistest.Settings(func(s *chassis.Settings) {
		s.Log.Level = level
		for _, c := range change {
			c(s)
		}
	})
}

// OnPool names the task pool.
func OnPool(name string) func(*chassis.Settings) {
	return func(s *chassis.Settings) { s.Tasks.TaskPool = name }
}

// QueueClient is the ordinary AWS client of q.
func QueueClient(t *testing.T, q *localsqs.Server) *sqs.Client {
	t.Helper()
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(q.HTTPClient()))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// QueueOf makes a queue as an operator does, before the service, and gives its URL.
func QueueOf(t *testing.T, q *localsqs.Server, name string, attributes map[string]string) string {
	t.Helper()
	out, err := QueueClient(t, q).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl
}

// Depths says what lies on the queues: visible, in flight, delayed.
func Depths(q *localsqs.Server) string {
	var b strings.Builder
	for _, s := range q.Stats().Queues {
		fmt.Fprintf(&b, " %s=%d/%d/%d", s.Name, s.Visible, s.InFlight, s.Delayed)
	}
	return strings.TrimSpace(b.String())
}

// Warned says whether a line at WARN or above holds one of the texts, in any case.
func Warned(sys *chassistest.System, texts ...string) bool {
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

// Begin starts a service, or says why it refuses.
func Begin(t *testing.T, sys *chassistest.System) {
	t.Helper()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Hang is a Tap.Before: the network to the queue is gone, or the process is.
func Hang(_ string, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
