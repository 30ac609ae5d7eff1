package breaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Breaker is the handle of one breaker actor. It stays valid over restarts of the
// actor, and after Stop, when every call gets [ErrStopped].
type Breaker struct {
	view    atomic.Pointer[view]
	mailbox atomic.Pointer[mailbox]

	origin
	system    *actor.ActorSystem
	pid       *actor.PID
	logger    *slog.Logger
	rules     *rules // nil: the defaults alone
	stopping  atomic.Bool
	schemeLen uint8
	own       owned
	redirects redirects
	httpCalls atomic.Pointer[httpCalls] // nil before the first one
}

// Option gives a breaker a collaborator.
type Option func(*Breaker) error

// WithLogger logs every transition to l. The default is not to log.
func WithLogger(l *slog.Logger) Option {
	return func(b *Breaker) error {
		if l == nil {
			return errors.New("breaker: WithLogger: the logger is nil")
		}
		b.logger = l
		return nil
	}
}

// WithRandom lets f draw the numbers in [0, 1) for open_jitter and for the share
// of ramp, from several goroutines. The default is math/rand/v2's own source.
func WithRandom(f func() float64) Option {
	return func(b *Breaker) error {
		if f == nil {
			return errors.New("breaker: WithRandom: the function is nil")
		}
		b.ruled().random = f
		return nil
	}
}

// draw returns a number in [0, 1).
func (b *Breaker) draw() float64 {
	if b.rules == nil || b.rules.random == nil {
		return rand.Float64()
	}
	return b.rules.random()
}

// Spawn starts the breaker of one service, scheme://host[:port], as an actor of
// its own. It fails if the service is not
// of that form, or the settings are wrong.
func Spawn(system *actor.ActorSystem, service string, s Settings, opts ...Option) (*Breaker, error) {
	if system == nil {
		return nil, errors.New("breaker: Spawn: the actor system is nil")
	}
	return spawn(system, nil, service, s, opts)
}

// SpawnUnder is [Spawn] for a child of the actor that c is the context of. The
// breaker ends with its parent, and the parent's strategy decides on its failures:
// restarted or resumed it goes on from the state that it had, stopped it has ended
// and later calls get [ErrStopped].
func SpawnUnder(c actor.Context, service string, s Settings, opts ...Option) (*Breaker, error) {
	if c == nil {
		return nil, errors.New("breaker: SpawnUnder: the context of the parent is nil")
	}
	return spawn(c.ActorSystem(), c, service, s, opts)
}

func spawn(
	system *actor.ActorSystem, parent actor.Context, service string, s Settings, opts []Option,
) (*Breaker, error) {
	scheme, host, err := parseService(service)
	if err != nil {
		return nil, err
	}
	set, err := newConfig(s)
	if err != nil {
		return nil, fmt.Errorf("breaker of %s: %w", service, err)
	}
	b := &Breaker{origin: origin{service: scheme + "://" + host}, system: system, schemeLen: uint8(len(scheme))}
	b.clock.start()
	for _, opt := range opts {
		if err := opt(b); err != nil {
			return nil, fmt.Errorf("breaker of %s: %w", service, err)
		}
	}
	if b.rules != nil && b.rules.limit != 0 && b.rules.classify == nil {
		return nil, fmt.Errorf("breaker of %s: WithBodyPeek without WithClassifier: nothing would look at the body",
			service)
	}
	t := tree{set: set, of: &b.origin, root: &node{}}
	if set.Trip == "rate" {
		t.root.tally = newTally(&set.Settings)
	}
	v := t.view()
	b.traced(v)
	b.view.Store(v)
	name := "breaker/" + host + "/" + system.ProcessRegistry.NextId()
	if b.logger != nil {
		b.own.more().listeners = []*listener{{b: b, f: b.log, ours: true}}
	}
	if err := b.spawn(parent, name); err != nil {
		return nil, fmt.Errorf("breaker of %s: spawn the actor: %w", service, err)
	}
	return b, nil
}

// PID returns the address of the actor, for messages. It stays the same for
// the breaker's whole life. The breaker of a [Group] that has given its PID away
// is never forgotten, so no message to it is lost.
func (b *Breaker) PID() *actor.PID {
	b.pin()
	return b.pid
}

// System returns the actor system that the breaker lives in.
func (b *Breaker) System() *actor.ActorSystem { return b.system }

// Service returns scheme://host[:port] in its one spelling: see [ParseService].
func (b *Breaker) Service() string { return b.service }

func (b *Breaker) scheme() string { return b.service[:b.schemeLen] }
func (b *Breaker) host() string   { return b.service[int(b.schemeLen)+len("://"):] }

func (b *Breaker) now() int64 { return b.clock.now() }

func (b *Breaker) wall(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return b.clock.base.Add(time.Duration(ns)).Round(0)
}

// Stop ends the actor, its timers, listeners and health calls. It returns when
// they have ended, or with ctx's error. Calls that are under way go on
// unguarded, later ones get [ErrStopped]. Stopping again is no error.
func (b *Breaker) Stop(ctx context.Context) error {
	if b.stopping.CompareAndSwap(false, true) {
		b.end()
	}
	stopped := make(chan struct{})
	go func() {
		b.own.ending.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("breaker of %s: wait for its actor to stop: %w", b.service, ctx.Err())
	}
}

// end stops the actor, or says that one that sleeps will not wake.
func (b *Breaker) end() {
	if v := b.view.Load(); v.kind == viewAsleep {
		<-v.dormant.ending
	}
	b.own.waking.Lock()
	defer b.own.waking.Unlock()
	if b.view.Load().kind == viewAsleep {
		b.publishStopped()
		return
	}
	actor.NewRootContext(b.system, nil).Stop(b.pid)
}
