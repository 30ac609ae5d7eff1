package tasks_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

const mailService = "https://mail.internal"

// remote is a service that may be down. A call takes its latency.
type remote struct {
	latency time.Duration
	down    atomic.Bool

	mu     sync.Mutex
	calls  int         // requests so far
	under  int         // requests under way
	most   int         // of those at once, since the last look
	served []time.Time // when each good answer was given
}

func (s *remote) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.calls++
	s.under++
	s.most = max(s.most, s.under)
	s.mu.Unlock()
	status := http.StatusOK
	if s.down.Load() {
		status = http.StatusServiceUnavailable
	}
	time.Sleep(s.latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under--
	if status == http.StatusOK {
		s.served = append(s.served, time.Now())
	}
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{}, Body: http.NoBody}, nil
}

// look returns the number of calls so far, and the most at once since the last look.
func (s *remote) look() (calls, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	most, s.most = s.most, s.under
	return s.calls, most
}

func (s *remote) good() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.served)
}

// between returns how many good answers were given in a time.
func (s *remote) between(from, to time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.served {
		if at.After(from) && !at.After(to) {
			n++
		}
	}
	return n
}

// post is a handler's call of the service, through its breaker.
func (s *remote) post(ctx context.Context, b *breaker.Breaker, path string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.Service()+path, nil)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: b.Transport(s)}).Do(r)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the service answered %s", res.Status)
	}
	return nil
}

// named and learned are the two ways by which a pool knows what its tasks are behind.
var knowledge = map[string][]task.Policy{
	"named":   {task.Behind(mailService + "/v1/messages")},
	"learned": nil,
}

// receives notes the largest receive count that the queue gave to a tap.
type receives struct{ most atomic.Int64 }

var receiveCount = regexp.MustCompile(`"ApproximateReceiveCount":\s*"(\d+)"`)

func (c *receives) after(op string, _ *http.Request, res *http.Response, err error) (*http.Response, error) {
	if err != nil || op != "ReceiveMessage" {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	for _, m := range receiveCount.FindAllSubmatch(body, -1) {
		n, _ := strconv.ParseInt(string(m[1]), 10, 64)
		c.most.Store(max(n, c.most.Load()))
	}
	return res, err
}

// sendMany sends n tasks from a service that runs none.
func sendMany(t *testing.T, from *chassistest.System, name string, n int) {
	t.Helper()
	for n > 0 {
		batch := make([]chassis.Task, min(n, 1000))
		for i := range batch {
			batch[i] = chassis.Task{Name: name, Args: kit.Payload{N: n - i}}
		}
		if _, err := from.SendMany(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		n -= len(batch)
	}
}

// An hour in which the service that 5 000 tasks call is down for ten minutes
// (spring-attic/spring-cloud-aws#320, #523; arcus-azure/arcus.messaging#415; zarusz/SlimMessageBus#454). The queue was read all the time:
// 5 000 messages were received and put back again and again, and then a herd came down on the service.
// Right: fewer than 500 requests to SQS in the outage, no message received more than twice, no dead letter, no more calls at once than
// half_probe_limit until the service has proved itself, then the ramp, and the full rate within two seconds.
func TestATenMinutesOutageUnderFiveThousandTasks(t *testing.T) {
	const workers, latency, tasks = 20, 100 * time.Millisecond, 5000
	for name, policies := range knowledge {
		for _, ramp := range []time.Duration{0, 20 * time.Second} {
			t.Run(fmt.Sprintf("%s/ramp %v", name, ramp), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					base := chassistest.New(t, kit.Quietly("critical"))
					tap, counts, mail := &kit.Tap{}, &receives{}, &remote{latency: latency}
					tap.After = counts.after
					sys := kit.Tapped(t, base, tap, kit.Quietly("critical", func(s *chassis.Settings) {
						s.Tasks.Workers, s.Tasks.MaxWorkers = workers, workers
						s.CircuitBreaker.HalfProbeLimit, s.CircuitBreaker.Ramp = 2, ramp
					}))
					b := sys.Breaker(mailService)
					def := task.Define[kit.Payload]("mail", policies...)
					chassis.Handle(sys.System, def, func(ctx context.Context, _ task.Job[kit.Payload]) error {
						return mail.post(ctx, b, "/v1/messages")
					})
					chassis.Handle(base.System, def, func(context.Context, task.Job[kit.Payload]) error { return nil }) // base only sends
					kit.Begin(t, sys)
					sendMany(t, base, "mail", 100)
					kit.Pass(10 * time.Minute)
					if mail.good() != 100 {
						t.Fatalf("before the outage %d of 100 are done", mail.good())
					}

					mail.down.Store(true)
					sendMany(t, base, "mail", tasks)
					before, down := tap.Count(""), time.Now()
					kit.Pass(30 * time.Second)
					mail.look()
					kit.Pass(9*time.Minute + 30*time.Second)
					requests := tap.Count("") - before
					_, probes := mail.look()
					if requests >= 500 {
						t.Errorf("%d requests to SQS in the outage", requests)
					}
					if probes > 2 {
						t.Errorf("%d calls at once while the service was known to be down", probes)
					}
					if s := sys.Tasks().Stats(); s.Useful > 2 || s.Tasks[len(s.Tasks)-1].WaitsFor == "" {
						t.Errorf("in the outage %d workers are of use, and the task waits for %q", s.Useful, s.Tasks[len(s.Tasks)-1].WaitsFor)
					}

					mail.down.Store(false)
					var full time.Time
					for i := 0; full.IsZero() && i < 100_000; i++ {
						kit.Pass(time.Millisecond)
						o := b.Outlook("/v1/messages")
						_, most := mail.look()
						switch {
						case o.State == breaker.Closed:
							full = time.Now()
						case o.Probes > 0 && most > o.Probes:
							t.Fatalf("half-open: %d calls at once, with %d probes", most, o.Probes)
						case o.Share > 0 && most > max(int((o.Share+0.02)*workers), 2): // of probes, the last may go on
							t.Fatalf("in the ramp, at a share of %.2f, %d of %d calls at once", o.Share, most, workers)
						}
					}
					if since := full.Sub(down) - 10*time.Minute; since > ramp+12*time.Second {
						t.Errorf("the breaker was closed %v after the recovery", since)
					}
					kit.Pass(12 * time.Second)
					rate := float64(mail.between(full.Add(2*time.Second), full.Add(7*time.Second))) / 5
					if want := 0.95 * float64(workers) / latency.Seconds(); rate < want {
						t.Errorf("two seconds after the recovery %.0f tasks a second are done, of %.0f", rate, want/0.95)
					}
					kit.Pass(40 * time.Minute)
					if mail.good() != tasks+100 {
						t.Errorf("%d of %d are done", mail.good(), tasks+100)
					}
					if n := counts.most.Load(); n > 2 {
						t.Errorf("a message was received %d times", n)
					}
					if n := len(letters(base)); n > 0 {
						t.Errorf("%d dead letters", n)
					}
					stats := sys.Tasks().Stats()
					refused := stats.Tasks[len(stats.Tasks)-1].Refused
					calls, _ := mail.look()
					t.Logf("%d requests to SQS in the outage, receive count at most %d, %.0f tasks a second from two seconds after the recovery, %d calls, %d attempts refused",
						requests, counts.most.Load(), rate, calls, refused)
				})
			})
		}
	}
}
