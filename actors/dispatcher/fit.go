package dispatcher

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/task"
)

// What is left out of a message that is too large for its queue, and what ends
// one that is given up: pure decisions, no clock, no actor.

// fitCopy returns the attributes of m for a copy of at most so many bytes, and the
// size with them. Where that is too much, m loses its error text and the time of
// its first receive; what does not fit then has no copy.
func fitCopy(m *task.Message, most int) (attrs map[string]types.MessageAttributeValue, size int) {
	attrs = m.Attributes()
	if size = task.Size(m.Body, attrs); size > most {
		m.LastError, m.First = "", time.Time{}
		attrs = m.Attributes()
		size = task.Size(m.Body, attrs)
	}
	return attrs, size
}

// fitEnd returns the attributes of m for a message that ends it, a dead letter or
// an on_fail task, of at most so many bytes where that can be: with half of the
// error text and half of that, then without all that is known of its attempts,
// for a dead letter without a reason is better than none.
func fitEnd(m *task.Message, most int) (attrs map[string]types.MessageAttributeValue) {
	attrs = m.Attributes()
	for task.Size(m.Body, attrs) > most && len(m.LastError) > 1 {
		m.LastError = m.LastError[:len(m.LastError)/2]
		attrs = m.Attributes()
	}
	if task.Size(m.Body, attrs) > most {
		m.LastError, m.Reason, m.First = "", "", time.Time{}
		m.Attempts, m.Failures, m.Counted, m.Unknown, m.Silent = 0, 0, false, 0, 0
		attrs = m.Attributes()
	}
	return attrs
}

// end is what becomes of a message that is given up.
type end uint8

const (
	endDead    end = iota // a dead letter is sent
	endOnFail             // its on_fail task is sent
	endDeleted            // nothing is sent
)

// endOf returns what becomes of a message that is given up for a reason. An
// on_fail task stands for a task that has run; what could not be read or kept is a
// dead letter.
func endOf(reason string, onFail, finish bool) end {
	switch {
	case onFail && (reason == task.ReasonExhausted || reason == task.ReasonCancelled):
		return endOnFail
	case finish && reason == task.ReasonExhausted:
		return endDeleted
	}
	return endDead
}
