package task

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestInboxNames(t *testing.T) {
	for _, pool := range []string{"a", "mails.fifo", strings.Repeat("x", 80), strings.Repeat("x", 75) + ".fifo"} {
		name := InboxPrefix(pool) + "0123456789abcdef"
		if !IsInbox(name) || len(name) > 80 || strings.Contains(name, ".") {
			t.Errorf("%q is no name of an inbox", name)
		}
	}
	for _, name := range []string{"", "-inbox-", "-inbox-0123456789abcdef", "a-inbox-0123456789abcdeg", "a-inbox-0123456789abcde",
		"a-inbox-0123456789abcdef.fifo", "tasks", "a-inbox-0123456789abcdef/x", "http://x/a-inbox-0123456789ABCDEF"} {
		if IsInbox(name) {
			t.Errorf("%q is taken for an inbox", name)
		}
	}
}

func TestAnswers(t *testing.T) {
	m := Message{Name: "price", ExecID: "e", LastError: "out of <stock>\n", Reply: Reply("a-inbox-0123456789abcdef", "7")}
	read := func(out *Outgoing) *Answer {
		t.Helper()
		var l Letter
		if out == nil || out.Pool != "a-inbox-0123456789abcdef" || !out.Optional || json.Unmarshal([]byte(out.Body), &l) != nil {
			t.Fatalf("%+v", out)
		}
		return l.Answer
	}
	var v struct{ Cents int }
	if a := read(Answers(Ending{Message: m, Result: json.RawMessage(`{"cents": 3}`)})); a.ID != "7" || a.Value(&v) != nil || v.Cents != 3 {
		t.Errorf("%+v", a)
	}
	var failed *FailedError
	if err := read(Answers(Ending{Message: m, Reason: ReasonExhausted, Result: json.RawMessage("1")})).Value(&v); !errors.As(err, &failed) ||
		failed.Text != m.LastError || errors.Is(err, ErrCancelled) {
		t.Errorf("%v", err)
	}
	if err := read(Answers(Ending{Message: m, Reason: ReasonCancelled})).Value(&v); !errors.Is(err, ErrCancelled) {
		t.Errorf("%v", err)
	}
	for _, reply := range []string{"", "x", "tasks/1", "/"} {
		m.Reply = reply
		if out := Answers(Ending{Message: m}); out != nil {
			t.Errorf("%q is answered: %+v", reply, out)
		}
	}
}

// The address of the answer goes with a copy, and not with a fresh begin.
func TestTheReplyAddressOnTheWire(t *testing.T) {
	m := Message{Name: "x", ExecID: "e", Body: "1", Reply: "a-inbox-0123456789abcdef/7"}
	again, err := Decode(m.Body, m.Attributes())
	if err != nil || again.Reply != m.Reply {
		t.Errorf("%q, %v", again.Reply, err)
	}
	if r := again.Renewed(); r.Reply != "" || len(r.Newer) > 0 {
		t.Errorf("%+v", r)
	}
}
