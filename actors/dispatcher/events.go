package dispatcher

import (
	"encoding/json"
	"log/slog"
	"time"
)

// EventKind names what happened to a message or an execution.
type EventKind string

// The kinds of [Event].
const (
	Received      EventKind = "received"      // a message was delivered to the dispatcher
	Started       EventKind = "started"       // an attempt began
	Succeeded     EventKind = "succeeded"     // an attempt ended well: the message will be deleted
	AttemptFailed EventKind = "failed"        // an attempt ended with a failure
	Interrupted   EventKind = "interrupted"   // an attempt ended without a failure: snoozed, refused by a breaker, drained
	Held          EventKind = "held"          // the message waits in place
	GivenBack     EventKind = "given_back"    // hidden, or sent again as a fresh copy
	Postponed     EventKind = "postponed"     // its time has not come
	GivenUp       EventKind = "given_up"      // on_fail or dead letter
	Cancelled     EventKind = "cancelled"     // it was cancelled: the message will be deleted, without a dead letter
	Abandoned     EventKind = "abandoned"     // the handler ignored its cancelled ctx
	LostLease     EventKind = "lost_lease"    // another process may get the message
	SettledWell   EventKind = "settled"       // the queue has acknowledged
	SettleFailed  EventKind = "settle_failed" // the queue has not
	Unrecognised  EventKind = "unrecognised"  // unknown task name
	Stalled       EventKind = "stalled"       // an attempt does not move: a silent task actor, or a handler without an end
)

// Event is one thing that happened. Immutable.
type Event struct {
	At        time.Time     `json:"at"`
	Kind      EventKind     `json:"kind"`
	Pool      string        `json:"pool"`
	MessageID string        `json:"message_id"`
	Task      string        `json:"task"`
	ExecID    string        `json:"exec_id"`
	JobID     string        `json:"job_id"`
	JobName   string        `json:"job_name"`
	Attempt   int           `json:"attempt"`
	Failures  int           `json:"failures"`
	Wait      time.Duration `json:"-"`                // until the next attempt; in JSON wait_seconds
	Took      time.Duration `json:"-"`                // of the attempt; in JSON took_seconds
	Reason    string        `json:"reason,omitempty"` // how it was given back, or why given up
	Error     string        `json:"error,omitempty"`
	Missed    uint64        `json:"missed,omitempty"` // events dropped before this one, without a credit
}

// LogValue implements slog.LogValuer.
func (e *Event) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", string(e.Kind)), slog.String("task", e.Task),
		slog.String("exec_id", e.ExecID), slog.Int("attempt", e.Attempt), slog.Int("failures", e.Failures),
		slog.String("reason", e.Reason), slog.String("error", e.Error))
}

// MarshalJSON implements json.Marshaler.
func (e Event) MarshalJSON() ([]byte, error) {
	type fields Event
	return json.Marshal(struct {
		fields
		Wait float64 `json:"wait_seconds,omitempty"`
		Took float64 `json:"took_seconds,omitempty"`
	}{fields(e), e.Wait.Seconds(), e.Took.Seconds()})
}

// emit publishes an event, if there are subscribers.
func (d *dispatcher) emit(kind EventKind, e *execution, fill func(*Event)) {
	if d.monitor.feed.active.Load() == 0 {
		return
	}
	ev := &Event{
		At: time.Now(), Kind: kind, Pool: d.pool, MessageID: e.messageID, Task: e.msg.Name, ExecID: e.msg.ExecID,
		JobID: e.msg.JobID, JobName: e.msg.JobName, Failures: e.ledger.failures,
	}
	if e.cur != nil {
		ev.Attempt = e.cur.info.Attempt
	}
	if fill != nil {
		fill(ev)
	}
	d.monitor.feed.emit(ev)
}
