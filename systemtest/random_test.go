package systemtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// faultsOfEach makes the first request of an operation fail, and keeps when they were made.
type faultsOfEach struct {
	mu     sync.Mutex
	times  map[string][]time.Time
	answer map[string]string // to the first request of an operation; an empty one is a 503
}

func (f *faultsOfEach) before(op string, r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.times[op] = append(f.times[op], time.Now())
	body, fails := f.answer[op]
	if !fails || len(f.times[op]) > 1 {
		return nil, nil
	}
	status := http.StatusOK
	if body == "" {
		body, status = `{"__type":"com.amazonaws.sqs#ServiceUnavailable","message":"down"}`, http.StatusServiceUnavailable
	}
	return &http.Response{StatusCode: status, Request: r, ContentLength: int64(len(body)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// pause is the time between the first two requests of an operation.
func (f *faultsOfEach) pause(t *testing.T, op string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.times[op]) < 2 {
		t.Fatalf("%d requests of %s", len(f.times[op]), op)
	}
	return f.times[op][1].Sub(f.times[op][0])
}

// waitsBy runs a service and returns a wait of each kind that has a random part.
func waitsBy(t *testing.T, src rand.Source) map[string]string {
	waits := map[string]string{}
	kit.Bubble(t, func(t *testing.T) {
		base, tap := chassistest.New(t), &kit.Tap{}
		faults := &faultsOfEach{times: map[string][]time.Time{}, answer: map[string]string{
			"ReceiveMessage":     "",
			"SendMessageBatch":   `{"Successful":[],"Failed":[{"Id":"0","Code":"InternalError","SenderFault":false}]}`,
			"DeleteMessageBatch": `{"Successful":[],"Failed":[{"Id":"0","Code":"InternalError","SenderFault":false}]}`,
		}}
		client, err := sqsclient.New(t.Context(), sqsclient.Settings{MaxAttempts: 1}, sqsclient.WithHTTPClient(tap))
		if err != nil {
			t.Fatal(err)
		}
		sys := kit.Tapped(t, base, tap, chassistest.Options(chassis.WithSQS(client), chassis.WithRandom(src)),
			chassistest.Settings(func(s *chassis.Settings) {
				s.CircuitBreaker.Settings = breaker.Settings{ClosedFailLimit: 1, HalfSuccessLimit: 1, OpenJitter: 1, Ramp: time.Hour}
			}))
		tap.Set(faults.before)
		mail := sys.Breaker("https://mail.internal")
		fails := task.Define[kit.Payload]("fails", task.Wait(10*time.Second, task.Random), task.MaxFailures(2))
		refused := task.Define[kit.Payload]("refused")
		chassis.Handle(sys.System, fails, func(context.Context, task.Job[kit.Payload]) error { return kit.ErrBroken })
		chassis.Handle(sys.System, refused, func(ctx context.Context, _ task.Job[kit.Payload]) error {
			return mail.Do(ctx, "", func(context.Context) error { return nil })
		})
		kit.Begin(t, sys)
		id := chassistest.Send(sys, fails, kit.Payload{})
		waits["the task's own"] = sys.WaitFor(id, dispatcher.Held).Wait.String()
		sys.WaitFor(id, dispatcher.SettledWell)

		_ = mail.Do(t.Context(), "", func(context.Context) error { return kit.ErrBroken })
		open, ok := errors.AsType[*breaker.OpenError](mail.Check(""))
		if !ok {
			t.Fatal("the breaker is not open")
		}
		waits["open_jitter"] = open.RetryAfter().String()
		id = chassistest.Send(sys, refused, kit.Payload{})
		waits["after a refusal"] = (sys.WaitFor(id, dispatcher.Held).Wait - open.RetryAfter()).String()
		sys.WaitFor(id, dispatcher.Succeeded)

		time.Sleep(30 * time.Minute) // to the middle of the ramp
		for range 32 {
			passed := mail.Do(t.Context(), "", func(context.Context) error { return nil }) == nil
			waits["ramp"] += fmt.Sprint(passed)[:1]
		}
		for _, op := range []string{"ReceiveMessage", "SendMessageBatch", "DeleteMessageBatch"} {
			waits[op] = faults.pause(t, op).String()
		}
		if err := sys.Stop(t.Context()); err != nil {
			t.Error(err)
		}

		// The client that New makes itself tries again, too.
		s := chassis.DefaultSettings()
		s.Queue = queue.Settings{}
		own, err := chassis.New("own", chassis.WithSettings(s), chassis.WithEmbedded(base.Queue), chassis.WithRandom(src),
			chassis.WithoutDefaultLogger(), chassis.WithLogOutput(io.Discard), kit.ForTests)
		if err != nil {
			t.Fatal(err)
		}
		delay, err := own.SQS().Options().Retryer.RetryDelay(1, kit.ErrBroken)
		if err != nil {
			t.Fatal(err)
		}
		waits["tries"] = delay.String()
		if err := own.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return waits
}

// The waits of two runs with one source are equal, and those with another differ.
func TestRandomnessIsThatOfTheSource(t *testing.T) {
	first, again, other := waitsBy(t, rand.NewPCG(1, 2)), waitsBy(t, rand.NewPCG(1, 2)), waitsBy(t, rand.NewPCG(3, 4))
	for kind, wait := range first {
		if again[kind] != wait {
			t.Errorf("%s: %s, then %s", kind, wait, again[kind])
		}
		if other[kind] == wait {
			t.Errorf("%s: %s by another source, too", kind, wait)
		}
	}
	t.Log(first)
	if len(first) != 8 {
		t.Errorf("%d kinds of waits were seen, want 8", len(first))
	}
	_ = waitsBy(t, nil)
}
