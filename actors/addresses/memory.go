package addresses

import (
	"strings"
	"time"

	"github.com/sambatech/chassis/task"
)

// mostNotices bounds the notices that are kept for processes that begin later; the oldest
// makes room.
const mostNotices = 10_000

// memory holds the cancels that still hold, for processes that begin later. Pure.
type memory struct {
	byID  map[string]kept
	order []string
}

type kept struct {
	notice task.Notice
	until  time.Time
}

// keep remembers a cancel for as long as it holds.
func (m *memory) keep(n task.Notice, now time.Time) {
	left := Holds(n)
	if left <= 0 {
		return
	}
	if m.byID == nil {
		m.byID = map[string]kept{}
	}
	n.ExecID, n.Reason = strings.Clone(n.ExecID), strings.Clone(n.Reason) // parts of a whole message
	if _, known := m.byID[n.ExecID]; !known {
		for len(m.order) >= mostNotices || len(m.order) > 0 && !now.Before(m.byID[m.order[0]].until) {
			delete(m.byID, m.order[0])
			m.order = m.order[1:]
		}
		m.order = append(m.order, n.ExecID)
	}
	m.byID[n.ExecID] = kept{n, now.Add(left)}
}

// list returns what holds at now, each with the time that it has left.
func (m *memory) list(now time.Time) (all []task.Notice) {
	for _, id := range m.order {
		if k := m.byID[id]; now.Before(k.until) {
			k.notice.Left = k.until.Sub(now).Seconds()
			all = append(all, k.notice)
		}
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
const mostInLetter = 500

// maxID and maxReason bound the texts of a notice, in bytes.
const maxID, maxReason = 256, 200

// sound reports whether a notice may be taken.
func sound(n task.Notice) bool {
	return n.ExecID != "" && len(n.ExecID) <= maxID && len(n.Reason) <= maxReason
}
