package dispatcher

import (
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
)

// ended is a message with all that may be left out of it.
func endedMessage(text int) task.Message {
	return task.Message{
		Name: "t", ExecID: "e", JobID: "j", When: time.Unix(1, 0), First: time.Unix(2, 0), Body: "{}", LastError: strings.Repeat("x", text),
		Reason: task.ReasonExhausted, Attempts: 3, Failures: 2, Counted: true, Unknown: 4, Silent: 1,
	}
}

func size(m task.Message) int { return task.Size(m.Body, m.Attributes()) }

func TestACopyThatIsTooLargeLosesItsErrorTextAlone(t *testing.T) {
	full, bare := endedMessage(100), endedMessage(0)
	bare.First = time.Time{}
	for _, c := range []struct {
		name string
		most int
		want task.Message
	}{
		{"it fits", size(full), full},
		{"a byte too many", size(full) - 1, bare},
		{"it fits without", size(bare), bare},
		{"it does not fit", size(bare) - 1, bare},
	} {
		m := endedMessage(100)
		attrs, n := fitCopy(&m, c.most)
		if m.LastError != c.want.LastError || !m.First.Equal(c.want.First) || m.Failures != 2 || n != size(c.want) || task.Size(m.Body, attrs) != n {
			t.Errorf("%s: %d bytes of %d, %+v", c.name, n, c.most, m)
		}
	}
}

func TestADeadLetterThatIsTooLargeLosesItsTextBeforeItsReason(t *testing.T) {
	stripped := task.Message{Name: "t", ExecID: "e", JobID: "j", When: time.Unix(1, 0), Body: "{}"}
	for _, c := range []struct {
		name   string
		most   int
		text   int
		reason bool
	}{
		{"it fits", size(endedMessage(100)), 100, true},
		{"a byte too many", size(endedMessage(100)) - 1, 50, true},
		{"half of it fits", size(endedMessage(50)), 50, true},
		{"half of it does not", size(endedMessage(50)) - 1, 25, true},
		{"one letter fits", size(endedMessage(1)), 1, true},
		{"not one letter", size(endedMessage(1)) - 1, 0, false},
		{"nothing fits", 1, 0, false},
	} {
		m := endedMessage(100)
		attrs := fitEnd(&m, c.most)
		if len(m.LastError) != c.text || m.Reason != "" != c.reason || task.Size(m.Body, attrs) != size(m) {
			t.Errorf("%s: %d letters, the reason %q", c.name, len(m.LastError), m.Reason)
		}
		if !c.reason && size(m) != size(stripped) {
			t.Errorf("%s: %+v keeps more than its task", c.name, m)
		}
	}
}

func TestWhatBecomesOfATaskThatIsGivenUp(t *testing.T) {
	for _, reason := range []string{task.ReasonExhausted, task.ReasonCancelled, task.ReasonUndecodable, task.ReasonUnknown, task.ReasonTooLate} {
		ran := reason == task.ReasonExhausted || reason == task.ReasonCancelled
		for _, c := range []struct {
			onFail, finish bool
			want           end
		}{
			{false, false, endDead},
			{true, false, map[bool]end{true: endOnFail, false: endDead}[ran]},
			{true, true, map[bool]end{true: endOnFail, false: endDead}[ran]},
			{false, true, map[bool]end{true: endDeleted, false: endDead}[reason == task.ReasonExhausted]},
		} {
			if got := endOf(reason, c.onFail, c.finish); got != c.want {
				t.Errorf("%s, on_fail %v, finish %v: %v, want %v", reason, c.onFail, c.finish, got, c.want)
			}
		}
	}
}
