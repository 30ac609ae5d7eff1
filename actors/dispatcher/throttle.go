package dispatcher

import (
	"math"
	"time"
)

// throttle bounds the requests that a pool spends on messages that it receives
// only to give them back. It is a bucket of tokens, one a request: time adds
// them slowly, and each message that could run at once adds [runShare]. Pure: the
// time is given.
//
// Thus a message that runs costs at most two requests more than it would without
// the limit, however many it lies among, and a pool in which nothing runs
// spends what the rate says.
type throttle struct {
	rate   float64   // requests a second that time adds
	most   float64   // tokens that the bucket holds
	tokens float64   // may be below zero
	filled time.Time // when time was last added; zero: the bucket is full
	batch  int       // messages given back in the batch that was paid last
	paid   time.Time // when that batch began
}

const (
	// batchPrice is what ten messages given back at once cost: a receive, two
	// sends (the first message does not wait for the others) and a delete.
	batchPrice = 4
	batchTime  = 10 * time.Millisecond
	// runShare is what a message that could run at once adds, in requests.
	runShare = 2
	// limitedRate is requests a second: 1 080 an hour where a task is at its
	// limit, for its runs are to cost less than two requests each.
	limitedRate = 0.3
	// throttleMost is what is spent at once, on a thousand messages.
	throttleMost = 400
)

// pausedRate is requests a second where nothing of a task may run, so that what
// lies behind its messages is found: 7 920 an hour, less what it costs to keep
// the leases of those that wait here, a request for ten of them in 75 s.
func pausedRate(waiting int) float64 { return max(2.2-float64(waiting)/750, limitedRate) }

func (t *throttle) fill(now time.Time) {
	if t.filled.IsZero() {
		t.tokens = t.most
	} else {
		t.tokens = min(t.tokens+t.rate*max(now.Sub(t.filled), 0).Seconds(), t.most)
	}
	t.filled = now
}

// ran notes a message that could run at once.
func (t *throttle) ran() { t.tokens = min(t.tokens+runShare, t.most) }

// gaveBack notes a message that could not, and went back.
func (t *throttle) gaveBack(now time.Time) {
	if t.batch++; t.batch > 10 || now.Sub(t.paid) > batchTime {
		t.fill(now)
		t.batch, t.paid = 1, now
		t.tokens -= batchPrice
	}
}

// credits returns how many messages may be asked for in addition to those
// that there is room for, and when to ask again if there are none.
func (t *throttle) credits(now time.Time) (n int, again time.Duration) {
	t.fill(now)
	if t.tokens >= batchPrice {
		return 10 * int(t.tokens/batchPrice), 0
	}
	return 0, time.Duration((batchPrice-t.tokens)/t.rate*float64(time.Second)) + time.Millisecond
}

// pace is a count of events in which each counts less as it gets older: about
// the number of the last half minute.
type pace struct {
	n  float64
	at time.Time
}

const paceTime = 30 * time.Second

func (p *pace) add(now time.Time) { p.n, p.at = p.value(now)+1, now }

func (p *pace) value(now time.Time) float64 {
	return p.n * math.Exp(-max(now.Sub(p.at), 0).Seconds()/paceTime.Seconds())
}

// parkLeast is how many messages of a task wait here at least if it may not
// run, max_held permitting.
const parkLeast = 100

// capacity returns how many messages of a task may wait here for their turn:
// what it runs in about a minute. lately is the number of its runs in the last
// half minute, rest how many messages may wait here in addition to all others'.
func capacity(limit int, lately float64, rest int) int {
	return max(min(max(parkLeast, 2*limit, int(2*lately)), rest), 0)
}

// delay returns how long a message stays away that found no room: twice the time
// since the first of them, from least to the 15 minutes of SQS. But
// what waits here must not run out before, if any of it runs: lately is the
// number of runs in the last half minute, parked how many wait.
func delay(since, least time.Duration, parked int, lately float64) time.Duration {
	d := 2 * since
	if lately >= 1 {
		d = min(d, time.Duration(float64(parked)/lately*float64(paceTime/2)))
	}
	return min(max(d, least), maxDelay)
}
