package task

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// The attributes of a task message. The first five are the contract with the
// Python chassis, which ignores all others.
const (
	AttrName    = "task_name"
	AttrExecID  = "exec_id"
	AttrWhen    = "when" // UTC, [WhenLayout]
	AttrJobID   = "job_id"
	AttrJobName = "job_name"

	AttrFailures  = "chassis.failures"   // failures spent before this copy was sent, decimal
	AttrAttempts  = "chassis.attempts"   // runs before this copy was sent, decimal; absent: as many as failures
	AttrError     = "chassis.error"      // text of the last failure, at most [MaxErrorText] bytes
	AttrReason    = "chassis.reason"     // dead letters: why, one of the Reason constants
	AttrFirst     = "chassis.first"      // first receive of the first copy, RFC 3339
	AttrFar       = "chassis.when"       // the time first asked for, where when holds another or cannot hold it, RFC 3339
	AttrNotBefore = "chassis.not_before" // earliest time of the next attempt, RFC 3339; or [NotBeforeDue]
	AttrUnknown   = "chassis.unknown"    // times that a copy was postponed because no process knew its name
	AttrSilent    = "chassis.silent"     // silent ends before this copy was sent, since the task was last seen to run, decimal
	AttrSteps     = "chassis.steps"      // the journal of its steps, see [Journal]: JSON, or Binary where it is compressed
	AttrEnvelope  = "chassis.envelope"   // what was done to the arguments, for people: "zstd, aes-256-gcm key=2026-11"
	AttrUnopened  = "chassis.unopened"   // since when its envelope cannot be opened, RFC 3339
	AttrUnique    = "chassis.unique"     // key that is free when the task is done, see [UniqueUntilDone]
	AttrReply     = "chassis.reply"      // where the asker waits for the answer, see [Reply]
	AttrTenant    = "chassis.tenant"     // key of the tenant that it is for, see [Tenant]
	AttrMore      = "chassis.more"       // attributes beyond the tenth, as JSON; see doc.go

	AttrTraceParent = "traceparent" // W3C trace context

	// AttrFlow is what follows the execution, see package task/flow. A process without
	// flows does not know the task, and an on_fail task is not part of the flow.
	AttrFlow = "flow"
)

// WhenLayout is the form of [AttrWhen], %d/%m/%y %H:%M:%S of the Python
// chassis. Its years are 1969 to 2068; a time beyond them is written as the last
// or first second of them, and [AttrFar] holds it whole.
const WhenLayout = "02/01/06 15:04:05"

// NotBeforeDue in [AttrNotBefore] marks a copy made when its time had come:
// every receive of it but the current one ended in a failure or a crash, none in
// a postponement.
const NotBeforeDue = "due"

// Limits of SQS.
const (
	MaxAttributes = 10               // a message; system attributes do not count
	MaxSize       = 1 << 20          // bytes of a message: body, attribute names, types and values
	MaxDelay      = 15 * time.Minute // DelaySeconds
	MaxErrorText  = 1024             // ours: bytes of error text that travel with a message
	Room          = 1024             // ours: bytes that Encode leaves free, for what a copy or a dead letter says in addition
)

// Reasons of a dead letter, in [AttrReason].
const (
	ReasonExhausted   = "exhausted"   // its failures reached the task's max failures
	ReasonCancelled   = "cancelled"   // its handler said never again, or it was cancelled
	ReasonUndecodable = "undecodable" // its body is not JSON, does not fit its arguments, or its when is no time
	ReasonUnknown     = "unknown"     // no process knew its task's name for too long
	ReasonSealed      = "sealed"      // its arguments could not be taken out of their envelope
	ReasonTooLate     = "too_late"    // FIFO: it cannot wait for its next run, for the queue drops or shows it before
)

// Message is a task on a queue.
type Message struct {
	Name    string // empty if it names none
	ExecID  string
	JobID   string
	JobName string
	When    time.Time // UTC; zero: at once
	Body    string    // JSON as it stands on the queue

	Failures  int       // spent before this copy was sent
	Counted   bool      // Failures was on the message: its earlier receives are accounted for
	NotBefore time.Time // earliest time of the next attempt; zero: When decides
	Attempts  int       // runs before this copy was sent, at least Failures
	Due       bool      // [NotBeforeDue]
	Unknown   int       // postponements under an unknown name before this copy was sent
	Silent    int       // silent ends before this copy was sent: deliveries that ended without a result
	LastError string
	Reason    string    // dead letters
	First     time.Time // first receive of the first copy; zero if this is the first
	Steps     []byte    // the wire form of a [Journal]; empty without steps
	Unique    string    // [AttrUnique]; empty without a key
	Envelope  string    // [AttrEnvelope]; empty without an envelope
	Tenant    string    // [AttrTenant]; empty without a tenant
	Unopened  time.Time // since when its envelope cannot be opened; zero: it can, or has none
	Reply     string    // [AttrReply]; empty if no asker waits for an answer

	// Newer holds attributes of newer versions: those in the name space of the chassis that
	// this version does not know. Copies and dead letters pass them through.
	Newer map[string]types.MessageAttributeValue

	// Extra holds all other attributes, to be passed through.
	Extra map[string]types.MessageAttributeValue
}

// Renewed returns the message as it was sent at first: what its deliveries and
// a dead letter have written on it is left out, so its budget is whole again. Its steps
// stay, for what they did is done. Its asker waits no more.
func (m *Message) Renewed() Message {
	return Message{Name: m.Name, ExecID: m.ExecID, JobID: m.JobID, JobName: m.JobName, When: m.When, Body: m.Body,
		Extra: m.Extra, Steps: m.Steps, Envelope: m.Envelope, Unique: m.Unique, Tenant: m.Tenant,
		Newer: m.Newer}
}

// TraceParent is the W3C trace context that came with the message, or "".
func (m *Message) TraceParent() string {
	if v, ok := m.Extra[AttrTraceParent]; ok && v.StringValue != nil {
		return *v.StringValue
	}
	return ""
}

// Outgoing is a message as it is to be put on a queue. What sends it needs no
// Name, ExecID and When: they are on the message already.
type Outgoing struct {
	Name   string
	ExecID string
	When   time.Time // the time to run at; that of the send if it is not scheduled

	Pool       string // queue name or URL; empty: the sender's own
	Body       string
	Attributes map[string]types.MessageAttributeValue
	Delay      time.Duration // 0 to 900 s, whole seconds; standard queues only
	GroupID    string        // FIFO and fair queues
	DedupID    string        // FIFO queues; empty: the sender makes one up

	Tenant string // on the message already, see [Tenant]; what sends it may choose the group by it

	OneOf OneOf // what it is one of, for the outbox; empty without [Unique]

	// TraceHeader is the trace context in X-Ray's form, for SQS's system
	// attribute AWSTraceHeader; empty without one.
	TraceHeader string

	// Optional is a message that a settle goes on without, if it cannot be sent: an answer to
	// an asker that is gone. Its failure says nothing of the queue service.
	Optional bool

	// Room is the number of bytes that stay free, of what the queue takes, for
	// attributes of a later copy of the message. 0 or more.
	Room int
}
