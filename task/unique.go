package task

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// MaxUniqueKey is the greatest length of a key of [Unique], in bytes.
const MaxUniqueKey = 200

// QueueUnique is the window within which a FIFO queue itself takes one of two messages.
const QueueUnique = 5 * time.Minute

// OneOf is the wish that a task is sent once for a key.
type OneOf struct {
	Key       string        // empty: without the wish
	Window    time.Duration // for which the key is taken, from the send on
	UntilDone bool          // the key is free before, when the task is done
}

// Unique sends one task of its name for a key within window, however many are sent: the
// others get a [DuplicateError]. It needs the outbox (package outbox), where the key is
// taken in the caller's transaction. The key is free at the end of the window, whatever has
// become of the task: no crash keeps it for ever.
//
// On a FIFO pool chassis.Send takes it with a window of up to 5 minutes, which is what SQS
// does by itself ([Dedup]). SQS does not say which message it has left out, so there the
// sender gets no error.
func Unique(key string, window time.Duration) Option { return uniqueBy(OneOf{key, window, false}) }

// UniqueUntilDone is [Unique] with a key that is free as soon as the task is done, and at
// the end of the longest time at the latest. The key stays taken while the task waits, is
// retried or is copied, and while it is a dead letter: it may be sent back. It needs the
// outbox, and outbox.Once or outbox.ReleaseUnique where the task runs.
func UniqueUntilDone(key string, longest time.Duration) Option {
	return uniqueBy(OneOf{key, longest, true})
}

func uniqueBy(o OneOf) Option {
	return func(s *sending) {
		switch {
		case o.Key == "" || len(o.Key) > MaxUniqueKey || o.Key != clean(o.Key):
			s.fail("Unique(%q, %v): a key has 1 to %d bytes, and only characters that SQS takes", cut(o.Key), o.Window,
				MaxUniqueKey)
		case o.Window < time.Second || o.Window > 366*24*time.Hour:
			s.fail("Unique(%q, %v): a window is 1 s to 366 days", cut(o.Key), o.Window)
		}
		s.out.OneOf, s.msg.Unique = o, ""
		if o.UntilDone {
			s.msg.Unique = o.Key
		}
	}
}

// DedupID returns the deduplication id that a FIFO queue knows the key by.
func (o OneOf) DedupID(name string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + o.Key))
	return "unique-" + hex.EncodeToString(sum[:])
}

// DuplicateError says that a task was not sent, for one with its key is there.
type DuplicateError struct {
	Task   string
	Key    string
	ExecID string // of the task that has the key; empty where that is not known
}

func (e *DuplicateError) Error() string {
	text := fmt.Sprintf("send task %q: not sent, for there is one with the key %q", e.Task, e.Key)
	if e.ExecID != "" {
		text += " already, with the exec_id " + e.ExecID
	}
	return text
}
