package schedules

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// onTime is how late a run may begin without a question whether a run before it lasted
// over its tick.
const onTime = time.Second

// twoClocks is how far two processes may be apart in what they take for the queue's clock.
const twoClocks = time.Second

// ranTimeout bounds a word to the register at the begin or the end of a run.
const ranTimeout = 5 * time.Second

// Around is the middleware of the pool of ticks: it keeps the numbers of runs, and runs
// no tick of a schedule with [cron.Skip] that came during a run.
//
// The group of a schedule keeps a tick on the queue until the run before it has ended.
// Then the process that gets it, any of the fleet, asks the register whether that run
// lasted over the tick. The word is written before the run's message is deleted, so it
// is there when the next one is received.
func (s *Schedules) Around(next task.RawHandler) task.RawHandler {
	c := s.core
	return func(ctx context.Context, info task.Job[json.RawMessage]) error {
		job, tick, isTick := c.board.find(info.JobName, info.JobID)
		if job == nil || isTick && info.ExecID != job.Schedule.ID(c.cfg.Pool, tick) {
			return next(ctx, info)
		}
		begun := c.clock.now()
		skips := isTick && job.Schedule.Overlap() == cron.Skip
		came := info.Received
		if came.IsZero() {
			came = begun
		}
		late := laterOf(begun, came).Sub(tick.Due) > onTime
		if skips && late && info.Attempt == 1 && c.during(ctx, job, tick, came) {
			return nil
		}
		if skips {
			first := c.board.first(job.Schedule.Name(), info.ExecID, info.Attempt, begun)
			if !info.Received.IsZero() && info.Received.Before(first) { // a process died with it
				first = info.Received
			}
			defer func() { c.ran(ctx, job, tick, first) }() // after a panic, too
		}
		outcome := "it panicked, or ended its goroutine"
		defer func() { c.ended(job, tick, begun, outcome) }()
		err := next(ctx, info)
		if outcome = ""; err != nil {
			outcome = task.ErrorText(err.Error())
		}
		return err
	}
}

// ended keeps the numbers of an attempt.
func (c *core) ended(job *Job, tick cron.Tick, begun time.Time, failure string) {
	took := c.clock.now().Sub(begun)
	c.board.note(job.Schedule.Name(), func(st *Status) {
		st.Runs++
		st.LastRun = &LastRun{Tick: tick.At, Began: begun.UTC(), Seconds: took.Seconds(), Error: failure}
		if failure != "" {
			st.Failed++
		}
	})
}

// during reports whether a tick came during a run, and counts it. came is when the queue
// handed the tick out first.
func (c *core) during(ctx context.Context, job *Job, tick cron.Tick, came time.Time) bool {
	name := job.Schedule.Name()
	ctx, cancel := context.WithTimeout(ctx, ranTimeout)
	defer cancel()
	said, err := c.register.read(ctx)
	if err != nil {
		c.complain(err, "a tick that came during a run is run after it")
		return false
	}
	e := said.entries[name]
	if !e.lastedOver(tick, came) {
		return false
	}
	c.log.InfoContext(ctx, "a tick came during a run, and is skipped", "schedule", name, "tick", tick.At,
		"run_began", e.ranFrom, "run_ended", e.ranUpTo)
	c.board.note(name, func(st *Status) { st.Skipped++ })
	return true
}

// lastedOver reports whether the last run that lasted over a tick lasted over this one,
// so that it was not run. A process that got the tick in time, with that run over, has run it
// without a question: where it comes again, because that failed or died, it is run again.
func (e entry) lastedOver(tick cron.Tick, came time.Time) bool {
	if !tick.Due.After(e.ranFrom) || tick.Due.After(e.ranUpTo) {
		return false
	}
	return came.Sub(tick.Due) > onTime || e.ranUpTo.Sub(tick.Due) > onTime+twoClocks
}

// ran writes to the register that a run lasted over a tick, if it did.
// from is the begin of its first attempt: the waits between attempts are a part of the run.
func (c *core) ran(ctx context.Context, job *Job, tick cron.Tick, from time.Time) {
	s, now := job.Schedule, c.clock.now()
	from = laterOf(from, tick.Due) // it has not lasted over its own tick
	if over := s.Next(from); over.At.IsZero() || over.Due.After(now) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ranTimeout)
	defer cancel()
	ran := map[string]string{tagPrefix + s.Name() + tagRan: unixText(from) + ":" + unixText(now)}
	if err := c.register.write(ctx, ran); err != nil {
		c.complain(err, "a tick that came during a run is run after it")
	}
}
