package poller

import "time"

// demand decides how many receives are under way, and how many messages each
// asks for. It is pure.
//
// There is one receive while there is little to do: a long poll of 20 s, 4 320
// requests a day for an idle pool. Each that comes back full doubles how many may
// be under way, each that does not takes that back.
//
// No receive asks for more than is wanted. A receive costs as much for one
// message as for ten: few credits wait for more, from executions that are about
// to end, as long as few slots stand idle meanwhile.
type demand struct {
	maxReceives int
	wait        time.Duration  // of a long poll
	random      func() float64 // from 0 to 1, for jitter

	credits   int // wanted, less what was delivered; may be negative
	slots     int // credits that there may be at once, as the subscriber said last: see [Want]
	asked     int // by receives under way
	underWay  int
	level     int       // receives to be under way at once, from 1
	few       time.Time // since when there are credits that wait for more
	failures  int       // rounds of receives that failed, in a row
	empties   int       // receives in a row that came back empty before their time
	notBefore time.Time // no receive before: back-off
	attempt   string    // FIFO: id of the receive that failed last, to be made again
	singly    time.Time // FIFO: until then a receive asks for one message
}

// most is how many messages a receive asks for.
func (d *demand) most(now time.Time) int {
	if now.Before(d.singly) {
		return 1
	}
	return maxBatchEntries
}

// oneByOne makes receives ask for one message until then. On a FIFO queue ten are often
// of one group, and each is a delivery. If the first of them ends its process again and
// again, the others behind it would use up their budget of silent ends without a run.
func (d *demand) oneByOne(until time.Time) {
	if until.After(d.singly) {
		d.singly = until
	}
}

const (
	// gatherPerSlot, by the number of slots and up to gatherMost, is how long
	// credits wait for a full receive. What stands idle meanwhile is at most
	// nine slots.
	gatherPerSlot = 200 * time.Microsecond
	gatherMost    = 20 * time.Millisecond
	// gatherMore is how long they wait for at least a sixteenth of all slots.
	gatherMore = 100 * time.Millisecond

	minBackoff      = 100 * time.Millisecond
	throttleBackoff = time.Second
	maxBackoff      = 20 * time.Second
)

// plan returns for how many messages the next receive asks, 0 for none now.
// Call it again after each receive that was begun.
func (d *demand) plan(now time.Time) int {
	free := d.credits - d.asked
	d.slots = max(d.slots, d.credits)
	if free <= 0 {
		d.few = time.Time{}
		return 0
	}
	if d.few.IsZero() {
		d.few = now
	}
	if d.underWay >= max(d.level, 1) || now.Before(d.notBefore) {
		return 0
	}
	most := d.most(now)
	if free < min(d.enough(now.Sub(d.few)), most) {
		return 0
	}
	return min(free, most)
}

// enough is how many credits make a receive worth its price, when the first of
// them has waited for age.
func (d *demand) enough(age time.Duration) int {
	switch {
	case age < d.gather():
		return min(d.slots, maxBatchEntries)
	case age < gatherMore:
		return min(max(d.slots/16, 1), maxBatchEntries)
	}
	return 1
}

func (d *demand) gather() time.Duration {
	return min(time.Duration(d.slots)*gatherPerSlot, gatherMost)
}

// wake is when plan is to be asked again although nothing has happened; false
// if that cannot change anything.
func (d *demand) wake(now time.Time) (time.Time, bool) {
	if d.credits-d.asked <= 0 || d.underWay >= max(d.level, 1) {
		return time.Time{}, false
	}
	switch {
	case now.Before(d.notBefore):
		return d.notBefore, true
	case now.Sub(d.few) < d.gather():
		return d.few.Add(d.gather()), true
	}
	return d.few.Add(gatherMore), true
}

// want takes credits, or takes them back. slots is how many there may be at
// once from now on; 0: as before.
func (d *demand) want(credits, slots int) {
	d.credits += credits
	switch {
	case slots > 0:
		d.slots = slots
	case credits < 0:
		d.slots = max(d.slots+credits, 0)
	}
}

func (d *demand) began(asked int) {
	d.asked += asked
	d.underWay++
	d.few = time.Time{}
}

// received notes the answer to a receive that took elapsed.
func (d *demand) received(now time.Time, asked, got int, elapsed time.Duration) {
	d.ended(asked)
	d.credits -= got
	d.failures = 0
	switch {
	case got >= asked:
		d.level = min(max(d.level, 1)*2, d.maxReceives)
	case got > 0:
		d.level = max(d.level-1, 1)
	default:
		d.level = 1
	}
	if got > 0 || elapsed >= d.wait/2 {
		d.empties = 0
		return
	}
	// An answer without messages came before its time, so it was no long poll.
	// Without a pause receives would follow as fast as the queue answers.
	d.empties++
	d.pause(now, minBackoff, d.wait, d.empties)
}

// failed notes a receive that failed. Those that fail together count once.
func (d *demand) failed(now time.Time, asked int, throttled bool) {
	d.ended(asked)
	d.level = 1
	if now.Before(d.notBefore) {
		return
	}
	d.failures++
	least := minBackoff
	if throttled {
		least = throttleBackoff
	}
	d.pause(now, least, maxBackoff, d.failures)
}

func (d *demand) ended(asked int) {
	d.asked -= asked
	d.underWay--
}

// pause waits least, doubled by each time in a row, up to most. Half of it is
// jitter.
func (d *demand) pause(now time.Time, least, most time.Duration, times int) {
	wait := min(least<<min(times-1, 16), most)
	d.notBefore = now.Add(wait/2 + time.Duration(float64(wait/2)*d.random()))
}

// begin starts a new epoch: nothing is wanted yet. Receives under way go on.
func (d *demand) begin() {
	d.credits, d.slots, d.few = 0, 0, time.Time{}
}
