package chassis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/internal/clip"
)

// SpawnOption changes how [System.Spawn] supervises an actor.
type SpawnOption func(*spawnOptions)

type spawnOptions struct{ strategy actor.SupervisorStrategy }

// SupervisedBy supervises the actor by a strategy of the service's own. A
// strategy that panics or escalates, which would end the process, stops the
// actor.
func SupervisedBy(strategy actor.SupervisorStrategy) SpawnOption {
	return func(o *spawnOptions) { o.strategy = strategy }
}

// Spawn starts an actor of the service as a part of the system, at the address
// name: see [System.PID]. It may be called from [New] on, until the stop begins.
//
// An actor that fails is restarted: at once up to ten times a minute, then after
// pauses of 100 ms to 10 s, for ever. [SupervisedBy] sets another strategy. Each
// failure is logged at ERROR.
//
// [System.Stop] stops it after the tasks have drained and before the breakers,
// the last that was spawned first, behind what is in its mailbox. One that does
// not end is named in the error.
func (s *System) Spawn(props *actor.Props, name string, opts ...SpawnOption) (*actor.PID, error) {
	o := spawnOptions{strategy: s.actors.guard}
	for _, opt := range opts {
		opt(&o)
	}
	switch {
	case props == nil:
		return nil, fmt.Errorf("chassis: spawn the actor %q: its props are nil", name)
	case o.strategy == nil:
		return nil, fmt.Errorf("chassis: spawn the actor %q: its strategy is nil", name)
	case name == "" || strings.ContainsAny(name, "/$"):
		return nil, fmt.Errorf("chassis: spawn the actor %q: a name has at least one letter, and neither / nor $, which the addresses of children have", name)
	}
	return s.actors.spawnOwn(props, name, o.strategy, s.Logger("chassis"))
}

// ownActor is an actor of Spawn.
type ownActor struct {
	pid   *actor.PID
	ended bool // guarded by actorSystem.mu
}

// spawnOwn spawns without a lock: the producer is the service's, and may spawn
// in its turn.
func (r *actorSystem) spawnOwn(props *actor.Props, name string, strategy actor.SupervisorStrategy, log *slog.Logger) (pid *actor.PID, err error) {
	if r.stopping() {
		return nil, ErrStopped
	}
	defer func() {
		if v := recover(); v != nil { // of its producer
			pid, err = nil, fmt.Errorf("chassis: spawn the actor %q: its producer panicked: %s", name, clip.Panic(v))
		}
	}()
	own := &ownActor{}
	pid, err = actor.NewRootContext(r.system, nil).WithGuardian(&contained{strategy, log}).SpawnNamed(r.noted(own, r.watch.Props(props)), name)
	if err != nil {
		return nil, fmt.Errorf("chassis: spawn the actor %q: %w", name, err)
	}
	r.mu.Lock()
	own.pid = pid
	late := r.over
	if !late && !own.ended {
		r.own = append(r.own, own)
	}
	r.mu.Unlock()
	if late {
		r.root.Stop(pid)
		return nil, ErrStopped
	}
	return pid, nil
}

func (r *actorSystem) stopping() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// noted has an actor that ends leave the list.
func (r *actorSystem) noted(own *ownActor, props *actor.Props) *actor.Props {
	return props.Configure(actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(c actor.ReceiverContext, m *actor.MessageEnvelope) {
			if _, ok := m.Message.(*actor.Stopped); ok {
				r.mu.Lock()
				own.ended = true
				r.own = slices.DeleteFunc(r.own, func(o *ownActor) bool { return o == own })
				r.mu.Unlock()
			}
			next(c, m)
		}
	}))
}

// stopOwn stops the actors of Spawn, the last first. Each gets its part of the
// time that is left.
func (r *actorSystem) stopOwn(ctx context.Context) error {
	r.mu.Lock()
	own := slices.Clone(r.own)
	r.over = true
	r.mu.Unlock()
	var errs []error
	for i := len(own) - 1; i >= 0; i-- {
		part := stopTimeout
		if deadline, ok := ctx.Deadline(); ok {
			part = time.Until(deadline) / time.Duration(i+1)
		}
		mine, cancel := context.WithTimeout(ctx, part)
		errs = append(errs, r.stop(mine, own[i].pid))
		cancel()
	}
	return errors.Join(errs...)
}
