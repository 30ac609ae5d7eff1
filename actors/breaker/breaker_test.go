package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

func fail(context.Context) error { return errBoom }

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

func TestSpawnRefusesGarbage(t *testing.T) {
	system := newSystem(t)
	for _, service := range []string{"", "mail", "mail.internal", "://x", "http://", "http://a/b", "http://a?x", "http://u@a", "http:a", "http://[::1", "http://a:b:c"} {
		if b, err := breaker.Spawn(system, service, breaker.Settings{}); err == nil {
			t.Errorf("%q was taken as %s", service, b.Service())
			_ = b.Stop(t.Context())
		} else if !strings.Contains(err.Error(), fmt.Sprintf("%q", service)) {
			t.Errorf("%q: the error does not say which: %v", service, err)
		}
	}
	for service, want := range map[string]string{"HTTP://Mail.Internal:80/": "http://mail.internal", "https://a:443": "https://a", "https://a:8443": "https://a:8443", "http://[::1]:80": "http://[::1]"} {
		b, err := breaker.Spawn(system, service, breaker.Settings{})
		if err != nil {
			t.Errorf("%s: %v", service, err)
			continue
		}
		if b.Service() != want {
			t.Errorf("%s became %s, want %s", service, b.Service(), want)
		}
		_ = b.Stop(t.Context())
	}
	if _, err := breaker.Spawn(nil, "http://a", breaker.Settings{}); err == nil {
		t.Error("no system was taken")
	}
	for name, opt := range map[string]breaker.Option{"logger": breaker.WithLogger(nil), "classifier": breaker.WithClassifier(nil), "health": breaker.WithHealth(nil)} {
		if _, err := breaker.Spawn(system, "http://a", breaker.Settings{}, opt); err == nil {
			t.Errorf("a nil %s was taken", name)
		}
	}
	if d := breaker.DefaultSettings(); d.RequestTimeout != 5*time.Second || d.OpenTimeout != 10*time.Second || d.ClosedFailLimit != 10 ||
		d.ClosedSuccessLimit != 1 || d.HalfFailLimit != 1 || d.HalfSuccessLimit != 10 {
		t.Errorf("the defaults are not those of the Python chassis: %+v", d)
	}
}
