package fleet

import (
	"fmt"
	"net"
	"testing"
	"time"

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
