package dispatcher

import (
	"math"
	"strings"
	"time"
)

// What the pool knows of the services that its tasks call, and what follows from it.
// The decisions are pure: no clock, no actor. The actor's part is in gate.go.

// Services finds what guards the services that tasks call. Its methods and those of a
// [Service] return at once and may be called from any goroutine, but for Listen.
type Services interface {
	// Find returns what guards a URL, or nil while nothing does.
	Find(url string) Service
}

// Service is what guards one URL: the circuit breaker of a remote service.
type Service interface {
	// Look returns what a call would meet now. It is no call.
	Look() Outlook
	// Listen calls changed after each change until stop is called. Both may wait for
	// the guard.
	Listen(changed func()) (stop func(), err error)
}

// Outlook is what a call to a service would meet now.
type Outlook struct {
	State  Reach
	URL    string        // of the part of the service that is not well
	After  time.Duration // until State may change by itself; 0: not known
	Probes int           // Probing: calls that may be under way at once
	Taken  int           // Probing: of them, those under way, of any caller
	Share  float64       // Ramping: share of the usual calls
	Slots  uint64        // calls let through as probes so far
}

// Reach is how a service takes calls.
type Reach uint8

// The values of [Reach].
const (
	Admitting Reach = iota // all calls
	Refusing               // none
	Probing                // a few at a time
	Ramping                // a growing share
)

func (r Reach) String() string { return [...]string{"admitting", "refusing", "probing", "ramping"}[r] }

// room returns how many more attempts may begin that call the service, where inside
// are under way that began while it did not admit all. Each of unused doublings is for a
// probe that ended well without a call. workers bounds them all.
func (o Outlook) room(inside, unused, workers int) int {
	switch o.State {
	case Refusing:
		return 0
	case Probing:
		most := min(max(o.Probes, 1)<<min(unused, 16), workers)
		return max(most-max(inside, min(o.Taken, most)), 0)
	case Ramping:
		return max(max(int(o.Share*float64(workers)), 1)-inside, 0)
	}
	return math.MaxInt
}

const (
	// mostLearned is the number of services that a task is known to call, beyond those
	// that its definition names.
	mostLearned = 4
	// learnedFor is how long it is known after the last error that showed it, and how long
	// it is not learned after an attempt has shown the opposite.
	learnedFor = time.Hour
	// firstTrial and lastTrial are the pauses between attempts that begin although a service
	// refuses calls, where it is only learned that the task calls it.
	firstTrial = time.Second
	lastTrial  = 5 * time.Second
)

// behind is what is known of the services that a task calls.
type behind struct {
	named   []string // by its definition: all attempts call them
	learned []learned
	not     time.Time // until when nothing is learned
}

// learned is a service that attempts of the task were seen to call. Not all of them
// need to: an attempt at a time finds out, after pauses that double.
type learned struct {
	url   string
	until time.Time
	trial time.Time     // when the next attempt may find out
	pause time.Duration // after it
}

// learn notes that a service refused or failed a call of an attempt. It reports whether
// that is news.
func (b *behind) learn(url string, now time.Time) bool {
	if url == "" || b.covers(url) || now.Before(b.not) {
		return false
	}
	for i := range b.learned {
		if l := &b.learned[i]; l.url == url {
			l.until = now.Add(learnedFor)
			return false
		}
	}
	if len(b.learned) == mostLearned { // the oldest knowledge goes
		b.learned = b.learned[1:]
	}
	b.learned = append(b.learned, learned{url: strings.Clone(url), until: now.Add(learnedFor),
		trial: now.Add(firstTrial), pause: firstTrial})
	return true
}

// covers reports whether a service that the definition names lies within a URL.
func (b *behind) covers(url string) bool {
	for _, named := range b.named {
		if rest, ok := strings.CutPrefix(named, url); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// find returns what was learned of a URL, or nil.
func (b *behind) find(url string) *learned {
	for i := range b.learned {
		if b.learned[i].url == url {
			return &b.learned[i]
		}
	}
	return nil
}

// disprove forgets what was learned: an attempt ended well while the service refused
// calls, so not all attempts call it.
func (b *behind) disprove(now time.Time) {
	b.learned, b.not = nil, now.Add(learnedFor)
}

// expire forgets what was learned long ago.
func (b *behind) expire(now time.Time) {
	kept := b.learned[:0]
	for _, l := range b.learned {
		if now.Before(l.until) {
			kept = append(kept, l)
		}
	}
	b.learned = kept
}

// tried notes that an attempt begins to find out.
func (l *learned) tried(now time.Time) {
	l.pause = min(2*l.pause, lastTrial)
	l.trial = now.Add(l.pause)
}

// known reports whether there is anything to heed.
func (b *behind) known() bool { return b != nil && len(b.named)+len(b.learned) > 0 }

// outagePatience is the time for which the failures of a service that is known to be
// down spend nothing of a task's budget, from its first delivery or its when. After that
// they count, so a message that itself makes its service fail comes to an end.
const outagePatience = 24 * time.Hour

// price is what a failure spends of a task's budget.
type price uint8

const (
	costsOne      price = iota // one failure
	costsNothing               // nothing
	costsPresumed              // one that a FIFO pool has presumed, if there is one; else one failure
)

// priceOf returns what a failure spends that a call of a service ended with: nothing where
// the service was known to be down when the attempt ended. Elsewhere a process that has just
// begun may not know of an outage yet. What a FIFO pool presumes to be failures may have been
// waits in that outage, so this failure is one of them. o is zero if no service failed the call.
func priceOf(o Outlook, first, when, now time.Time) price {
	since := first
	if when.After(since) && when.Before(now) {
		since = when
	}
	switch {
	case o.URL == "" || !since.IsZero() && now.Sub(since) >= outagePatience:
		return costsOne
	case o.State == Refusing || o.State == Probing:
		return costsNothing
	}
	return costsPresumed
}
