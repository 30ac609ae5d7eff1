package dispatcher

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sambatech/chassis/internal/spelling"
	"github.com/sambatech/chassis/task"
)

// Messages with a task name that is not registered here.

// unknown postpones a message that is due and names a task that is not
// registered here: another instance may know it, or this one after its next deployment.
// The message carries the number of delays that it has waited for.
func (d *dispatcher) unknown(e *execution) {
	d.emit(Unrecognised, e, nil)
	waited := e.msg.Unknown
	if d.ordered { // no copy counts them
		receives, _ := d.timing(e).counted(time.Now())
		waited = receives - 1
	}
	if waited >= d.UnknownTasksRetries {
		d.giveUp(e, task.ReasonUnknown, &UnknownTaskError{Name: e.msg.Name,
			Waited: time.Duration(waited) * d.UnknownTasksDelay})
		return
	}
	d.warnUnknown(e)
	e.entry.meter.postponed.Add(1)
	if d.ordered { // no copies, so each wait is one delay, counted by the receives
		d.hide(e, d.UnknownTasksDelay)
		return
	}
	n := unknownDelays(waited, d.UnknownTasksRetries, d.UnknownTasksDelay)
	e.msg.Unknown = waited + n
	d.reissue(e, time.Duration(n)*d.UnknownTasksDelay)
}

// unknownMost is the greatest number of delays that one wait lasts: a minute by
// default, for a deployment that brings the name is not to wait for long.
const unknownMost = 6

// unknownDelays returns how many delays the next wait lasts, after so many. The
// waits double, for each costs up to three requests: by default a message is
// delivered 12 times within the 500 s.
func unknownDelays(waited, most int, delay time.Duration) int {
	return max(min(max(waited, 1), unknownMost, most-waited, int(maxDelay/delay)), 1)
}

// unknownNames remembers which names were logged, for what is on the queue is
// anyone's to choose.
type unknownNames struct {
	logged map[string]time.Time // when
	last   time.Time            // when one was logged
	muted  int                  // messages since, not logged for their number
}

const (
	unknownNamesMost = 100         // names remembered; of others a line a minute
	unknownNameMost  = 100         // bytes of a name that are shown and compared
	unknownEvery     = time.Second // between two lines
	unknownSeldom    = time.Minute // between two, once so many names are known
	unknownAge       = time.Hour   // after which a name is logged again, and makes room for others
)

// log reports whether a message with this name is to be logged now, and how
// many were not since the last that was.
func (u *unknownNames) log(name string, now time.Time) (muted int, ok bool) {
	if at, ok := u.logged[name]; ok && now.Sub(at) < unknownAge {
		return 0, false
	}
	since := now.Sub(u.last)
	if !u.last.IsZero() && since < unknownEvery {
		u.muted++
		return 0, false
	}
	if len(u.logged) >= unknownNamesMost {
		maps.DeleteFunc(u.logged, func(_ string, at time.Time) bool { return now.Sub(at) >= unknownAge })
	}
	if len(u.logged) >= unknownNamesMost && since < unknownSeldom {
		u.muted++
		return 0, false
	}
	if u.logged == nil {
		u.logged = map[string]time.Time{}
	}
	if len(u.logged) < unknownNamesMost {
		u.logged[strings.Clone(name)] = now
	}
	muted, u.muted, u.last = u.muted, 0, now
	return muted, true
}

func (d *dispatcher) warnUnknown(e *execution) {
	name := e.msg.Name[:min(len(e.msg.Name), unknownNameMost)]
	muted, ok := d.unknownNames.log(name, time.Now())
	if !ok {
		return
	}
	attrs := []any{"task", strings.ToValidUTF8(name, "\uFFFD"), "message_id", e.messageID,
		"dead_letter_after", time.Duration(d.UnknownTasksRetries) * d.UnknownTasksDelay}
	if likely := spelling.Nearest(name, slices.Sorted(maps.Keys(d.registry))); likely != "" {
		attrs = append(attrs, "likely", likely)
	}
	if muted > 0 {
		attrs = append(attrs, "not_logged", muted)
	}
	d.log.WarnContext(e.logContext(),
		"a message names a task that is not registered here: it waits for a process that knows the task", attrs...)
}
