package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrCancelled is the cause of a ctx that ends because its execution was cancelled, by a
// program or by an operator. An asker gets it if its question was cancelled.
var ErrCancelled = errors.New("the execution was cancelled")

// inboxMark stands between the pool and the random id in the name of an inbox: the queue
// by which others reach one process.
const inboxMark = "-inbox-"

// inboxID is the length of that id, in hexadecimal digits.
const inboxID = 16

// maxInboxPool bounds what the name of an inbox has of its pool's: SQS allows 80 characters.
const maxInboxPool = 80 - len(inboxMark) - inboxID

// InboxPrefix returns what the names of the inboxes of all processes of a pool begin with.
func InboxPrefix(pool string) string {
	pool = strings.TrimSuffix(pool, ".fifo")
	return pool[:min(len(pool), maxInboxPool)] + inboxMark
}

// IsInbox reports whether name is that of an inbox. An answer is sent to no other queue,
// whatever a message asks for.
func IsInbox(name string) bool {
	at := len(name) - inboxID - len(inboxMark)
	return at > 0 && name[at:at+len(inboxMark)] == inboxMark && isHex(name[at+len(inboxMark):])
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

// Reply returns the value of [AttrReply] for the answer to question id, in an inbox.
func Reply(inbox, id string) string { return inbox + "/" + id }

// Answer is how an execution ended that an asker waits for, as it stands on its inbox.
type Answer struct {
	ID     string          `json:"id"` // of the question
	Task   string          `json:"task"`
	ExecID string          `json:"exec_id"`
	Result json.RawMessage `json:"result,omitempty"` // that the handler returned by [Return]
	Reason string          `json:"reason,omitempty"` // why it was given up; empty: it is done
	Error  string          `json:"error,omitempty"`  // text of its last failure
}

// Answers returns the message that answers the asker of an execution that has ended for
// good, or nil without an asker.
func Answers(e Ending) *Outgoing {
	inbox, id, ok := strings.Cut(e.Message.Reply, "/")
	if !ok || !IsInbox(inbox) {
		return nil
	}
	a := Answer{ID: id, Task: e.Message.Name, ExecID: e.Message.ExecID, Result: e.Result, Reason: e.Reason}
	if e.Reason != "" {
		a.Result, a.Error = nil, e.Message.LastError
	}
	body, err := encodeBody(Letter{Answer: &a})
	if err != nil { // the result was JSON before
		body, _ = encodeBody(Letter{Answer: &Answer{ID: id, Task: a.Task, ExecID: a.ExecID, Reason: ReasonUndecodable,
			Error: "its result cannot be JSON: " + err.Error()}})
	}
	return &Outgoing{Pool: inbox, Body: body, Optional: true}
}

// Letter is the body of a message in an inbox: one of its fields.
type Letter struct {
	Answer  *Answer  `json:"answer,omitempty"`
	Notices []Notice `json:"notices,omitempty"`
	Hello   string   `json:"hello,omitempty"` // the inbox of a process that began just now, and asks for notices
}

// Notice is an order about one execution that may be anywhere.
type Notice struct {
	ExecID string `json:"exec_id"`
	Reason string `json:"reason,omitempty"` // for the records
	// Snooze, in seconds, runs it again after so long; 0 or less cancels it for good.
	Snooze float64 `json:"snooze,omitempty"`
	// Keep makes a dead letter of what is cancelled, or sends its on_fail task, as an
	// operator may want; else its message is deleted.
	Keep bool `json:"keep,omitempty"`
	// Left, in seconds, is how long it holds for messages that are still to come.
	Left float64 `json:"left,omitempty"`
	// ID is that of the order: a notice that comes twice, by two ways, is taken once.
	ID string `json:"id,omitempty"`
}

// FailedError says that a question has no answer because its task was given up.
type FailedError struct {
	Task   string
	ExecID string
	Reason string // one of the Reason constants
	Text   string // of its last failure, cut to [MaxErrorText]
}

func (e *FailedError) Error() string {
	text := fmt.Sprintf("task %q (exec_id %s) was given up without an answer: %s", e.Task, e.ExecID, e.Reason)
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// Is makes it an [ErrCancelled] if that is its reason.
func (e *FailedError) Is(target error) bool {
	return target == ErrCancelled && e.Reason == ReasonCancelled
}

// Value reads the result into v. The error of a task that was given up is a [*FailedError].
func (a *Answer) Value(v any) error {
	if a.Reason != "" {
		return &FailedError{Task: a.Task, ExecID: a.ExecID, Reason: a.Reason, Text: a.Error}
	}
	if len(a.Result) == 0 {
		return nil
	}
	if err := json.Unmarshal(a.Result, v); err != nil {
		return fmt.Errorf("task %q (exec_id %s): its answer does not fit into a %T: %w", a.Task, a.ExecID, v, err)
	}
	return nil
}

// AskedBy has the end of a task answered to an inbox: see [Reply].
func AskedBy(reply string) Option { return func(s *sending) { s.msg.Reply = reply } }
