package random

import (
	"math/rand/v2"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func take(draw func() float64) (list [4]float64) {
	for i := range list {
		list[i] = draw()
	}
	return list
}

func TestAStreamFollowsFromTheSourceAndTheName(t *testing.T) {
	base := take(New(rand.NewPCG(1, 2)).Of("a"))
	if again := take(New(rand.NewPCG(1, 2)).Of("a")); again != base {
		t.Errorf("the same source and name: %v, then %v", base, again)
	}
	for what, other := range map[string]*Streams{"b": New(rand.NewPCG(1, 2)), "a": New(rand.NewPCG(1, 3))} {
		if list := take(other.Of(what)); list == base {
			t.Errorf("stream %q of another source or name draws the same: %v", what, list)
		}
	}
}

func TestStreamsDoNotChangeEachOther(t *testing.T) {
	alone, streams := take(New(rand.NewPCG(1, 2)).Of("a")), New(rand.NewPCG(1, 2))
	a, b := streams.Of("a"), streams.Of("b")
	for i, want := range alone {
		_ = b()
		if got := a(); got != want {
			t.Errorf("draw %d of a is %v beside b, and %v alone", i, got, want)
		}
	}
}

func TestNoSource(t *testing.T) {
	if f := New(nil).Of("a"); f != nil {
		t.Error("without a source there is a stream")
	}
}

// Under -race this fails if a stream is not guarded.
func TestAStreamIsSharedByGoroutines(t *testing.T) {
	draw, seen := New(rand.NewPCG(1, 2)).Of("a"), sync.Map{}
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 250 {
				if v := draw(); v < 0 || v >= 1 {
					t.Errorf("%v is not in [0, 1)", v)
				} else if _, twice := seen.LoadOrStore(v, true); twice {
					t.Errorf("%v was drawn twice", v)
				}
			}
		})
	}
	work.Wait()
}
