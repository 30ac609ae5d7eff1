package systemtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
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

type mailArgs struct {
	Email string `json:"email"`
}

// mailGateway answers after 5 ms: 503 while it is down, else 200 and 1 KB.
type mailGateway struct{ down atomic.Bool }

func (g *mailGateway) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(5 * time.Millisecond):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	res := &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, ContentLength: -1, Request: req}
	if g.down.Load() {
		res.StatusCode, res.Status = http.StatusServiceUnavailable, "503 Service Unavailable"
	}
	res.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", 1024)))
	return res, nil
}

// TestTasksAreDoneSoonAfterAnOutage has the handler of the README, which looks at
// the status and closes the body unread, and an outage of one second.
func TestTasksAreDoneSoonAfterAnOutage(t *testing.T) {
	for _, c := range []struct {
		open time.Duration // 0 for the default
		most time.Duration // from the end of the outage until all tasks are done
	}{
		{time.Second, 10 * time.Second},
		{0, 20 * time.Second}, // the service is open for the first ten
	} {
		t.Run(fmt.Sprintf("open_timeout=%v", c.open), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) {
					s.CircuitBreaker.OpenTimeout = c.open
					s.Log.Level = "warn"
				}))
				gateway := &mailGateway{}
				mail := sys.Breaker("https://mail.internal")
				client := &http.Client{Transport: mail.Transport(gateway)}
				welcome := task.Define[mailArgs]("welcome", task.MaxFailures(5), task.Wait(10*time.Second, task.Geometric))
				var done atomic.Int64
				var last atomic.Int64
				chassis.Handle(sys.System, welcome, func(ctx context.Context, job task.Job[mailArgs]) error {
					slog.InfoContext(ctx, "sending", "to", job.Args.Email)
					req, err := http.NewRequestWithContext(ctx, "POST", "https://mail.internal/v1/welcome", strings.NewReader(job.Args.Email))
					if err != nil {
						return task.Cancel(err)
					}
					res, err := client.Do(req)
					if err != nil {
						return err
					}
					defer func() { _ = res.Body.Close() }()
					if res.StatusCode >= 400 {
						return fmt.Errorf("the mail service answered %s", res.Status)
					}
					done.Add(1)
					last.Store(time.Now().UnixNano())
					return nil
				})
				gateway.down.Store(true)
				if err := sys.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				const tasks = 1000
				for i := range tasks {
					chassistest.Send(sys, welcome, mailArgs{fmt.Sprintf("%d@example.org", i)})
				}
				time.Sleep(time.Second)
				gateway.down.Store(false)
				up := time.Now()
				sys.RunUntilIdle()
				took := time.Unix(0, last.Load()).Sub(up)
				if done.Load() != tasks || took > c.most || mail.State() != breaker.Closed {
					t.Errorf("%d of %d tasks done, the last one %v after the outage, the breaker %v; want all within %v, closed", done.Load(), tasks, took, mail.State(), c.most)
				}
				t.Logf("%d tasks done %v after the outage", done.Load(), took)
			})
		})
	}
}

// TestRequestTimeoutHoldsInATask, though the ctx of an attempt has a deadline of
// its own, of hours; one that the handler gives its call takes its place.
func TestRequestTimeoutHoldsInATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		silent := silentService{}
		client := &http.Client{Transport: sys.Breaker("https://mail.internal").Transport(silent)}
		work := task.Define[time.Duration]("work", task.MaxFailures(1), task.Deadline(time.Hour))
		chassis.Handle(sys.System, work, func(ctx context.Context, job task.Job[time.Duration]) error {
			want := 5 * time.Second
			if job.Args > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, job.Args)
				defer cancel()
				want = job.Args
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mail.internal/v1", nil)
			if err != nil {
				return err
			}
			begun := time.Now()
			_, err = client.Do(req)
			if took := time.Since(begun); took != want || errors.Is(err, breaker.ErrTimeout) != (job.Args == 0) {
				t.Errorf("deadline %v: %v after %v", job.Args, err, took)
			}
			return nil
		})
		for _, deadline := range []time.Duration{0, 8 * time.Second} {
			chassistest.Send(sys, work, deadline)
		}
		sys.RunUntilIdle()
	})
}

// silentService never answers.
type silentService struct{}

func (silentService) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// TestEveryTransitionIsInTheLog under the name that an operator filters by.
func TestEveryTransitionIsInTheLog(t *testing.T) {
	sys, log := kit.NewSystem(t, func(s *chassis.Settings) { s.CircuitBreaker.ClosedFailLimit = 1 })
	b := sys.Breaker("https://stock.internal")
	if err := b.Do(t.Context(), "", func(context.Context) error { return errors.New("down") }); err == nil {
		t.Fatal("the call did not fail")
	}
	if err := b.Reset(""); err != nil {
		t.Fatal(err)
	}
	seen := b.Transitions(0)
	if err := sys.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	logged := strings.Count(log.String(), `"logger":"actors/breaker"`)
	if len(seen) != 2 || logged != len(seen) {
		t.Errorf("%d records of the transitions %v:\n%s", logged, seen, log)
	}
}
