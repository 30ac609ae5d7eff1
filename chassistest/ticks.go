package chassistest

import (
	"strings"
	"time"
)

// The ticks of chassis.Every in a storm. They come without an end: a play is over once all else
// has ended, and the ticks that had come by then.

// ticksSuffix is what the queue of ticks has behind the name of the pool.
const ticksSuffix = "-cron.fifo"

// ticksLeft is what a book knows of the ticks that are on their queue.
type ticksLeft struct {
	open  int           // messages
	since time.Duration // when nothing but ticks was left; 0: not yet
}

// closed reports whether all messages have ended, but ticks that came when nothing else was
// left.
func (b *book) closed() bool {
	if b.open > b.ticks.open {
		return false
	}
	if b.open == 0 {
		return true
	}
	if b.ticks.since == 0 {
		b.ticks.since = b.w.Now()
	}
	for _, m := range b.messages {
		if m.fate.tick && !m.gone && b.pools[m.pool] && m.at <= b.ticks.since {
			return false
		}
	}
	return true
}

// late reports whether a task is a tick that came when nothing else was left.
func (t *ticksLeft) late(f *fate) bool { return f.tick && t.since > 0 && f.came > t.since }

// on is how many messages may be left on a queue.
func (t *ticksLeft) on(queue string) int {
	if strings.HasSuffix(queue, ticksSuffix) {
		return t.open
	}
	return 0
}

// busy reports whether a process runs something that is no tick.
func (p *Process) busy() bool {
	for r := range p.runs {
		if !r.fate.tick {
			return true
		}
	}
	return false
}

// judgeSkips judges the ticks that were deleted and did not run: the processes say how many
// they have skipped, as cron.Skip has them do.
func (b *book) judgeSkips() {
	skips := 0
	for _, p := range b.w.lives {
		for _, s := range p.Schedules() {
			skips += int(s.Skipped)
		}
	}
	for _, f := range b.order {
		if !f.skipped || f.done || f.ends() > 0 {
			continue
		}
		if skips--; skips < 0 {
			b.w.accuse(NotLost, f.label, "its tick, %s, was deleted and did not run, and no process has skipped it",
				f.job)
			return
		}
	}
}
