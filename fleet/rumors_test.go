package fleet

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestEveryRumorIsSentAsOftenAsItShould: whatever else is queued meanwhile. A queue that
// loses one makes a member sleep through an outage.
func TestEveryRumorIsSentAsOftenAsItShould(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 7))
	var r rumors
	times := map[string]int{}
	last := map[string]string{}
	take := func() {
		for _, b := range r.next(3, 1000, 10) {
			times[string(b)]++
		}
	}
	for i := range 20_000 {
		if rnd.IntN(3) == 0 {
			name := fmt.Sprint("n", rnd.IntN(10))
			b := fmt.Sprintf("%-200s", fmt.Sprintf("%s v%d", name, i)) // all of one length
			if old := last[name]; old != "" && times[old] > 12 {
				t.Fatalf("%q was sent %d times", old, times[old])
			}
			last[name] = b
			r.put(name, []byte(b))
		}
		for range rnd.IntN(4) {
			take()
		}
	}
	for range 200 {
		take()
	}
	for name, b := range last {
		if times[b] != 2*retransmits {
			t.Errorf("the last message of %s was sent %d times, want %d", name, times[b], 2*retransmits)
		}
	}
	if len(r.each) != 0 || r.next(3, 1000, 10) != nil {
		t.Errorf("%d messages are left", len(r.each))
	}
}

// TestAWordThatReplacesTheOnlyOneIsNotLost: a member says that a service works, trips, and
// passes on the words of two others.
func TestAWordThatReplacesTheOnlyOneIsNotLost(t *testing.T) {
	var r rumors
	for _, w := range []string{"n1 good", "n1 trip", "n2 trip", "n3 trip"} {
		r.put(w[:2], []byte(w))
	}
	for range 2 * retransmits {
		if list := r.next(3, 1000, 10); len(list) != 3 {
			t.Fatalf("%q", list)
		}
	}
}

func TestRumorsAreBounded(t *testing.T) {
	var r rumors
	for i := range maxQueued + 100 {
		r.put(fmt.Sprint(i), make([]byte, 2000))
	}
	if len(r.each) != maxQueued {
		t.Errorf("%d are kept", len(r.each))
	}
	if list := r.next(3, 1000, 10); list != nil {
		t.Errorf("%d messages that do not fit", len(list))
	}
}
