package chassis

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// unending is a source of settings with a load that does not end, as where a
// Validate of the service's own waits for a lock.
type unending struct {
	inCode
	free chan struct{}
}

func (u unending) follow(context.Context, *System) (func(), error) { return func() { <-u.free }, nil }

func TestAStopWaitedForEverForALoadOfTheSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, err := New("test", WithSettings(DefaultSettings()), WithoutDefaultLogger(), WithLogOutput(io.Discard),
			WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
		if err != nil {
			t.Fatal(err)
		}
		free := make(chan struct{})
		sys.source = unending{inCode{sys}, free}
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
