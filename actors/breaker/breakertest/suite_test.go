package breakertest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sambatech/chassis/actors/breaker/breakertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// naive is a breaker as one would write it in a hurry: it opens and closes, but
// keeps no generations, no probes, and calls its listener with its lock held.
type naive struct {
	mu    sync.Mutex
	c     breakertest.Config
	state string
	fails int
	since time.Time
}

func (n *naive) State() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now()
}

func (n *naive) now() string {
	if n.state == "open" && time.Since(n.since) >= n.c.OpenFor {
		n.state, n.fails = "half-open", 0
	}
	return n.state
}

type refusal struct{}

func (refusal) Error() string { return "refused" }

func (n *naive) Do(ctx context.Context, fn func(context.Context) error) error {
	if n.State() == "open" {
		return refusal{}
	}
	err := fn(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		n.state, n.fails = "closed", 0
		return nil
	}
	if n.fails++; n.fails >= n.c.FailLimit || n.state == "half-open" {
		n.state, n.since = "open", time.Now()
		if n.c.OnChange != nil {
			n.c.OnChange()
		}
	}
	return err
}

// TestTheSuiteFindsWhatIsWrong puts a breaker with known faults through it.
func TestTheSuiteFindsWhatIsWrong(t *testing.T) {
	want := map[string]bool{
		"half-open closes after its successes":               true,
		"half-open stampede":                                 true,
		"panics that never trip":                             true,
		"a success of an earlier state arrives in half-open": true,
		"a failure of an earlier state arrives in half-open": true,
		"a success of an earlier state arrives in open":      true,
		"a caller's cancellation counted as failure":         true,
	}
	results := breakertest.Check(t, func(t *testing.T, c breakertest.Config) breakertest.Subject {
		n := &naive{c: c, state: "closed"}
		return breakertest.Subject{Do: n.Do, State: n.State, NoListener: true,
			Refused: func(err error) bool { return err == refusal{} }}
	})
	torture := 0
	for _, r := range results {
		if r.Torture {
			torture++
		}
		if got := r.Err != nil; got != want[r.Case] {
			t.Errorf("%s: %v, want a fault: %v", r.Case, r.Err, want[r.Case])
		}
		if r.Skipped != (r.Case == "reading the state inside a listener") {
			t.Errorf("%s: skipped: %v", r.Case, r.Skipped)
		}
	}
	if torture != 10 {
		t.Errorf("%d torture cases, want ten", torture)
	}
}
