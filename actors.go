package chassis

import (
	"context"
	"fmt"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/lifecycle"
)

// actorSystem is the actor system of a service, and what the chassis does there
// under contexts of its own. The system's Root is the service's: the With...
// methods of a RootContext change it in place, for everybody.
type actorSystem struct {
	system *actor.ActorSystem
	root   *actor.RootContext // under the guardian
	watch  *lifecycle.Watch
	guard  *guardian

	mu   sync.Mutex
	own  []*ownActor // of Spawn, in that order, without those that have ended
	over bool        // the stop has begun: none is spawned any more
}

// newActorSystem makes the actor system with the options of the service.
func newActorSystem(s *System, opts []actor.ConfigOption) (*actorSystem, error) {
	config := actor.Configure(append([]actor.ConfigOption{actor.WithLoggerFactory(s.log.SystemLogger())}, opts...)...)
	r := &actorSystem{guard: newGuardian(), watch: lifecycle.New(lifecycle.Config{
		Logger: s.log.Unawaited("actors/lifecycle"), Muted: isTaskActor, Job: s.jobOf,
	})}
	config.LoggerFactory = r.watch.Factory(config.LoggerFactory)
	r.system = actor.NewActorSystemWithConfig(config)
	r.root = actor.NewRootContext(r.system, nil).WithGuardian(r.guard)
	return r, r.watch.Start(r.system)
}

// spawn starts an actor of the chassis under the guardian.
func (r *actorSystem) spawn(props *actor.Props, name string) (*actor.PID, error) {
	pid, err := r.root.SpawnNamed(r.watch.Props(props), name)
	if err != nil {
		return nil, fmt.Errorf("spawn the actor %s: %w", name, err)
	}
	return pid, nil
}

// stop stops an actor behind what is in its mailbox and waits for its end, or
// for the end of ctx. It stands in for Proto.Actor's PoisonFuture, which gives
// up after a fixed ten seconds.
func (r *actorSystem) stop(ctx context.Context, pid *actor.PID) error {
	end := r.watchEnd(pid)
	defer end.cancel()
	process, _ := r.system.ProcessRegistry.Get(pid)
	if r.guard.end(process) {
		r.root.Stop(pid) // it waits for its restart, and takes no message before
	} else {
		r.root.Poison(pid)
	}
	select {
	case <-end.gone:
		r.guard.ended(process)
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the actor %s did not end: %w", pid.Id, context.Cause(ctx))
	}
}

// Actors returns the actor system, to spawn actors of the service's own in and
// to send to any PID. The chassis leaves its Root and its Shutdown to the
// service: nothing that the chassis does is seen on Root, and [System.Stop] does
// not call Shutdown, which stops no actor and panics when it is called twice.
//
// An actor that is spawned by Root is supervised by Proto.Actor's default, ten
// restarts in ten seconds, and is the service's to stop. See [System.Spawn] for
// one in the chassis' order.
func (s *System) Actors() *actor.ActorSystem { return s.actors.system }

// Lifecycle counts the failures, restarts and stops of actors, the service's
// and the chassis', and dead letters. Its events are published on the
// EventStream of [System.Actors], and to those that send a lifecycle.Subscribe
// to the address "lifecycle".
func (s *System) Lifecycle() *lifecycle.Watch { return s.actors.watch }
