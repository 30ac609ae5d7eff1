package breaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/asynkron/protoactor-go/actor"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/sambatech/chassis/actors/breaker"
)

var errService = errors.New("the service failed")

func succeed(context.Context) error { return nil }
func fail(context.Context) error    { return errService }

// do makes one guarded call.
type do func(ctx context.Context, fn func(context.Context) error) error

// config is what the peers are made alike by.
type config struct {
	failLimit int
	open      bool // refuse everything
}

func newSystem(tb testing.TB) *actor.ActorSystem {
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond))
	tb.Cleanup(system.Shutdown)
	return system
}

func newOurs(tb testing.TB, s breaker.Settings, opts ...breaker.Option) *breaker.Breaker {
	b, err := breaker.Spawn(newSystem(tb), "http://mail.internal", s, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Stop(context.Background()) })
	return b
}

func newGobreaker(c config) *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{Timeout: time.Hour,
		ReadyToTrip: func(n gobreaker.Counts) bool { return int(n.ConsecutiveFailures) >= c.failLimit }})
}

func newFailsafe(c config) circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().WithFailureThreshold(uint(c.failLimit)).WithDelay(time.Hour).Build()
}

// impls are ours and the peers, and one that guards nothing. The peers that
// know no ctx are given a closure over it, which they need not allocate.
var impls = []struct {
	name string
	make func(tb testing.TB, c config) do
}{
	{"ours", func(tb testing.TB, c config) do {
		b := newOurs(tb, breaker.Settings{ClosedFailLimit: c.failLimit, OpenTimeout: time.Hour, OpenMax: time.Hour})
		return func(ctx context.Context, fn func(context.Context) error) error { return b.Do(ctx, "/v1/a/b/c", fn) }
	}},
	{"gobreaker", func(tb testing.TB, c config) do {
		b := newGobreaker(c)
		return func(ctx context.Context, fn func(context.Context) error) error {
			_, err := b.Execute(func() (struct{}, error) { return struct{}{}, fn(ctx) })
			return err
		}
	}},
	{"failsafe", func(tb testing.TB, c config) do {
		e := failsafe.With(newFailsafe(c))
		return func(ctx context.Context, fn func(context.Context) error) error {
			return e.Run(func() error { return fn(ctx) })
		}
	}},
	{"failsafe-permits", func(tb testing.TB, c config) do {
		b := newFailsafe(c)
		return func(ctx context.Context, fn func(context.Context) error) error {
			if !b.TryAcquirePermit() {
				return circuitbreaker.ErrOpen
			}
			err := fn(ctx)
			if err != nil {
				b.RecordError(err)
			} else {
				b.RecordSuccess()
			}
			return err
		}
	}},
	{"hystrix", func(tb testing.TB, c config) do {
		name := fmt.Sprint(tb.Name(), time.Now().UnixNano())
		hystrix.ConfigureCommand(name, hystrix.CommandConfig{Timeout: 60_000, MaxConcurrentRequests: 1000,
			RequestVolumeThreshold: c.failLimit, SleepWindow: 3_600_000, ErrorPercentThreshold: 100})
		return func(ctx context.Context, fn func(context.Context) error) error {
			return hystrix.DoC(ctx, name, fn, nil)
		}
	}},
	// The limit: two loads of an atomic pointer around a call, as exact as it gets without a write.
	{"limit", func(tb testing.TB, c config) do {
		l := newLimit(c.open)
		return l.do
	}},
}

type limit struct{ p atomic.Pointer[bool] }

func newLimit(open bool) *limit {
	l := &limit{}
	l.p.Store(&open)
	return l
}

//go:noinline
func (l *limit) do(ctx context.Context, fn func(context.Context) error) error {
	p := l.p.Load()
	if *p {
		return errService
	}
	err := fn(ctx)
	if l.p.Load() != p {
		return errService
	}
	return err
}

// guarded is do with a deferred function that does nothing: what a call costs
// of which a panic or a runtime.Goexit is not to be missed.
//
//go:noinline
func (l *limit) guarded(ctx context.Context, fn func(context.Context) error) error {
	p := l.p.Load()
	if *p {
		return errService
	}
	defer nothing()
	err := fn(ctx)
	if l.p.Load() != p {
		return errService
	}
	return err
}

//go:noinline
func nothing() {}

// copying is a transport that does no more than to give each request a ctx of
// its own, which takes a copy of it. One with a deadline must do as much.
type copying struct{ base http.RoundTripper }

type ownCtx struct{ context.Context }

func (c copying) RoundTrip(req *http.Request) (*http.Response, error) {
	return c.base.RoundTrip(req.WithContext(&ownCtx{req.Context()}))
}

// forEach runs a benchmark of every implementation, closed or open.
func forEach(b *testing.B, c config, run func(b *testing.B, call do)) {
	for _, impl := range impls {
		b.Run(impl.name, func(b *testing.B) {
			call := impl.make(b, c)
			if c.open {
				for range c.failLimit {
					_ = call(context.Background(), fail)
				}
				if impl.name == "hystrix" {
					time.Sleep(20 * time.Millisecond) // its counts arrive some time later
				}
				if err := call(context.Background(), succeed); err == nil {
					b.Fatal("it is not open")
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			run(b, call)
		})
	}
}

// TestMain gives the collector the room that it has in a program of ordinary
// size: with the few MB of a benchmark its cycles would be most of what is
// measured, for every implementation that allocates.
func TestMain(m *testing.M) {
	debug.SetGCPercent(1000)
	os.Exit(m.Run())
}
