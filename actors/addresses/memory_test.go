package addresses

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/task"
)

func TestMemory(t *testing.T) {
	m := newMemory()
	now := time.Unix(1000, 0)
	m.keep(task.Notice{ExecID: "short", Left: 10}, now)
	m.keep(task.Notice{ExecID: "nap", Snooze: 5}, now)
	m.keep(task.Notice{ExecID: "long"}, now)
	m.keep(task.Notice{ExecID: "short", Left: 20}, now) // again: it holds longer
	if got := m.list(now.Add(15 * time.Second)); len(got) != 2 || got[0].ExecID != "short" || got[0].Left != 5 || got[1].Left != 3585 {
		t.Errorf("%+v", got)
	}
	if got := m.list(now.Add(NoticeFor)); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	for i := range mostNotices + 5 {
		m.keep(task.Notice{ExecID: fmt.Sprint(i)}, now)
	}
	if got := m.list(now); len(got) != mostNotices || m.Len() != mostNotices || got[0].ExecID != "5" {
		t.Errorf("%d are kept, the first is %+v", len(got), got[0])
	}
	m.keep(task.Notice{ExecID: "new"}, now.Add(2*NoticeFor)) // those that hold no more make room
	if m.Len() != 1 {
		t.Errorf("%d are kept", m.Len())
	}
}

// No sender makes a notice hold for longer than it may.
func TestHolds(t *testing.T) {
	for left, want := range map[float64]time.Duration{0: NoticeFor, -1: NoticeFor, 1e300: NoticeFor, 0.5: time.Second / 2,
		math.Inf(1): NoticeFor, math.SmallestNonzeroFloat64: 0} {
		if got := Holds(task.Notice{Left: left}); got != want {
			t.Errorf("%v: %v, want %v", left, got, want)
		}
	}
}

// A letter with the most notices, each of the largest, fits into a queue that takes 256 KiB.
func TestTheLargestLetterFits(t *testing.T) {
	notices := make([]task.Notice, mostInLetter)
	for i := range notices {
		notices[i] = task.Notice{ExecID: strings.Repeat("x", maxID), Reason: clip.Line(strings.Repeat("é", maxReason), maxReason),
			Left: math.Pi, Keep: true, ID: strings.Repeat("0", maxOrder)}
	}
	out := letter("x", task.Letter{Notices: notices})
	if n := task.Size(out.Body, out.Attributes); n > 256<<10 {
		t.Errorf("%d bytes", n)
	}
}
