package chassis

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/lifecycle"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/internal/life"
)

// newActors makes the actor system with the options of the service.
func (s *System) newActors(opts []actor.ConfigOption) error {
	config := actor.Configure(append([]actor.ConfigOption{actor.WithLoggerFactory(s.log.SystemLogger())}, opts...)...)
	s.watch = lifecycle.New(lifecycle.Config{
		Logger: s.log.Unawaited("actors/lifecycle"), Muted: pools.IsTaskActor, Job: s.tasks.JobOf,
	})
	config.LoggerFactory = s.watch.Factory(config.LoggerFactory)
	system := life.NewSystem(config)
	logger := s.Logger("chassis")
	s.actors = life.New(life.Config{System: system, Logger: logger, Props: s.watch.Props, Print: clip.Panic})
	return s.watch.Start(system)
}

// Actors returns the actor system, to spawn actors of the service's own in and to send to any PID. The chassis
// leaves its Root and its Shutdown to the service: nothing that the chassis does is seen on Root, and
// [System.Stop] does not call Shutdown, which stops no actor and panics when it is called twice.
//
// An actor that is spawned by Root is supervised by Proto.Actor's default, ten restarts in ten seconds, and is the
// service's to stop. See [System.Spawn] for one in the chassis' order.
func (s *System) Actors() *actor.ActorSystem { return s.actors.System() }

// Lifecycle counts the failures, restarts and stops of actors, the service's and the chassis', and dead letters.
// Its events are published on the EventStream of [System.Actors], and to those that send a lifecycle.Subscribe to
// the address "lifecycle".
func (s *System) Lifecycle() *lifecycle.Watch { return s.watch }

// Spawn starts an actor of the service as a part of the system, at the address name: see [System.PID]. It may be
// called from [New] on, until the stop begins.
//
// An actor that fails is restarted: at once up to ten times a minute, then after pauses of 100 ms to 10 s, for
// ever. [SupervisedBy] sets another strategy. Each failure is logged at ERROR.
//
// [System.Stop] stops it after the tasks have drained and before the breakers, the last that was spawned first,
// behind what is in its mailbox. One that does not end is named in the error.
func (s *System) Spawn(props *actor.Props, name string, opts ...SpawnOption) (*actor.PID, error) {
	return s.actors.SpawnGuest(props, name, opts...)
}

// PID returns the address of an actor of the system by its name:
//
//	"breaker/https://mail.internal"   the breaker of that service
//	"dispatcher/<pool>"               executions and the task registry of a pool
//	"poller/<pool>"                   the conversation with the pool's queue
//	"logger"                          the log
//	"lifecycle"                       crashes, restarts and dead letters, as events
//	"shares"                          what several pools run at once
//	"addresses"                       questions that wait for answers, notices
//	<name>                            an actor of [System.Spawn]
//
// The address is good before the actor is there. What is sent to it while it is not is a dead letter, which is
// logged with the name; [actors.Ask] returns an error at once.
func (s *System) PID(name string) *actor.PID {
	if pid := s.breakers.PID(name); pid != nil {
		return pid
	}
	return s.Actors().NewLocalPID(name)
}

// Breaker returns the breaker of a remote service, scheme://host[:port], and spawns it at the first call; opts
// count at the first call only. Its limits are those of the settings' section circuit_breaker for this service. It
// works before [System.Start]. A system has at most 10 000 breakers and forgets idle ones, see [breaker.Group]:
// what is beyond is logged and not guarded. A redirect that a breaker's client follows to another service is
// guarded by that service's breaker, if any.
//
// Breaker panics if service is not a URL of this form, and after [System.Stop]; [breaker.Spawn] returns an error
// instead.
func (s *System) Breaker(service string, opts ...breaker.Option) *breaker.Breaker {
	b, err := s.breakers.Breaker(service, opts...)
	if err != nil {
		panic(fmt.Sprintf("chassis: Breaker(%q): %v", service, err))
	}
	return b
}

// Breakers returns all breakers, by service.
func (s *System) Breakers() []*breaker.Breaker { return s.breakers.Breakers() }
