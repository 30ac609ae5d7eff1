package dispatcher

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
)

type busyFor struct{ d time.Duration }

func (busyFor) Error() string               { return "busy" }
func (e busyFor) RetryAfter() time.Duration { return e.d }

type refusal struct {
	open bool
	d    time.Duration
}

func (refusal) Error() string               { return "open" }
func (e refusal) BreakerOpen() bool         { return e.open }
func (e refusal) RetryAfter() time.Duration { return e.d }

func TestWhatAnAnswerMeans(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		err  error
		kind outcomeKind
		wait time.Duration
		own  bool
	}{
		{"nil", nil, outDone, 0, false},
		{"an error", boom, outFailed, 0, false},
		{"cancel", task.Cancel(boom), outCancelled, 0, false},
		{"cancel, wrapped", fmt.Errorf("x: %w", task.Cancel(boom)), outCancelled, 0, false},
		{"arguments that do not fit", &task.ArgsError{Task: "t", Err: boom}, outUndecodable, 0, false},
		{"snooze", task.Snooze(time.Hour), outSnoozed, time.Hour, false},
		{"a snooze below zero", task.Snooze(-time.Hour), outSnoozed, 0, false},
		{"a wait of its own", task.RetryAfter(boom, time.Minute), outFailed, time.Minute, true},
		{"a wait of its own of nothing", task.RetryAfter(boom, 0), outFailed, 0, true},
		{"an open breaker", refusal{true, time.Minute}, outRefused, time.Minute, false},
		{"a breaker that is not open", refusal{false, 0}, outFailed, 0, false},
		{"the remote side's wait", busyFor{7 * time.Minute}, outFailed, 7 * time.Minute, false},
		{"a wait of 200 years", busyFor{200 * 365 * 24 * time.Hour}, outFailed, longest, false},
		{"cancel goes before snooze", errors.Join(task.Snooze(time.Hour), task.Cancel(boom)), outCancelled, 0, false},
	} {
		if o := classify(c.err); o.kind != c.kind || o.wait != c.wait || o.own != c.own {
			t.Errorf("%s: %+v", c.name, o)
		}
	}
}

// broken is an error of a user's type with a method that panics.
type broken struct{ inIs bool }

func (b broken) Error() string {
	if !b.inIs {
		panic("no text")
	}
	return "a text"
}
func (b broken) Is(error) bool {
	if b.inIs {
		panic("no comparison")
	}
	return false
}

func TestAnErrorWhoseMethodsPanicIsAFailureThatSaysSo(t *testing.T) {
	for _, err := range []error{broken{}, broken{inIs: true}, fmt.Errorf("around: %w", broken{inIs: true})} {
		o := read(err, func(error) outcome { return outcome{kind: outDone} })
		var p *task.PanicError
		if o.kind != outFailed || !errors.As(o.err, &p) || o.err.Error() == "" {
			t.Errorf("%T: %+v", err, o)
		}
	}
	for err, want := range map[error]outcomeKind{nil: outDone, task.Cancel(errors.New("x")): outCancelled} {
		if o := read(err, classify); o.kind != want || o.err != err {
			t.Errorf("%v: %+v", err, o)
		}
	}
	if o := read(nil, func(error) outcome { panic("in the reading") }); o.kind != outFailed {
		t.Errorf("a reading that panics: %+v", o)
	}
}

func TestOnAFIFOPoolSilentEndsAreFailuresButForTheLastRun(t *testing.T) {
	for _, c := range []struct{ failures, silent, max, want int }{
		{0, 0, 10, 0}, {0, 5, 10, 5}, {2, 5, 10, 7}, {2, 9, 10, 9}, {0, 30, 10, 9}, {9, 5, 10, 9}, {10, 5, 10, 10}, {12, 5, 10, 12}, {0, 5, 1, 0},
	} {
		l := ledger{failures: c.failures, silent: c.silent, max: c.max, ordered: true}.presume()
		if l.failures != c.want || l.silent != c.silent {
			t.Errorf("%+v: %+v", c, l)
		}
		if l := (ledger{failures: c.failures, silent: c.silent, max: c.max}).presume(); l.failures != c.failures {
			t.Errorf("standard, %+v: %+v", c, l)
		}
	}
}

// TestAFailedCallTakesThePlaceOfAPresumedFailure: what a FIFO pool presumes may have been
// waits for the service that has failed the call. All that a run was seen to fail ends the task.
func TestAFailedCallTakesThePlaceOfAPresumedFailure(t *testing.T) {
	for _, c := range []struct{ failures, silent, max, runs int }{
		{0, 0, 6, 6}, {0, 5, 6, 6}, {0, 2, 6, 6}, {2, 1, 6, 4}, {2, 9, 6, 4}, {0, 5, 1, 1}, {5, 5, 6, 1},
	} {
		l, runs := ledger{failures: c.failures, silent: c.silent, max: c.max, ordered: true}.presume(), 0
		for !l.exhausted() {
			l = l.confirm()
			l.failures++
			runs++
		}
		if runs != c.runs || l.failures != c.max || l.presumed != 0 || l.silent != c.silent {
			t.Errorf("%+v: given up after %d failed calls, %+v", c, runs, l)
		}
	}
	if l := (ledger{failures: 2, silent: 3, max: 6}).presume().confirm(); l.failures != 2 {
		t.Errorf("a standard pool has nothing presumed: %+v", l)
	}
}

// roomy is a room in which nothing is scarce.
func roomy() room {
	return room{holdLimit: 30 * time.Second, canHold: true, leaseLeft: 12 * time.Hour, keptLeft: 96 * time.Hour, retention: 96 * time.Hour}
}

func TestWhatFollowsAnAttempt(t *testing.T) {
	const hour = time.Hour
	fail := outcome{kind: outFailed, err: errors.New("x")}
	after := func(kind outcomeKind, wait time.Duration) outcome {
		return outcome{kind: kind, wait: wait, own: true, err: errors.New("x")}
	}
	with := func(change func(*room)) room {
		r := roomy()
		change(&r)
		return r
	}
	fifo := func(leaseLeft, keptLeft time.Duration) room {
		return with(func(r *room) { r.ordered, r.leaseLeft, r.keptLeft = true, leaseLeft, keptLeft })
	}
	ten := ledger{max: 10}
	for _, c := range []struct {
		name     string
		l        ledger
		o        outcome
		wait     time.Duration // the task's own
		r        room
		failures int
		kind     verdictKind
		pause    time.Duration
		reason   string
	}{
		{"done", ten, outcome{}, 0, roomy(), 0, finish, 0, ""},
		{"cancelled", ten, after(outCancelled, 0), 0, roomy(), 0, giveUp, 0, task.ReasonCancelled},
		{"undecodable", ten, after(outUndecodable, 0), 0, roomy(), 0, giveUp, 0, task.ReasonUndecodable},
		{"a failure, short wait", ten, fail, time.Second, roomy(), 1, hold, time.Second, ""},
		{"a failure, hold_limit exactly", ten, fail, 30 * time.Second, roomy(), 1, hold, 30 * time.Second, ""},
		{"a failure, longer", ten, fail, 31 * time.Second, roomy(), 1, reissue, 31 * time.Second, ""},
		{"a failure, days", ten, fail, 100 * hour, roomy(), 1, reissue, 100 * hour, ""},
		{"a failure, its own wait is shorter", ten, after(outFailed, time.Second), hour, roomy(), 1, hold, time.Second, ""},
		{"a failure, the remote side's wait is shorter", ten, outcome{kind: outFailed, wait: time.Second, err: errors.New("x")}, hour, roomy(), 1, reissue, hour, ""},
		{"the last failure", ledger{failures: 9, max: 10}, fail, 0, roomy(), 10, giveUp, 0, task.ReasonExhausted},
		{"the last but one", ledger{failures: 8, max: 10}, fail, time.Second, roomy(), 9, hold, time.Second, ""},
		{"silent ends are no failures", ledger{failures: 5, silent: 3, max: 7}, fail, time.Second, roomy(), 6, hold, time.Second, ""},
		{"snoozed", ten, after(outSnoozed, hour), 0, roomy(), 0, reissue, hour, ""},
		{"snoozed for a moment", ten, after(outSnoozed, time.Second), 0, roomy(), 0, hold, time.Second, ""},
		{"interrupted", ten, after(outInterrupted, 0), 0, roomy(), 0, reissue, 0, ""},
		{"refused", ten, after(outRefused, time.Minute), 0, roomy(), 0, reissue, time.Minute, ""},
		{"refused without a time", ten, after(outRefused, 0), 0, roomy(), 0, hold, openWait, ""},
		{"refused, and that spends", ten, after(outRefused, time.Minute), 0, with(func(r *room) { r.spendOpen = true }), 1, reissue, time.Minute, ""},
		{"refused for the last time", ledger{failures: 9, max: 10}, after(outRefused, time.Minute), 0, with(func(r *room) { r.spendOpen = true }), 10, giveUp, 0, task.ReasonExhausted},
		{"too many wait", ten, fail, time.Second, with(func(r *room) { r.canHold = false }), 1, reissue, time.Second, ""},
		{"less than six hours of lease would be left", ten, fail, time.Second, with(func(r *room) { r.leaseLeft = 6*hour + time.Second }), 1, reissue, time.Second, ""},
		{"six hours of lease and a bit", ten, fail, time.Second, with(func(r *room) { r.leaseLeft = 6*hour + 2*time.Second }), 1, hold, time.Second, ""},
		{"an old message", ten, fail, time.Second, with(func(r *room) { r.keptLeft = 5 * hour }), 1, reissue, time.Second, ""},
		{"a queue that keeps an hour, in its first half", ten, fail, time.Second, with(func(r *room) { r.retention, r.keptLeft = hour, 31*time.Minute }), 1, hold, time.Second, ""},
		{"a queue that keeps an hour, in its second half", ten, fail, time.Second, with(func(r *room) { r.retention, r.keptLeft = hour, 30*time.Minute }), 1, reissue, time.Second, ""},

		{"no copy fits, a long wait", ten, fail, 5 * hour, with(func(r *room) { r.full = true }), 1, hold, 5 * hour, ""},
		{"no copy fits, too long a wait", ten, fail, 7 * hour, with(func(r *room) { r.full = true }), 1, reissue, 7 * hour, ""},
		{"no copy fits, and too many wait", ten, fail, time.Second, with(func(r *room) { r.full, r.canHold = true, false }), 1, reissue, time.Second, ""},
		{"FIFO, a long wait in place", ten, fail, 5 * hour, fifo(12*hour, 96*hour), 1, hold, 5 * hour, ""},
		{"FIFO, longer", ten, fail, 7 * hour, fifo(12*hour, 96*hour), 1, hide, 7 * hour, ""},
		{"FIFO, all that SQS hides", ten, fail, 11 * hour, fifo(11*hour, 96*hour), 1, hide, 11 * hour, ""},
		{"FIFO, longer than SQS hides", ten, fail, 11*hour + 1, fifo(11*hour, 96*hour), 1, giveUp, 11*hour + 1, task.ReasonTooLate},
		{"FIFO, a day", ten, after(outFailed, 24*hour), 0, fifo(12*hour, 96*hour), 1, giveUp, 24 * hour, task.ReasonTooLate},
		{"FIFO, snoozed for a day", ten, after(outSnoozed, 24*hour), 0, fifo(12*hour, 96*hour), 0, giveUp, 24 * hour, task.ReasonTooLate},
		{"FIFO, older than the queue keeps it", ten, fail, hour, fifo(12*hour, hour), 1, giveUp, hour, task.ReasonTooLate},
		{"FIFO, old, a moment is left", ten, fail, hour, fifo(12*hour, hour+1), 1, hold, hour, ""},
		{"FIFO, a drain", ten, after(outInterrupted, 0), 0, fifo(12*hour, -hour), 0, hide, 0, ""},
		{"FIFO, silent ends are failures", ledger{silent: 8, max: 10, ordered: true}.presume(), fail, time.Second, fifo(12*hour, 96*hour), 9, hold, time.Second, ""},
		{"FIFO, the last of them", ledger{silent: 12, max: 10, ordered: true}.presume(), fail, time.Second, fifo(12*hour, 96*hour), 10, giveUp, 0, task.ReasonExhausted},
		{"silent ends of a standard pool are none", ledger{silent: 8, max: 10}.presume(), fail, time.Second, roomy(), 1, hold, time.Second, ""},
	} {
		l, v := decide(c.l, c.o, task.Backoff{Base: c.wait}, c.r)
		if l.failures != c.failures || v.kind != c.kind || v.wait != c.pause || v.reason != c.reason {
			t.Errorf("%s: %+v with %d failures, want {%v %v %s} with %d", c.name, v, l.failures, c.kind, c.pause, c.reason, c.failures)
		}
	}
}

func TestWhenSilentEndsUseUpTheBudget(t *testing.T) {
	for _, c := range []struct {
		l             ledger
		silentlySpent bool
		exhausted     bool
	}{
		{ledger{max: 1}, false, false},
		{ledger{silent: 3, max: 1}, false, false}, // the grace
		{ledger{silent: 4, max: 1}, true, false},
		{ledger{silent: 9, max: 10}, false, false},
		{ledger{silent: 10, max: 10}, true, false},
		{ledger{failures: 2, silent: 3, max: 5}, false, false},
		{ledger{failures: 2, silent: 4, max: 6}, true, false},
		{ledger{failures: 2, silent: 4, max: 7}, false, false},
		{ledger{failures: 10, max: 10}, false, true}, // the limit was lowered, or it is forged
		{ledger{silent: 12, max: 10, ordered: true}, false, false},
		{ledger{silent: 13, max: 10, ordered: true}, true, false},
		{ledger{silent: 3, max: 1, ordered: true}, false, false}, // one more run, whatever the drains took
		{ledger{failures: 1, silent: 3, max: 1, ordered: true}, false, true},
	} {
		if c.l.silentlySpent() != c.silentlySpent || c.l.exhausted() != c.exhausted {
			t.Errorf("%+v: silentlySpent %v, exhausted %v", c.l, c.l.silentlySpent(), c.l.exhausted())
		}
	}
}

// TestTheLastRunOfATaskThatNeverRanIsWrittenDown: without that, receives that were
// postponements of another process made it a dead letter.
func TestTheLastRunOfATaskThatNeverRanIsWrittenDown(t *testing.T) {
	for _, c := range []struct {
		name    string
		l       ledger
		written int
		ran     bool
		silent  int
		want    bool
	}{
		{"no silent end", ledger{max: 1}, 0, false, 0, false},
		{"two receives", ledger{silent: 2, max: 1}, 0, false, 2, false},
		{"the last but one by its receives", ledger{silent: 3, max: 1}, 0, false, 3, true},
		{"more by its receives", ledger{silent: 20, max: 1}, 0, false, 3, true},
		{"some are written", ledger{silent: 20, max: 1}, 2, false, 3, true},
		{"written down", ledger{silent: 3, max: 1}, 3, false, 3, false},
		{"written down, and one more", ledger{silent: 4, max: 1}, 3, false, 4, false},
		{"it ran", ledger{silent: 20, max: 1}, 0, true, 20, false},
		{"a larger budget", ledger{silent: 8, max: 10}, 0, false, 8, false},
		{"the last of a larger budget", ledger{silent: 9, max: 10}, 0, false, 9, true},
		{"written, of a larger budget", ledger{silent: 10, max: 10}, 9, false, 10, false},
		{"FIFO", ledger{silent: 20, max: 1, ordered: true}, 0, false, 20, false},
	} {
		l, ok := c.l.lastRun(c.written, c.ran)
		if ok != c.want || l.silent != c.silent {
			t.Errorf("%s: %v with %d silent ends, want %v with %d", c.name, ok, l.silent, c.want, c.silent)
		}
		if ok && (l.silentlySpent() || !(ledger{silent: l.silent + 1, max: l.max}).silentlySpent()) {
			t.Errorf("%s: %d silent ends are not the last but one", c.name, l.silent)
		}
		if !ok && !c.l.ordered && !c.ran && c.l.silentlySpent() && c.written < c.l.spentAt()-1 {
			t.Errorf("%s: it ends by receives alone", c.name)
		}
	}
}

func TestTheReasonNamesSilentEndsApart(t *testing.T) {
	for _, c := range []struct {
		err  silentError
		want string
	}{
		{silentError{failures: 2, silent: 4}, "2 failures, 4 deliveries that ended without a result (crashes, lost leases or lost answers), never seen to run"},
		{silentError{failures: 1, silent: 1, ran: true, last: "no route"}, "1 failure, 1 delivery that ended without a result (crashes, lost leases or lost answers); the last error was: no route"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		if !errors.Is(&c.err, ErrSilentDeliveries) {
			t.Error("it is not ErrSilentDeliveries")
		}
	}
}
