package parts

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newGroup returns a group with these settings, and a channel that gets a value when
// it ends the service.
func newGroup(t *testing.T, set Settings) (*Group, chan struct{}) {
	t.Helper()
	fails := make(chan struct{}, 10)
	return NewGroup(Config{
		Settings: func() Settings { return set },
		Logger:   func(string) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) },
		Fail:     func() { fails <- struct{}{} },
	}), fails
}

// start opens and starts all parts of a group.
func start(t *testing.T, g *Group) {
	t.Helper()
	for _, step := range []func(context.Context) error{g.Open, g.StartSupport, g.StartIntake} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// stop stops all parts of a group, with that much time for the drain.
func stop(g *Group, drain time.Duration) (intake, support error) {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	g.Drain(ctx)
	return g.StopIntake(ctx), g.StopSupport(ctx)
}
