package dispatcher_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/dispatcher"
)

// listening is an actor that keeps the events it gets.
type listening struct {
	mu     sync.Mutex
	events []*dispatcher.Event
}

func (l *listening) Receive(c actor.Context) {
	if e, ok := c.Message().(*dispatcher.Event); ok {
		l.mu.Lock()
		l.events = append(l.events, e)
		l.mu.Unlock()
		e.Task = "changed by a subscriber" // no other subscriber is to see that
	}
}

func (l *listening) take() []*dispatcher.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.events
	l.events = nil
	return list
}

func TestEventsComeAsMessagesByCreditAndSayWhatWasMissed(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var a, b listening
		first := r.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &a }))
		second := r.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &b }))
		defer r.system.Root.Stop(second)
		for _, to := range []*actor.PID{first, second} {
			if err := r.client.Subscribe(r.ctx(), to, 3); err != nil {
				t.Fatal(err)
			}
		}
		r.handle("t", func(context.Context, raw) error { return nil })
		r.send("t", nil)
		r.after(time.Second)
		got := a.take()
		if len(got) != 3 || got[0].Kind != dispatcher.Received || got[2].Kind != dispatcher.Succeeded || got[0].Missed != 0 {
			t.Errorf("%+v", got)
		}
		for i, e := range b.take() {
			if e == got[i] || e.ExecID != got[i].ExecID || e.Missed != 0 {
				t.Errorf("both share %+v", e)
			}
		}
		if err := r.client.Subscribe(r.ctx(), first, 100); err != nil { // more credits
			t.Fatal(err)
		}
		r.send("t", nil)
		r.after(time.Second)
		if got = a.take(); len(got) != 4 || got[0].Missed != 1 || got[1].Missed != 0 {
			t.Errorf("%+v", got)
		}
		if err := r.client.Unsubscribe(r.ctx(), first); err != nil {
			t.Error(err)
		}
		if err := r.client.Unsubscribe(r.ctx(), first); err == nil {
			t.Error("it had no subscription any more")
		}
		r.send("t", nil)
		r.after(time.Second)
		if got = a.take(); len(got) != 0 {
			t.Errorf("after Unsubscribe: %+v", got)
		}
		r.system.Root.Stop(first)
		r.settle()
	})
}

func TestASubscriptionEndsWithItsActorAndSurvivesARestart(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var a listening
		to := r.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &a }))
		if err := r.client.Subscribe(r.ctx(), to, 0); err != nil {
			t.Fatal(err)
		}
		restart(r)
		r.handle("t", func(context.Context, raw) error { return nil })
		r.send("t", nil)
		r.after(time.Second)
		if got := a.take(); len(got) != 4 {
			t.Errorf("%+v", got)
		}
		r.system.Root.Stop(to)
		r.settle()
		if err := r.client.Unsubscribe(r.ctx(), to); err == nil {
			t.Error("it did not end with its actor")
		}
	})
}

func TestASubscriberThatBlocksHoldsUpNothing(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		release := make(chan struct{})
		to := r.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*dispatcher.Event); ok {
				<-release
			}
		}, actor.WithDispatcher(actor.NewSynchronizedDispatcher(300))))
		if err := r.client.Subscribe(r.ctx(), to, 1_000_000); err != nil {
			t.Fatal(err)
		}
		var ran atomic.Int32
		r.handle("t", func(context.Context, raw) error { ran.Add(1); return nil })
		for range 20 {
			r.send("t", nil)
		}
		r.after(time.Minute)
		if ran.Load() != 20 || r.left() != 0 {
			t.Errorf("%d runs, %d left", ran.Load(), r.left())
		}
		close(release)
		r.settle()
		r.system.Root.Stop(to)
		r.settle()
	})
}
