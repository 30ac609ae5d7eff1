package addresses

import (
	"errors"
	"strings"
	"time"

	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/internal/recent"
	"github.com/sambatech/chassis/task"
)

// mostNotices bounds the notices that are kept for processes that begin later; the oldest
// makes room.
const mostNotices = 10_000

// memory holds the cancels that still hold, for processes that begin later. Pure.
type memory struct{ recent.Map[task.Notice] }

func newMemory() memory { return memory{recent.Map[task.Notice]{Most: mostNotices}} }

// keep remembers a cancel for as long as it holds.
func (m *memory) keep(n task.Notice, now time.Time) {
	if left := Holds(n); left > 0 {
		// These are parts of a whole message.
		n.ExecID, n.Reason, n.ID = strings.Clone(n.ExecID), strings.Clone(n.Reason), strings.Clone(n.ID)
		m.Put(n.ExecID, n, now.Add(left), now)
	}
}

// list returns what holds at now, each with the time that it has left.
func (m *memory) list(now time.Time) (all []task.Notice) {
	for n, until := range m.All(now) {
		n.Left = until.Sub(now).Seconds()
		all = append(all, n)
	}
	return all
}

// Holds returns how long a notice holds for messages that are still to come: a snooze does
// not, and no sender can make it longer than [NoticeFor].
func Holds(n task.Notice) time.Duration {
	switch {
	case n.Snooze > 0:
		return 0
	case n.Left <= 0 || n.Left > NoticeFor.Seconds():
		return NoticeFor
	}
	return time.Duration(n.Left * float64(time.Second))
}

// mostInLetter bounds the notices of one message: with ids of the longest that a notice is
// taken with it stays below 256 KiB.
const mostInLetter = 450

// maxID, maxReason and maxOrder bound the texts of a notice, in bytes: the last is of its id.
const maxID, maxReason, maxOrder = 256, 200, 32

// Sound reports whether a notice that has come from elsewhere may be taken.
func Sound(n task.Notice) bool {
	return n.ExecID != "" && len(n.ExecID) <= maxID && len(n.Reason) <= maxReason && len(n.ID) <= maxOrder
}

// NewOrder returns an id for a notice.
func NewOrder() string { return random(8) }

// Prepared returns a notice as it is sent to others: its reason is one line, and cut.
func Prepared(n task.Notice) (task.Notice, error) {
	n.Reason = clip.Line(n.Reason, maxReason)
	if !Sound(n) {
		return n, errors.New("a notice needs an exec_id of at most 256 bytes")
	}
	return n, nil
}
