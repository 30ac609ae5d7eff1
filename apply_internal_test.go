package chassis

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/settings/watch"
)

// unending is a source of settings with a load that does not end, as where a
// Validate of the service's own waits for a lock.
type unending struct {
	source
	free chan struct{}
}

func (u unending) Follow(func(context.Context, watch.Reload[Settings])) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		select {
		case <-u.free:
			return nil
		case <-ctx.Done():
			return errors.New("the load that is under way did not end")
		}
	}, nil
}

func TestAStopWaitedForEverForALoadOfTheSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, err := New("test", WithSettings(DefaultSettings()), WithoutDefaultLogger(), WithLogOutput(io.Discard),
			WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
		if err != nil {
			t.Fatal(err)
		}
		free := make(chan struct{})
		sys.source = unending{sys.source, free}
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		err = sys.Stop(context.Background())
		if err == nil || !strings.Contains(err.Error(), "settings: the load that is under way did not end") || time.Since(begun) > 30*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		close(free)
	})
}
