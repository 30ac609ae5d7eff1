package chassistest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Event is one thing that happened in a storm.
type Event struct {
	At      time.Duration // since the beginning
	Process int           // 0: of none of them
	Life    int           // of the process
	What    string
	Tasks   []string // labels
	Note    string
}

// String is the event as a line of a timeline.
func (e *Event) String() string {
	who := ""
	if e.Process > 0 {
		who = fmt.Sprintf("p%d", e.Process)
		if e.Life > 1 {
			who += fmt.Sprintf(".%d", e.Life)
		}
	}
	line := fmt.Sprintf("%10.3fs  %-5s %-18s %s", e.At.Seconds(), who, e.What, strings.Join(e.Tasks, ", "))
	if e.Note != "" {
		line += "  " + e.Note
	}
	return strings.TrimRight(line, " ")
}

// trace is all that happened in one schedule, in order.
type trace struct {
	events []Event
	sum    digest
}

func newTrace() *trace { return &trace{sum: digestStart, events: make([]Event, 0, 1024)} }

func (t *trace) add(e Event) {
	t.events = append(t.events, e)
	d := t.sum.number(uint64(e.At)).number(uint64(e.Process)<<32 | uint64(e.Life)).text(e.What).text(e.Note)
	for _, name := range e.Tasks {
		d = d.text(name)
	}
	t.sum = d
}

// timeline is the trace for people: without requests that bring nothing and have nothing
// to do with a task, and, if it is long, of one task alone: that of the first finding.
func (r *result) timeline() string {
	about := ""
	if len(r.findings) > 0 && len(r.trace.events) > wholeTimeline {
		about = r.findings[0].Task
	}
	var b strings.Builder
	for i := range r.trace.events {
		e := &r.trace.events[i]
		if !e.routine() && (about == "" || len(e.Tasks) == 0 || slices.Contains(e.Tasks, about)) {
			b.WriteString(e.String())
			b.WriteByte('\n')
		}
	}
	fmt.Fprintf(&b, "trace %016x\n", uint64(r.trace.sum))
	return b.String()
}

// routine reports whether an event is a request, or an answer, that brings nothing.
func (e *Event) routine() bool {
	return len(e.Tasks) == 0 && e.Note != "refused" && e.Note != "lost" &&
		(strings.HasPrefix(e.What, string(OnLook)) || strings.HasPrefix(e.What, string(OnReceive)))
}

// wholeTimeline is the number of events up to which a timeline shows all tasks.
const wholeTimeline = 120

// explain is a failing result for people, with a test that fails the same way.
func (r *result) explain(test string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s\n", r.schedule.Seed, r.findings[0])
	for _, f := range r.findings[1:] {
		fmt.Fprintf(&b, "  and %s\n", f)
	}
	fmt.Fprintf(&b, "\nWhat happened, with %d faults and %d of %d sends:\n\n%s", len(r.schedule.Faults),
		len(r.sends()), r.sent, r.timeline())
	fmt.Fprintf(&b, "\nA test that fails the same way, with play the function that %s gives to Storm:\n\n", test)
	name := test
	if i := strings.IndexByte(name, '/'); i >= 0 {
		name = name[:i]
	}
	fmt.Fprintf(&b, "func %sAgain(t *testing.T) {\n\tchassistest.Replay(t, %s, play)\n}\n", name,
		strings.ReplaceAll(r.schedule.GoString(), "\n", "\n\t"))
	return b.String()
}
