package task

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/internal/clip"
)

// Unknown is the job id and job name of a message that names no job, as the
// Python chassis writes it.
const Unknown = "unknown"

// Info says which job and which attempt a ctx belongs to. It is made once an
// attempt and never changed afterwards (but for its progress and its steps, which are safe), so
// it may be read from any goroutine. Use it by pointer.
type Info struct {
	Task        string    // registered task name
	ExecID      string    // UUID v4, the same over retries and copies: the key to be idempotent by
	MessageID   string    // the queue's id of the message that is being run; a copy that is sent later has another
	JobID       string    // free text, [Unknown] if the sender named none
	JobName     string    // free text, [Unknown] if the sender named none
	Attempt     int       // 1 for the first run of this execution
	Failures    int       // failures so far, over all deliveries
	MaxFailures int       // failures after which the task is given up
	When        time.Time // the time that it was scheduled for, UTC
	Received    time.Time // when the queue handed the message out first, by its clock; zero: not known
	Deadline    time.Time // end of this attempt; zero if it has none
	Tenant      string    // that the task is done for; empty without [Tenant]
	Unique      string    // key that is free when the task is done; empty without [UniqueUntilDone]
	LastError   string    // text of the last failure, cut to [MaxErrorText]; in an on_fail task, of the task given up

	// Extra is all attributes of the message that are not the chassis' own:
	// those that the sender gave by [Attribute], for example. It must not be changed.
	Extra map[string]types.MessageAttributeValue

	progress atomic.Pointer[Progress]
	calls    atomic.Pointer[calls]
	paced    *[]string // see Pace; nil: for none
	journal  atomic.Pointer[Journal]
	hidden   bool                   // the arguments came in an envelope: no error may show a part of them
	result   atomic.Pointer[string] // see Return
}

// HideArgs keeps the arguments out of errors about them. The dispatcher calls it, before
// the handler, for those that came in an envelope.
func (i *Info) HideArgs() { i.hidden = true }

// Progress is what a running task last said of itself.
type Progress struct {
	Done  int64     `json:"done"`
	Total int64     `json:"total,omitempty"` // 0: not known
	Note  string    `json:"note,omitempty"`
	At    time.Time `json:"at"`
}

// MaxNote bounds the note of a [Info.Report], in bytes.
const MaxNote = 200

// Report publishes how far the attempt is, for the live state; with nothing new to
// say it is a heartbeat. It never blocks and costs no message. The note is one line of at
// most [MaxNote] bytes; the rest is cut.
func (i *Info) Report(done, total int64, note string) {
	i.progress.Store(&Progress{Done: done, Total: total, Note: clip.Line(note, MaxNote), At: time.Now()})
}

// Progress is the last report, or nil.
func (i *Info) Progress() *Progress { return i.progress.Load() }

// Report publishes how far the task of ctx is; outside a task it does nothing. See
// [Info.Report].
func Report(ctx context.Context, done, total int64, note string) {
	if info := JobFrom(ctx); info != nil {
		info.Report(done, total, note)
	}
}

// Job is what a handler is called with: its typed arguments and the attempt.
type Job[A any] struct {
	Args A
	*Info
}

type infoKey struct{}

// WithInfo returns a ctx that carries info. The chassis calls it for each
// attempt; a test of a handler may call it too.
func WithInfo(ctx context.Context, info *Info) context.Context {
	return context.WithValue(ctx, infoKey{}, info)
}

// JobFrom returns the job and attempt that ctx belongs to, or nil outside a
// task. The result must not be changed.
func JobFrom(ctx context.Context) *Info {
	for ctx != nil {
		switch found := ctx.Value(infoKey{}).(type) {
		case *Info:
			return found
		case *OriginContext:
			ctx = found.Context
		default:
			return nil
		}
	}
	return nil
}

// AttemptEnd returns the end of the attempt that ctx belongs to. It is no deadline of
// a call: a task may run for hours.
func AttemptEnd(ctx context.Context) time.Time {
	if job := JobFrom(ctx); job != nil {
		return job.Deadline
	}
	return time.Time{}
}
