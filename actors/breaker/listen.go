package breaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/internal/clip"
)

// Listen calls f with every transition from now on, in order and one at a time,
// on a goroutine that lives only while there are any to deliver. A slow f, or
// one that panics, holds up no other: if it falls behind by more than the log
// holds, the Seq of the next transition shows the gap. f may use the breaker,
// but not wait for its Stop. The returned function ends it; a call of f that is
// under way goes on.
func (b *Breaker) Listen(f func(Transition)) (stop func(), err error) {
	if f == nil {
		return nil, errors.New("breaker: Listen: the function is nil")
	}
	l := &listener{b: b, f: f}
	err = b.order(func(s *state) error {
		l.next = s.b.view.Load().seq
		s.b.own.more().listeners = append(s.b.own.more().listeners, l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("breaker of %s: listen: %w", b.service, err)
	}
	return func() {
		l.off.Store(true)
		_ = b.order(func(s *state) error { s.drop(l); return nil })
	}, nil
}

// listener delivers transitions to one function.
type listener struct {
	b    *Breaker
	f    func(Transition)
	next uint64 // Seq that was delivered last; the delivering goroutine's
	busy atomic.Bool
	off  atomic.Bool
	ours bool // the listener of WithLogger
}

// announce passes transitions on to listeners and watchers. It never waits for them.
func (s *state) announce(changes []change, now int64) {
	b := s.b
	b.notifyFleet(changes, now)
	if b.own.rest == nil {
		return
	}
	for _, l := range b.own.more().listeners {
		if l.busy.CompareAndSwap(false, true) {
			b.own.ending.Add(1)
			go l.deliver()
		}
	}
	if len(b.own.more().watchers) == 0 {
		return
	}
	root := actor.NewRootContext(b.system, nil)
	for _, c := range changes {
		for _, pid := range b.own.more().watchers {
			t := b.transition(record{c, now})
			root.Send(pid, &t)
		}
	}
}

// deliver ends when there is nothing more to deliver. It waits for f alone.
func (l *listener) deliver() {
	over := false
	defer func() {
		if !over { // f ended the goroutine by runtime.Goexit
			go l.deliver()
			return
		}
		l.b.own.ending.Done()
	}()
	for {
		seq := l.b.view.Load().seq
		for _, t := range l.b.Transitions(l.next) {
			if l.off.Load() {
				over = true
				return
			}
			l.next = t.Seq
			l.call(t)
		}
		if seq != l.b.view.Load().seq {
			continue
		}
		l.busy.Store(false)
		if seq == l.b.view.Load().seq || !l.busy.CompareAndSwap(false, true) {
			over = true
			return
		}
	}
}

func (l *listener) call(t Transition) {
	defer func() {
		if r := recover(); r != nil && l.b.logger != nil {
			l.b.logger.Error("a listener of a circuit breaker panicked", slog.Any("transition", t),
				slog.String("panic", clip.Panic(r)), slog.String("stack", string(debug.Stack())))
		}
	}()
	l.f(t)
}

func (s *state) drop(l *listener) {
	more := s.b.own.more()
	more.listeners = slices.DeleteFunc(more.listeners, func(have *listener) bool { return have == l })
}

func (s *state) watch(c actor.Context, pid *actor.PID) {
	if pid == nil || slices.ContainsFunc(s.b.own.more().watchers, pid.Equal) {
		return
	}
	s.b.own.more().watchers = append(slices.Clone(s.b.own.more().watchers), pid)
	c.Watch(pid)
}

func (s *state) unwatch(c actor.Context, pid *actor.PID) {
	if s.b.own.rest == nil || pid == nil || !slices.ContainsFunc(s.b.own.rest.watchers, pid.Equal) {
		return
	}
	s.b.own.more().watchers = slices.DeleteFunc(slices.Clone(s.b.own.more().watchers), pid.Equal)
	c.Unwatch(pid)
}

// log is the listener of WithLogger.
func (b *Breaker) log(t Transition) {
	level := slog.LevelInfo
	if t.To == Open || t.To == ForcedOpen {
		level = slog.LevelWarn
	}
	b.logger.LogAttrs(context.Background(), level, "circuit breaker "+t.To.String(), slog.Any("transition", t))
}
