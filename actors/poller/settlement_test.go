package poller

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

var (
	errAway     = errors.New("the queue is away")
	errNoRight  = &BatchError{Code: "AccessDenied"}
	errBad      = &BatchError{Code: "ReceiptHandleIsInvalid", SenderFault: true}
	errForGood  = fmt.Errorf("%w: the body is empty", ErrInvalidMessage)
	errForGood2 = &BatchError{Code: "InvalidMessageContents", SenderFault: true}
)

// The table at the head of settlement.go, line by line.
func TestSettlementSteps(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	barred := obstacle{err: errNoRight, at: at}
	brief := obstacle{err: ErrDeletesFail, at: at, brief: true}
	copied := func() *settlement { return &settlement{unsent: []Outgoing{{Body: "copy"}}} }
	for _, c := range []struct {
		name   string
		decide func() decision
		want   decision
	}{
		{"a delete", func() decision { return (&settlement{}).next(false, obstacle{}) }, decision{step: request}},
		{"a delete while the lease is extended", func() decision { return (&settlement{}).next(true, obstacle{}) }, decision{step: request}},
		{"a delete while deletes fail", func() decision { return (&settlement{}).next(false, brief) }, decision{step: request}},
		{"a release", func() decision { return (&settlement{kind: release}).next(false, obstacle{}) }, decision{step: request}},
		{"a release while the lease is extended", func() decision { return (&settlement{kind: release}).next(true, obstacle{}) }, decision{step: block}},
		{"a copy and a delete", func() decision { return copied().next(true, obstacle{}) }, decision{step: send}},
		{"a copy that may not be sent", func() decision { return copied().next(false, barred) }, decision{putOff, at, errNoRight}},
		{"a copy while deletes fail for a moment", func() decision { return copied().next(false, brief) }, decision{step: postpone}},

		{"sent", func() decision { return copied().afterSend(nil, obstacle{}, false, true) }, decision{step: proceed}},
		{"sent, though the lease is over", func() decision { return copied().afterSend(nil, obstacle{}, true, false) }, decision{step: proceed}},
		{"not sent, and the lease is over", func() decision { return copied().afterSend(errAway, barred, true, true) }, decision{step: finish, err: ErrLeaseLost}},
		{"not sent for a passing reason", func() decision { return copied().afterSend(errAway, obstacle{}, false, true) }, decision{step: postpone}},
		{"not sent for longer than a lease", func() decision { return copied().afterSend(errAway, obstacle{}, false, false) }, decision{step: takeBack, err: errAway}},
		{"not sent to a queue that is away", func() decision { return copied().afterSend(errAway, barred, false, false) }, decision{putOff, at, errNoRight}},
		{"not sent while deletes fail for a moment", func() decision { return copied().afterSend(errAway, brief, false, true) }, decision{step: postpone}},
		{"the right to send is refused", func() decision { return copied().afterSend(errNoRight, obstacle{}, false, true) }, decision{step: putOff, err: errNoRight}},
		{"the right to send is refused, known before", func() decision { return copied().afterSend(errNoRight, barred, false, true) }, decision{putOff, at, errNoRight}},
		{"no message that SQS takes", func() decision { return copied().afterSend(errForGood, barred, false, true) }, decision{step: takeBack, err: errForGood}},
		{"SQS blames the message", func() decision { return copied().afterSend(errForGood2, obstacle{}, false, true) }, decision{step: takeBack, err: errForGood2}},

		{"done", func() decision { return (&settlement{}).afterRequest(nil, at, false, false) }, decision{step: finish}},
		{"done after the lease", func() decision { return (&settlement{kind: release}).afterRequest(nil, at, true, true) }, decision{step: finish}},
		{"a delete failed", func() decision { return (&settlement{}).afterRequest(errAway, at, false, false) }, decision{step: postpone, at: at}},
		{"a late delete failed", func() decision { return (&settlement{}).afterRequest(errAway, at, true, false) }, decision{step: postpone, at: at}},
		{"a release failed", func() decision { return (&settlement{kind: release}).afterRequest(errAway, at, false, false) }, decision{step: postpone, at: at}},
		{"a release failed after the lease", func() decision { return (&settlement{kind: release}).afterRequest(errAway, at, true, false) }, decision{step: finish, err: ErrLeaseLost}},
		{"the right to delete is refused", func() decision { return (&settlement{}).afterRequest(errNoRight, at, false, false) }, decision{step: postpone, at: at}},
		{"the right to delete is refused in a drain", func() decision { return (&settlement{}).afterRequest(errNoRight, at, false, true) }, decision{step: finish, err: errNoRight}},
		{"a delete failed in a drain", func() decision { return (&settlement{}).afterRequest(errAway, at, false, true) }, decision{step: postpone}},
	} {
		got := c.decide()
		if got.step != c.want.step || !got.at.Equal(c.want.at) || !errors.Is(got.err, c.want.err) {
			t.Errorf("%s: %v at %v with %v, want %v at %v with %v", c.name, got.step, got.at, got.err, c.want.step, c.want.at, c.want.err)
		}
	}
	d := (&settlement{}).afterRequest(errBad, at, false, false)
	if d.step != finish || !errors.Is(d.err, ErrLeaseLost) || !errors.Is(d.err, errBad) {
		t.Errorf("a handle that is refused: %v with %v, want to finish with %v and the reason", d.step, d.err, ErrLeaseLost)
	}
}

// A hidden message is released once what failed may work; nothing of what was
// asked for is left.
func TestAHiddenMessageIsARelease(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := &settlement{unsent: []Outgoing{{Body: "copy"}}, stage: sending}
	s.hide(at, errNoRight)
	if s.kind != release || len(s.unsent) > 0 || !s.visibleAt.Equal(at) || !errors.Is(s.refused, errNoRight) || s.stage != ready {
		t.Errorf("%+v", s)
	}
	if d := s.next(false, obstacle{err: errNoRight}); d.step != request {
		t.Errorf("next: %v, want %v", d.step, request)
	}
}

// Only a delete may still work after the loss of its lease. A copy that is not
// with the sender yet would be one of two.
func TestSettlementsThatOutliveTheirLease(t *testing.T) {
	outs := []Outgoing{{Body: "copy"}}
	for _, c := range []struct {
		name string
		s    settlement
		want bool
	}{
		{"a delete", settlement{stage: batched}, true},
		{"a release", settlement{kind: release, stage: batched}, false},
		{"a copy that is being sent", settlement{unsent: outs, stage: sending}, true},
		{"a copy that waits for its next try", settlement{unsent: outs, stage: postponed}, false},
		{"a copy before a release", settlement{kind: release, unsent: outs, stage: sending}, false},
	} {
		if got := c.s.outlivesLease(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// The last of each enumeration: a stage without a name would panic here.
func TestStagesHaveNames(t *testing.T) {
	for want, got := range map[string]fmt.Stringer{
		"closed": closed, "stopped": stopped, "postponed": postponed, "finish": finish, "extend": extension,
	} {
		if got.String() != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
