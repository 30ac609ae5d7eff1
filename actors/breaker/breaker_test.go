package breaker_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/breaker"
)

var errBoom = errors.New("boom")

func newSystem(t testing.TB) *actor.ActorSystem {
	t.Helper()
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond))
	t.Cleanup(system.Shutdown)
	return system
}

func newBreaker(t testing.TB, s breaker.Settings, opts ...breaker.Option) *breaker.Breaker {
	t.Helper()
	b, err := breaker.Spawn(newSystem(t), "https://mail.internal", s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func fail(context.Context) error    { return errBoom }
func succeed(context.Context) error { return nil }

func TestTripsAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Settings{})
		ctx := t.Context()
		for i := range 10 {
			if err := b.Do(ctx, "/v1/send", fail); !errors.Is(err, errBoom) {
				t.Fatal(i, err)
			}
		}
		err := b.Do(ctx, "/v1/send", succeed)
		var open *breaker.OpenError
		if !errors.As(err, &open) || open.RetryAfter() != 10*time.Second || open.Entry != "" {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if b.State() != breaker.HalfOpen {
			t.Fatal(b.State())
		}
		for range 10 {
			if err := b.Do(ctx, "/v1/send", succeed); err != nil {
				t.Fatal(err)
			}
		}
		if b.State() != breaker.Closed {
			t.Fatal(b.State())
		}
		for _, tr := range b.Transitions(0) {
			t.Log(tr.LogValue())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := len(b.Snapshot().Entries); got != 1 {
			t.Fatalf("%+v", b.Snapshot().Entries)
		}
	})
}

func BenchmarkSuccess(b *testing.B) {
	br := newBreaker(b, breaker.Settings{})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_ = br.Do(ctx, "/v1/send", succeed)
	}
}

func BenchmarkSuccessParallel(b *testing.B) {
	br := newBreaker(b, breaker.Settings{})
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = br.Do(ctx, "/v1/send", succeed)
		}
	})
}

func BenchmarkRefusal(b *testing.B) {
	br := newBreaker(b, breaker.Settings{})
	_ = br.ForceOpen("", 0)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_ = br.Do(ctx, "/v1/send", succeed)
	}
}

func BenchmarkFailure(b *testing.B) {
	br := newBreaker(b, breaker.Settings{ClosedFailLimit: 1 << 30})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_ = br.Do(ctx, "/v1/send", fail)
	}
}
