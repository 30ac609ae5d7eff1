package breaker

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
)

// scaled returns the size of a test: few under the race detector, full with
// CHASSIS_SCALE=full, usual otherwise.
func scaled(few, usual, full int) int {
	switch {
	case os.Getenv("CHASSIS_SCALE") == "full":
		return full
	case raceEnabled:
		return few
	}
	return usual
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

func fail(context.Context) error    { return errBoom }
func succeed(context.Context) error { return nil }

func newSystem(t testing.TB) *actor.ActorSystem {
	t.Helper()
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond))
	t.Cleanup(system.Shutdown)
	return system
}

func newBreaker(t testing.TB, s Settings, opts ...Option) *Breaker {
	t.Helper()
	b, err := Spawn(newSystem(t), "https://mail.internal", s, opts...)
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
