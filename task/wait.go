package task

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Progression says how the pause grows with the number of failures n.
type Progression uint8

// The progressions of the Python chassis, of a base time w.
const (
	None       Progression = iota // 0 for n = 0, else w
	Arithmetic                    // w·n
	Geometric                     // w·n²
	Random                        // 0 for n = 0, else w·U(0.5, 2)
)

func (p Progression) valid() bool { return p <= Random }

func (p Progression) String() string {
	switch p {
	case None:
		return "NONE"
	case Arithmetic:
		return "ARITHMETIC"
	case Geometric:
		return "GEOMETRIC"
	case Random:
		return "RANDOM"
	}
	return fmt.Sprintf("Progression(%d)", uint8(p))
}

// Backoff is the pause after a failure.
type Backoff struct {
	Base        time.Duration // default 10 s; 0 is the default unless set by the policy
	Progression Progression
	Cap         time.Duration // 0: none
	Jitter      float64       // 0 to 1, share of the pause by which it may vary

	set bool
}

// maxWait keeps a grown pause from overflowing; no pause is longer.
const maxWait = 100 * 365 * 24 * time.Hour

// Delay is the pause after the n-th failure, n counted over all deliveries.
// The random parts draw from the process's source.
func (w Backoff) Delay(n int) time.Duration { return w.DelayWith(n, rand.Float64) }

// DelayWith is [Backoff.Delay] with a source of numbers in [0, 1).
func (w Backoff) DelayWith(n int, random func() float64) time.Duration {
	if n < 0 {
		n = 0
	}
	factor := 0.0
	switch {
	case n == 0:
	case w.Progression == Arithmetic:
		factor = float64(n)
	case w.Progression == Geometric:
		factor = float64(n) * float64(n)
	case w.Progression == Random:
		factor = 0.5 + 1.5*random()
	default:
		factor = 1
	}
	limit := maxWait
	if w.Cap > 0 && w.Cap < limit {
		limit = w.Cap
	}
	d := min(float64(w.Base)*factor, float64(limit))
	if w.Jitter > 0 {
		d *= 1 + w.Jitter*(2*random()-1)
	}
	return time.Duration(math.Round(d))
}

func (w Backoff) String() string {
	s := fmt.Sprintf("%v %v", w.Base, w.Progression)
	if w.Cap > 0 {
		s += fmt.Sprintf(" up to %v", w.Cap)
	}
	return s
}
