package fleet

import (
	"fmt"
	"net"
	"testing"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/hashicorp/memberlist"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/fleet/internal/register"
)

// crowd makes a member believe in others, n2 to n9, which say nothing by themselves.
func crowd(f *Fleet) {
	for i := 2; i < 10; i++ {
		name := fmt.Sprintf("n%d", i)
		f.post(joined{name, &memberlist.Node{Name: name, Addr: net.IPv4(127, 0, 0, 1), Port: 9}})
	}
}

func word(member string, version uint64, kind register.Kind, round, closed uint64) register.Word {
	return register.Word{Member: member, Incarnation: 1, Version: version, Service: mail, Kind: kind, Round: round,
		Closed: closed, Left: 5000, Life: 60_000}
}

// TestWordsOfTwoRoundsInOneMessage: a member that hears of the end of a round and of the
// next outage at once doubts again. It slept through that outage.
func TestWordsOfTwoRoundsInOneMessage(t *testing.T) {
	_, f := joinAndStart(t, loopback())
	b := f.sys.Breaker(mail)
	crowd(f)
	tell := func(words ...register.Word) { f.net.offer(&message{Words: words}) }
	tell(word("n2", 1, register.Bad, 1, 0), word("n3", 1, register.Bad, 1, 0), word("n4", 1, register.Bad, 1, 0))
	eventually(t, "doubt", 5*time.Second, func() bool { return b.State() == breaker.HalfOpen })
	for range 2 {
		if err := b.Do(t.Context(), "", fine); err != nil {
			t.Fatal(err)
		}
	}
	if s := b.State(); s != breaker.Closed {
		t.Fatalf("its own calls make it %v", s)
	}
	tell(word("n5", 1, register.Good, 1, 1), word("n2", 2, register.Bad, 2, 1), word("n3", 2, register.Bad, 2, 1),
		word("n4", 2, register.Bad, 2, 1))
	eventually(t, "doubt in the next outage", 5*time.Second, func() bool { return b.State() == breaker.HalfOpen })
}

// TestALateWordUndoesNoLaterTrip: the round before is closed, a member hears that late,
// and has tripped again by then.
func TestALateWordUndoesNoLaterTrip(t *testing.T) {
	sys, f := joinAndStart(t, loopback())
	b := sys.Breaker(mail)
	crowd(f)
	f.net.offer(&message{Words: []register.Word{word("n2", 1, register.Bad, 1, 0), word("n3", 1, register.Bad, 1, 0),
		word("n4", 1, register.Bad, 1, 0)}})
	eventually(t, "doubt", 5*time.Second, func() bool { return b.State() == breaker.HalfOpen })
	for range 2 {
		if err := b.Do(t.Context(), "", fine); err != nil {
			t.Fatal(err)
		}
	}
	trip(sys, mail)
	f.net.offer(&message{Words: []register.Word{word("n2", 2, register.Good, 1, 1)}})
	eventually(t, "its own word", 5*time.Second, func() bool {
		for _, w := range knows(t, f).Words {
			if w.Member == f.name && w.Kind == register.Bad && w.Closed == 1 && w.Round == 2 {
				return true
			}
		}
		return false
	})
	if s := b.State(); s != breaker.Open {
		t.Errorf("a word from before its trip makes it %v: %+v", s, b.Transitions(0))
	}
}

// TestATransitionThatIsLostHoldsNothingUp: the agent waits for a transition that is on its
// way. If it was lost in a crash, the agent goes on with what the breaker says.
func TestATransitionThatIsLostHoldsNothingUp(t *testing.T) {
	sys := newSystem(t)
	defer stop(t, sys)
	f, err := Join(sys, loopback())
	if err != nil {
		t.Fatal(err)
	}
	swallow, err := sys.Spawn(actor.PropsFromFunc(func(actor.Context) {}), breaker.FleetAgent)
	if err != nil {
		t.Fatal(err)
	}
	b := sys.Breaker(mail)
	a := &agent{f: f, book: f.book, self: swallow, root: sys.Actors().Root}
	a.breakers[mail] = known{Pointer: weak.Make(b)}
	a.alive = map[string]bool{f.name: true, "n2": true, "n3": true}
	hear := func(words ...register.Word) {
		for _, w := range words {
			a.words.Hear(w, true, f.now())
		}
	}
	k := register.Key{Service: mail}
	hear(word("n2", 1, register.Bad, 1, 0), word("n3", 1, register.Bad, 1, 0))
	a.apply(k)
	if b.State() != breaker.HalfOpen {
		t.Fatalf("it does not doubt: %v", b.State())
	}
	_ = b.Do(t.Context(), "", down) // its transition is lost
	hear(word("n2", 2, register.Good, 1, 1))
	a.apply(k)
	if b.State() != breaker.Open || !a.waiting[k] || !a.breakers[mail].behind {
		t.Fatalf("a failure that the agent does not know of yet was undone: %v, waiting %v", b.State(), a.waiting)
	}
	a.onTick()
	a.timer.Stop()
	if b.State() != breaker.Closed || len(a.waiting) > 0 {
		t.Errorf("a transition that never comes holds the fleet up: %v, waiting %v", b.State(), a.waiting)
	}
}
