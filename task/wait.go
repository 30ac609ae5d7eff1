package task

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// Progression says how the pause grows with the number of failures n.
type Progression uint8

// The progressions of a base time w. The first four are those of the Python chassis,
// with its names: its Geometric grows by the square of n, and not by a constant factor.
const (
	None        Progression = iota // 0 for n = 0, else w
	Arithmetic                     // w·n
	Geometric                      // w·n²
	Random                         // 0 for n = 0, else w·U(0.5, 2)
	Exponential                    // 0 for n = 0, else w·2ⁿ⁻¹, with DefaultJitter
)

// DefaultJitter is the [Jitter] of [Exponential] unless the definition sets another:
// tasks that failed together do not come back together. It is the factor of
// cenkalti/backoff, the most used Go library for this.
const DefaultJitter = 0.5

func (p Progression) valid() bool { return p <= Exponential }

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
	case Exponential:
		return "EXPONENTIAL"
	}
	return fmt.Sprintf("Progression(%d)", uint8(p))
}

// Backoff is the pause after a failure.
type Backoff struct {
	Base        time.Duration // default 10 s; 0 is the default unless set by the policy
	Progression Progression
	Cap         time.Duration // 0: none
	Jitter      float64       // 0 to 1, share of the pause by which it may vary

	// Steps are the pauses after the first failures, in place of Base and Progression.
	// The last is that of all later failures. [WaitFunc] fills them in.
	Steps []time.Duration

	set, jitterSet bool
	by             func(failures int) time.Duration
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
	base, factor := w.Base, 0.0
	switch {
	case n == 0:
	case len(w.Steps) > 0:
		base, factor = w.Steps[min(n, len(w.Steps))-1], 1
	case w.Progression == Arithmetic:
		factor = float64(n)
	case w.Progression == Geometric:
		factor = float64(n) * float64(n)
	case w.Progression == Random:
		factor = 0.5 + 1.5*random()
	case w.Progression == Exponential:
		factor = math.Exp2(float64(min(n-1, 62))) // of a nanosecond beyond maxWait
	default:
		factor = 1
	}
	limit := maxWait
	if w.Cap > 0 && w.Cap < limit {
		limit = w.Cap
	}
	d := min(float64(base)*factor, float64(limit))
	if w.Jitter > 0 {
		d *= 1 + w.Jitter*(2*random()-1)
	}
	return time.Duration(math.Round(d))
}

func (w Backoff) String() string {
	s := fmt.Sprintf("%v %v", w.Base, w.Progression)
	if len(w.Steps) > 0 {
		s = fmt.Sprintf("%v and on", w.Steps[:min(len(w.Steps), 3)])
	}
	if w.Cap > 0 {
		s += fmt.Sprintf(" up to %v", w.Cap)
	}
	return s
}

// mostSteps bounds how often the function of [WaitFunc] is called.
const mostSteps = 1000

// ask fills Steps in from the function of [WaitFunc]. A panic of the function is an error.
func (w *Backoff) ask(most int) (err error) {
	n := 1
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("WaitFunc: the function panicked for %d failures: %s", n, clip.Panic(r))
		}
	}()
	for ; n <= max(1, min(most-1, mostSteps)); n++ {
		d := w.by(n)
		if d < 0 {
			return fmt.Errorf("WaitFunc: the function returned %v for %d failures: must not be negative", d, n)
		}
		w.Steps = append(w.Steps, d)
	}
	return nil
}
