package breaker_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/task"
)

func newLimited(t *testing.T, l breaker.Adaptive, s breaker.Settings) *breaker.Breaker {
	t.Helper()
	b, _ := newMail(t, http.DefaultTransport, s, breaker.WithLimit(l))
	return b
}

// inFlight returns the calls in flight, which must be given back in the end.
func inFlight(b *breaker.Breaker) int {
	s, _ := b.Limit()
	return s.InFlight
}

func TestARefusalByTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := breaker.Fixed(2)
		l.Queue = -1
		b := newLimited(t, l, breaker.Settings{})
		hang := make(chan struct{})
		var calls sync.WaitGroup
		for range 2 {
			calls.Go(func() { _ = b.Do(t.Context(), "/v1", func(context.Context) error { <-hang; return nil }) })
		}
		synctest.Wait()
		err := b.Do(t.Context(), "/v1", func(context.Context) error { t.Error("a third call"); return nil })
		refusal, ok := errors.AsType[*breaker.LimitError](err)
		if !ok || !errors.Is(err, breaker.ErrLimited) || errors.Is(err, breaker.ErrOpen) || refusal.Limit != 2 || refusal.Service != mailService {
			t.Fatalf("%#v", err)
		}
		if _, err := b.Acquire("/v1"); !errors.Is(err, breaker.ErrLimited) {
			t.Errorf("a permit: %v", err)
		}
		var open task.OpenBreaker // by this the tasks know that nothing was done
		if !errors.As(err, &open) || !open.BreakerOpen() || open.RetryAfter() < 10*time.Millisecond || open.RetryAfter() > 2*time.Second {
			t.Errorf("for a task: %v", open)
		}
		close(hang)
		calls.Wait()
		if s, ok := b.Limit(); !ok || s.InFlight != 0 || s.Refused != 2 || s.Limit != 2 || failures(b) != 0 {
			t.Errorf("%+v, %d failures", s, failures(b))
		}
		if err := b.Do(t.Context(), "/v1", func(context.Context) error { return nil }); err != nil {
			t.Errorf("when there is room: %v", err)
		}
	})
}

func TestTheQueueOfTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := breaker.Fixed(1)
		l.Queue, l.Wait = 3, 5*time.Second
		b := newLimited(t, l, breaker.Settings{})
		begun := time.Now()
		var order []int
		var errs [6]error
		var calls sync.WaitGroup
		gone, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		for i := range 6 {
			ctx := t.Context()
			if i == 3 {
				ctx = gone
			}
			calls.Go(func() {
				errs[i] = b.Do(ctx, "/v1", func(context.Context) error {
					order = append(order, i)
					time.Sleep(2 * time.Second)
					return nil
				})
			})
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		calls.Wait()
		if want := []int{0, 1, 2}; len(order) != 3 || order[0] != want[0] || order[1] != want[1] || order[2] != want[2] {
			t.Errorf("the order is %v, want %v", order, want)
		}
		if !errors.Is(errs[3], context.DeadlineExceeded) || !errors.Is(errs[4], breaker.ErrLimited) || !errors.Is(errs[5], breaker.ErrLimited) {
			t.Errorf("%v", errs)
		}
		if took := time.Since(begun); took > 7*time.Second {
			t.Errorf("all took %v", took)
		}

		hang := make(chan struct{})
		calls.Go(func() { _ = b.Do(t.Context(), "", func(context.Context) error { <-hang; return nil }) })
		synctest.Wait()
		begun = time.Now()
		err := b.Do(t.Context(), "", func(context.Context) error { return nil })
		if refusal, ok := errors.AsType[*breaker.LimitError](err); !ok || refusal.Waited != 5*time.Second || time.Since(begun) != 5*time.Second {
			t.Errorf("past the time of the queue: %v", err)
		}
		close(hang)
		calls.Wait()
		if n := inFlight(b); n != 0 {
			t.Errorf("%d in flight", n)
		}
	})
}

// TestPlacesAreGivenBack: however a call ends, and also if it never began.
func TestPlacesAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := breaker.Fixed(1)
		l.Wait = time.Second
		b := newLimited(t, l, breaker.Settings{ClosedFailLimit: 1000})
		calls := func(do func()) {
			var done sync.WaitGroup
			done.Go(func() {
				defer func() { _ = recover() }()
				do()
			})
			done.Wait()
			if n := inFlight(b); n != 0 {
				t.Errorf("%d in flight", n)
			}
		}
		calls(func() { _ = b.Do(t.Context(), "", func(context.Context) error { return errors.New("boom") }) })
		calls(func() { _ = b.Do(t.Context(), "", func(context.Context) error { panic("boom") }) })
		calls(func() { _ = b.Do(t.Context(), "", func(context.Context) error { runtime.Goexit(); return nil }) })
		calls(func() { p, _ := b.Acquire(""); p.Settle(breaker.Success) })
		calls(func() { p, _ := b.AcquireTimed(t.Context(), ""); p.Done(t.Context(), errors.New("boom")) })
		_ = b.ForceOpen("", 0)
		calls(func() { _ = b.Do(t.Context(), "", func(context.Context) error { return nil }) })
		_ = b.ForceClosed("", 0)
		calls(func() { _ = b.Do(t.Context(), "", func(context.Context) error { return nil }) })
		_ = b.Reset("")

		hang, began := make(chan struct{}), false
		var all sync.WaitGroup
		all.Go(func() { _ = b.Do(t.Context(), "", func(context.Context) error { <-hang; return nil }) })
		synctest.Wait()
		all.Go(func() {
			err := b.Do(t.Context(), "", func(context.Context) error { began = true; return nil })
			if !errors.Is(err, breaker.ErrOpen) {
				t.Errorf("it opened while a call waited, which got: %v", err)
			}
		})
		synctest.Wait()
		_ = b.ForceOpen("", 0)
		close(hang)
		all.Wait()
		if inFlight(b) != 0 || began {
			t.Errorf("%d in flight; a call began: %v", inFlight(b), began)
		}
	})
}

// TestAPlaceLastsToTheEndOfTheBody, on both protocols, and no longer.
func TestAPlaceLastsToTheEndOfTheBody(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		l := breaker.Fixed(1)
		l.Queue = -1
		base := serveInMemory(t, http2, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/bad" {
				w.WriteHeader(http.StatusBadGateway)
			}
			if r.URL.Path == "/hang" {
				<-r.Context().Done()
			}
			_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
		})
		b, client := newMail(t, base, breaker.Settings{}, breaker.WithLimit(l))
		res, err := client.Get(mailService + "/good")
		if err != nil {
			t.Fatal(err)
		}
		if n := inFlight(b); n != 1 {
			t.Errorf("%d in flight while the body is read", n)
		}
		if _, err := client.Get(mailService + "/good"); !errors.Is(err, breaker.ErrLimited) {
			t.Errorf("a second request: %v", err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if n := inFlight(b); n != 0 {
			t.Errorf("%d in flight after the end of the body", n)
		}
		_ = res.Body.Close()
		for _, path := range []string{"/good", "/bad", "/hang"} {
			if err := call(client, path, nil); path == "/hang" && !errors.Is(err, breaker.ErrTimeout) {
				t.Errorf("%s: %v", path, err)
			}
			if n := inFlight(b); n != 0 {
				t.Errorf("%s: %d in flight after the close", path, n)
			}
		}
	})
}

// TestAnAdaptiveLimitFindsTheCapacity: of a service that answers as fast as it can, one
// call of a place at a time.
func TestAnAdaptiveLimitFindsTheCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLimited(t, breaker.Adaptive{Max: 200, Queue: 100, Wait: time.Minute}, breaker.Settings{RequestTimeout: time.Minute})
		places := make(chan struct{}, 10)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var done atomic.Int64
		var workers sync.WaitGroup
		for range 80 {
			workers.Go(func() {
				for ctx.Err() == nil {
					_ = b.Do(ctx, "/v1", func(context.Context) error {
						places <- struct{}{}
						time.Sleep(time.Duration(45+10*rand.Float64()) * time.Millisecond)
						<-places
						done.Add(1)
						return nil
					})
				}
			})
		}
		workers.Wait()
		s, _ := b.Limit()
		if s.Limit < 8 || s.Limit > 25 || done.Load() < 5400 || s.Typical < 40*time.Millisecond || s.Typical > 100*time.Millisecond {
			t.Errorf("a limit of %d for a capacity of 10, %d of 6000 calls, %v each", s.Limit, done.Load(), s.Typical)
		}
	})
}

func TestBadLimits(t *testing.T) {
	for _, l := range []breaker.Adaptive{
		breaker.Fixed(-1), {Min: -1}, {Min: 5, Max: 4}, {Max: 2_000_000}, {Initial: 2000}, {Tolerance: 1}, {Tolerance: 11}, {Wait: -1},
	} {
		if _, err := breaker.Spawn(newSystem(t), mailService, breaker.Settings{}, breaker.WithLimit(l)); err == nil ||
			!strings.Contains(err.Error(), "WithLimit") {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// TestRefusalsOfALimitAreLoggedOnceAMinute: an operator sees that the limit is at work, and not
// a line for each call.
func TestRefusalsOfALimitAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines syncBuffer
		l := breaker.Fixed(1)
		l.Queue = -1
		b, _ := newMail(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }), breaker.Settings{},
			breaker.WithLimit(l), breaker.WithRetryBudget(0, 0), breaker.WithLogger(slog.New(slog.NewTextHandler(&lines, nil))))
		hang := make(chan struct{})
		go func() { _ = b.Do(t.Context(), "/v1", func(context.Context) error { <-hang; return nil }) }()
		synctest.Wait()
		for range 150 { // 2 minutes and a half
			_ = b.Do(t.Context(), "/v1", func(context.Context) error { return nil })
			time.Sleep(time.Second)
		}
		close(hang)
		synctest.Wait()
		retries := &http.Client{Transport: b.Transport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }), breaker.Retry(2))}
		for range 3 {
			_, _ = retries.Get(mailService)
		}
		text := lines.String()
		if n := strings.Count(text, "the limit of calls in flight of a circuit breaker refuses calls"); n != 3 {
			t.Errorf("%d lines of refused calls in 150 s, want 3", n)
		}
		if n := strings.Count(text, "retry budget of a circuit breaker is spent"); n != 1 {
			t.Errorf("%d lines of the budget, want 1", n)
		}
	})
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}
