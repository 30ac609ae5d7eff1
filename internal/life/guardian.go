package life

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Config is what a [Guardian] is made of.
type Config struct {
	System *actor.ActorSystem
	Logger *slog.Logger

	// Props returns the props that are spawned in place of those given. It must not
	// change its argument.
	Props func(*actor.Props) *actor.Props

	// Print returns the value of a panic as text.
	Print func(any) string
}

// Guardian spawns and stops root actors: those of the chassis by [Guardian.Spawn],
// and its guests, the actors of the service, by [Guardian.SpawnGuest]. It leaves the
// system's Root alone, which is the service's: the With... methods of a RootContext
// change it in place, for all its users.
type Guardian struct {
	cfg    Config
	pauses *pauses
	root   *actor.RootContext

	mu     sync.Mutex // guards what follows
	guests []*guest   // in the order of their spawn, without those that have ended
	over   bool       // the stop has begun: no guest is spawned any more
}

type guest struct {
	pid   *actor.PID
	ended bool
}

// New returns a guardian of an actor system.
func New(cfg Config) *Guardian {
	p := &pauses{log: cfg.Logger, print: cfg.Print}
	p.paused, p.ending = map[actor.Process]*time.Timer{}, map[actor.Process]bool{}
	return &Guardian{cfg: cfg, pauses: p, root: actor.NewRootContext(cfg.System, nil).WithGuardian(&strategy{p, true})}
}

// System returns the actor system.
func (g *Guardian) System() *actor.ActorSystem { return g.cfg.System }

// Send sends a message to an actor.
func (g *Guardian) Send(pid *actor.PID, message any) { g.root.Send(pid, message) }

// Spawn starts an actor of the chassis. It restarts for ever; its mailbox must be
// that of a [Restarts].
func (g *Guardian) Spawn(props *actor.Props, name string) (*actor.PID, error) {
	pid, err := g.root.SpawnNamed(g.cfg.Props(props), name)
	if err != nil {
		return nil, fmt.Errorf("spawn the actor %s: %w", name, err)
	}
	return pid, nil
}

// SpawnOption changes how [Guardian.SpawnGuest] supervises an actor.
type SpawnOption func(*spawnOptions)

type spawnOptions struct{ strategy actor.SupervisorStrategy }

// SupervisedBy supervises the actor by a strategy of the service's own. A
// strategy that panics or escalates, which would end the process, stops the
// actor.
func SupervisedBy(strategy actor.SupervisorStrategy) SpawnOption {
	return func(o *spawnOptions) { o.strategy = strategy }
}

// SpawnGuest starts an actor of the service. It restarts for ever, with pauses, if
// no option says otherwise.
func (g *Guardian) SpawnGuest(props *actor.Props, name string, opts ...SpawnOption) (*actor.PID, error) {
	o := spawnOptions{strategy: &strategy{g.pauses, false}}
	for _, opt := range opts {
		opt(&o)
	}
	switch {
	case props == nil:
		return nil, fmt.Errorf("chassis: spawn the actor %q: its props are nil", name)
	case o.strategy == nil:
		return nil, fmt.Errorf("chassis: spawn the actor %q: its strategy is nil", name)
	case name == "" || strings.ContainsAny(name, "/$"):
		return nil, fmt.Errorf("chassis: spawn the actor %q: a name has at least one letter, and neither / nor $, "+
			"which the addresses of children have", name)
	case g.isOver():
		return nil, ErrStopped
	}
	own := &guest{}
	pid, err := g.spawnGuest(own, props, name, o.strategy)
	if err != nil {
		return nil, fmt.Errorf("chassis: spawn the actor %q: %w", name, err)
	}
	g.mu.Lock()
	own.pid = pid
	late := g.over
	if !late && !own.ended {
		g.guests = append(g.guests, own)
	}
	g.mu.Unlock()
	if late {
		g.root.Stop(pid)
		return nil, ErrStopped
	}
	return pid, nil
}

// spawnGuest spawns without a lock: the producer is the service's, and may spawn
// in its turn.
func (g *Guardian) spawnGuest(own *guest, props *actor.Props, name string,
	by actor.SupervisorStrategy) (pid *actor.PID, err error) {
	defer func() {
		if v := recover(); v != nil {
			pid, err = nil, fmt.Errorf("its producer panicked: %s", g.cfg.Print(v))
		}
	}()
	root := actor.NewRootContext(g.cfg.System, nil).WithGuardian(&contained{by, g.cfg.Logger, g.cfg.Print})
	return root.SpawnNamed(g.noted(own, g.cfg.Props(props)), name)
}

func (g *Guardian) isOver() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.over
}

// noted removes a guest that ends from the list.
func (g *Guardian) noted(own *guest, props *actor.Props) *actor.Props {
	return props.Configure(actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(c actor.ReceiverContext, m *actor.MessageEnvelope) {
			if _, ok := m.Message.(*actor.Stopped); ok {
				g.forget(own)
			}
			returned := false
			defer func() {
				if !returned && ByGoexit() {
					g.forget(own)
				}
			}()
			next(c, m)
			returned = true
		}
	}))
}

func (g *Guardian) forget(own *guest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	own.ended = true
	g.guests = slices.DeleteFunc(g.guests, func(o *guest) bool { return o == own })
}

// Stop stops an actor behind what is in its mailbox and waits for its end, or
// for the end of ctx. It stands in for Proto.Actor's PoisonFuture, which gives
// up after a fixed ten seconds.
func (g *Guardian) Stop(ctx context.Context, pid *actor.PID) error {
	alive, cancel := g.While(ctx, pid)
	defer cancel()
	process, _ := g.cfg.System.ProcessRegistry.Get(pid)
	if g.pauses.end(process) {
		g.root.Stop(pid) // it waits for its restart, and takes no message before
	} else {
		g.root.Poison(pid)
	}
	<-alive.Done()
	if cause := context.Cause(alive); !errors.As(cause, new(*Ended)) {
		return fmt.Errorf("the actor %s did not end: %w", pid.Id, cause)
	}
	g.pauses.ended(process)
	return nil
}

// StopGuests stops the guests, the last first, and lets no other be spawned. Each
// gets its part of the time until the deadline of ctx.
func (g *Guardian) StopGuests(ctx context.Context) error {
	g.mu.Lock()
	guests := slices.Clone(g.guests)
	g.over = true
	g.mu.Unlock()
	var errs []error
	for i := len(guests) - 1; i >= 0; i-- {
		part, cancel := ctx, context.CancelFunc(func() {})
		if deadline, ok := ctx.Deadline(); ok {
			part, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(i+1))
		}
		errs = append(errs, g.Stop(part, guests[i].pid))
		cancel()
	}
	return errors.Join(errs...)
}
