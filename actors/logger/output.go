package logger

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/internal/clip"
)

// Back-off of a failing output: the waits double from the first to the last.
// After reportAfter failures in a row the outage is reported on stderr, once, and
// callers no longer wait for that output.
const (
	firstRetry  = 50 * time.Millisecond
	lastRetry   = 5 * time.Second
	reportAfter = 6 // about 1.5 s
)

// output is one descriptor, its ring, and what must survive a restart of the
// actor that writes to it.
type output struct {
	name      string
	form      *form
	ring      *ring
	min       slog.Level
	await     bool          // calls at ERROR and above wait for it
	errorWait time.Duration // at most so long; 0: as long as it takes
	stderr    func(string)  // where an outage is reported
	tail      *tail

	to       atomic.Pointer[address] // the actor, while there is one
	outdated atomic.Bool             // the file is to be opened again

	// The descriptor and what follows are used with writing held: by the
	// actor, and by callers without an actor.
	writing  sync.Mutex
	w        io.Writer
	failures int // in a row
	retryAt  time.Time
	since    time.Time // of the outage
	lastErr  string
	outage   bool      // reported, and not over
	reported time.Time // when dropped records were last reported

	health  atomic.Pointer[health]
	started atomic.Int64 // when the write under way began, ns since the epoch; 0 if none
	unsync  atomic.Uint64
	errs    atomic.Uint64
	writes  atomic.Uint64
}

type address struct {
	root *actor.RootContext
	pid  *actor.PID
}

// health is an outage as others may read it.
type health struct {
	Err   string
	Since time.Time
}

// submit takes one encoded record. It waits for room if the policy says so,
// and for the output if the record is an error.
func (o *output) submit(line []byte, level slog.Level, system bool) {
	if level < o.min {
		return
	}
	v := o.ring.append(line, level, system)
	for v.full {
		o.makeRoom()
		v = o.ring.append(line, level, system)
	}
	if v.wake {
		o.wake()
	}
	awaited := v.seq != 0 && level >= slog.LevelError && o.await && !system
	missed := false
	switch {
	case v.direct:
		o.drainDirect(system || o.stuck())
		missed = awaited && !o.ring.out(v.seq)
	case awaited:
		missed = !o.written(v.seq, o.errorWait)
	}
	if missed {
		o.unsync.Add(1)
	}
}

// makeRoom writes on the calling goroutine, and waits for as long as a failing
// output is given before the next attempt.
func (o *output) makeRoom() {
	o.writing.Lock()
	if wait, _ := o.drain(0); wait > 0 {
		o.ring.wait(wait)
	}
}

func (o *output) wake() {
	if to := o.to.Load(); to != nil {
		to.root.Send(to.pid, wakeUp)
	}
}

// written waits until every record up to seq is out.
func (o *output) written(seq uint64, limit time.Duration) bool {
	out, direct := o.ring.await(seq, limit, nil)
	if !out && direct {
		o.drainDirect(false)
		out = o.ring.out(seq)
	}
	return out
}

// drainDirect writes what is in the ring on the calling goroutine. One that
// must not wait leaves it to the goroutine that is writing: that one looks again
// before it goes.
func (o *output) drainDirect(nowait bool) {
	for {
		if nowait {
			if !o.writing.TryLock() {
				return
			}
		} else {
			o.writing.Lock()
		}
		o.drain(0)
		if !o.ring.waiting() || o.failing() {
			return
		}
	}
}

// stalledLong is how long a write may take before a stop, or a call after it, does
// not wait for it any more.
const stalledLong = 2 * time.Second

// stuck reports whether a write is under way that has taken that long.
func (o *output) stuck() bool {
	began := o.started.Load()
	return began != 0 && time.Since(time.Unix(0, began)) >= stalledLong
}

func (o *output) failing() bool { return o.health.Load() != nil }

// drain writes chunk after chunk until the ring is empty or, with most above 0,
// that many are written. The lock writing is held, and given up in the end,
// also by a panic of a function that the user gave. It returns how long to
// wait before it should be tried again (0: no need), and whether more is left.
func (o *output) drain(most int) (retry time.Duration, more bool) {
	defer o.writing.Unlock()
	if o.failures > 0 {
		if left := time.Until(o.retryAt); left > 0 {
			return left, true
		}
	}
	for i := 0; most == 0 || i < most; i++ {
		c := o.ring.take()
		if c == nil {
			if o.reportDropped(true) {
				continue // and write that
			}
			return 0, false
		}
		if err := o.write(c); err != nil {
			return o.failed(err), true
		}
		o.recovered()
		o.tail.add(c)
		o.ring.done(c)
		o.reportDropped(false)
	}
	return 0, true
}

// write hands a chunk to the descriptor, from where it got to.
func (o *output) write(c *chunk) error {
	for c.off < len(c.data) {
		n, err := o.writeOnce(c.data[c.off:])
		c.off += n
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrShortWrite
		}
	}
	return nil
}

func (o *output) writeOnce(b []byte) (n int, err error) {
	o.writes.Add(1)
	o.started.Store(time.Now().UnixNano())
	defer func() {
		o.started.Store(0)
		if r := recover(); r != nil {
			n, err = 0, fmt.Errorf("the writer panicked: %s", clip.Panic(r))
		}
		n = min(max(n, 0), len(b)) // whatever a writer claims
	}()
	return o.w.Write(b)
}

// failed notes a failure and returns the wait before the next attempt.
func (o *output) failed(err error) time.Duration {
	o.errs.Add(1)
	o.failures++
	o.lastErr = errorText(err)
	if o.failures == 1 {
		o.since = time.Now()
	}
	wait := min(firstRetry<<min(o.failures-1, 10), lastRetry)
	o.retryAt = time.Now().Add(wait)
	o.health.Store(&health{Err: o.lastErr, Since: o.since})
	if o.failures >= reportAfter && !o.outage {
		o.outage = true
		o.ring.setLossy(true)
		o.stderr(fmt.Sprintf("logger: output %s of service %s cannot be written since %s: %s; "+
			"it is tried again every %v, the oldest records are dropped when its buffer is full\n",
			o.name, o.form.service, o.since.Format(time.RFC3339), o.lastErr, lastRetry))
	}
	return wait
}

func (o *output) recovered() {
	if o.failures == 0 {
		return
	}
	lost := time.Since(o.since)
	if o.outage {
		o.ring.setLossy(false)
		o.note(slog.LevelWarn, "log output works again",
			slog.String("output", o.name), slog.Duration("outage", lost), slog.String("error", o.lastErr))
	}
	o.failures, o.outage, o.lastErr = 0, false, ""
	o.health.Store(nil)
}

// reportInterval is the longest time until a drop is reported, once the output
// takes records again.
const reportInterval = time.Second

// reportDropped writes into the output how many records it has not got: when it
// has caught up, and in a long run of drops once a second.
func (o *output) reportDropped(idle bool) bool {
	if !o.ring.hasDrops() {
		return false
	}
	now := time.Now()
	if !idle && now.Sub(o.reported) < reportInterval {
		return false
	}
	o.reported = now
	n := o.ring.takeDrops()
	o.note(slog.LevelWarn, "log records were dropped", slog.String("output", o.name), slog.Uint64("dropped", n))
	return true
}

// note puts a record of the logger's own straight into this output's ring.
func (o *output) note(level slog.Level, msg string, attrs ...slog.Attr) {
	r := slog.NewRecord(time.Now(), level, msg, 0)
	r.AddAttrs(attrs...)
	h := handler{name: "logger"}
	e := newEnc(o.form)
	defer e.free()
	h.encode(e, &part{}, nil, &r, nil, 0)
	o.ring.force(e.b)
}

// flush waits until every record accepted so far is out, for as long as ctx
// lives. Without an actor it writes them on a goroutine of its own, for a
// write into a stalled pipe ends for no ctx.
func (o *output) flush(ctx context.Context) bool {
	seq := o.ring.last()
	out, direct := o.ring.await(seq, 0, ctx.Done())
	if out || !direct {
		return out
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.writing.Lock()
		o.retryAt = time.Time{} // asked for: now, not after the back-off
		o.writing.Unlock()
		o.drainDirect(false)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		return false
	}
	return o.ring.out(seq)
}

// reopener is an output that can be opened again.
type reopener interface{ Reopen() error }

// reopen opens the output again. A record that was cut by it is written
// again from its start.
func (o *output) reopen() error {
	o.writing.Lock()
	defer o.writing.Unlock()
	r, ok := o.w.(reopener)
	if !ok {
		return nil
	}
	if err := r.Reopen(); err != nil {
		return fmt.Errorf("reopen log output %s: %w", o.name, err)
	}
	o.ring.rewind()
	o.retryAt = time.Time{}
	return nil
}

// renew reopens an output that was asked to be since the last time.
func (o *output) renew() {
	if !o.outdated.Swap(false) {
		return
	}
	if err := o.reopen(); err != nil {
		o.stderr("logger: " + err.Error() + "; the old file is kept\n")
	}
}

func (o *output) close() error {
	o.writing.Lock()
	defer o.writing.Unlock()
	if c, ok := o.w.(*fileWriter); ok {
		return c.Close()
	}
	return nil
}
