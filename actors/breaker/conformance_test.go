package breaker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/breaker/breakertest"
)

// subject is the adapter of this package to the suite, for calls to path.
func subject(path string) breakertest.Factory {
	return func(t *testing.T, c breakertest.Config) breakertest.Subject {
		b, err := breaker.Spawn(newSystem(t), "https://mail.internal", breaker.Settings{
			ClosedFailLimit: c.FailLimit, OpenTimeout: c.OpenFor, HalfProbeLimit: c.Probes, HalfSuccessLimit: c.Successes})
		if err != nil {
			t.Fatal(err)
		}
		if c.OnChange != nil {
			if _, err := b.Listen(func(breaker.Transition) { c.OnChange() }); err != nil {
				t.Fatal(err)
			}
		}
		return breakertest.Subject{
			Do:      func(ctx context.Context, fn func(context.Context) error) error { return b.Do(ctx, path, fn) },
			State:   func() string { return b.StateOf(path).String() },
			Refused: func(err error) bool { return errors.Is(err, breaker.ErrOpen) },
			Close:   func() { _ = b.Stop(context.Background()) },
		}
	}
}

func TestConformance(t *testing.T) {
	t.Run("service", func(t *testing.T) { breakertest.Run(t, subject("")) })
	t.Run("path", func(t *testing.T) { breakertest.Run(t, subject("/v1/send")) })
}
