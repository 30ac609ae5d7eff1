package chassis

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// guardian restarts a root actor for as long as it takes. Without one,
// Proto.Actor stops a root actor for good at its eleventh panic within ten
// seconds, and tells nobody.
var guardian = actor.NewRestartingStrategy()

// spawn starts an actor of the chassis under the guardian.
func spawn(system *actor.ActorSystem, props *actor.Props, name string) (*actor.PID, error) {
	pid, err := system.Root.WithGuardian(guardian).SpawnNamed(props, name)
	if err != nil {
		return nil, fmt.Errorf("spawn the actor %s: %w", name, err)
	}
	return pid, nil
}

// stopActor stops an actor behind what is in its mailbox and waits for its
// end, or for the end of ctx. It stands in for Proto.Actor's PoisonFuture,
// which gives up after a fixed ten seconds.
func stopActor(ctx context.Context, system *actor.ActorSystem, pid *actor.PID) error {
	ended := make(chan struct{})
	watcher := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started:
			c.Watch(pid)
			c.Poison(pid)
		case *actor.Terminated:
			close(ended)
			c.Stop(c.Self())
		}
	}))
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		system.Root.Stop(watcher)
		return fmt.Errorf("the actor %s did not end: %w", pid.Id, context.Cause(ctx))
	}
}
