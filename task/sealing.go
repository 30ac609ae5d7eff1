package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Sealing is what the envelope of a task's arguments does. Its parts are done in the
// order of the constants, and undone in reverse.
type Sealing uint8

// The parts of an envelope.
const (
	Compress   Sealing = 1 << iota // zstd, from a size on and where it makes the message smaller
	Encrypt                        // AEAD encryption by a data key
	ClaimCheck                     // what is too large for the queue is kept in a store
)

// Encrypted encrypts the task's arguments on the queue, in copies and in dead letters. A
// process without a key neither sends the task nor runs it. Arguments that come as plain
// text are still taken, so that a task may change over while messages are on the queue:
// see [OnlyEncrypted].
func Encrypted() Policy { return func(s *Spec) { s.Sealing |= Encrypt } }

// OnlyEncrypted is [Encrypted], and makes a dead letter of arguments that come as plain
// text: what is run then was sent by a process with a key.
func OnlyEncrypted() Policy {
	return func(s *Spec) { s.Sealing |= Encrypt; s.OnlyEncrypted = true }
}

// Compressed compresses the task's arguments by zstd where they are large and become
// smaller by it. Together with [Encrypted] the size of a message says something about its
// content: leave it out where an attacker chooses a part of the arguments.
func Compressed() Policy { return func(s *Spec) { s.Sealing |= Compress } }

// ClaimChecked keeps the task's arguments in a store where they are too large for the
// queue. The message then says where they are.
func ClaimChecked() Policy { return func(s *Spec) { s.Sealing |= ClaimCheck } }

// Opens lets the task open envelopes of other tasks: it is the on_fail task of these, and
// they are registered in another process. For those of its own process it needs none.
func Opens(names ...string) Policy {
	return func(s *Spec) { s.Opens = append(s.Opens, names...) }
}

// Parcel is what a [Sealer] makes an envelope for.
type Parcel struct {
	Task   string
	ExecID string
	Body   string    // the arguments as JSON
	When   time.Time // the time to run at
	Do     Sealing
}

// Sealer makes envelopes; package envelope has one.
type Sealer interface {
	// Wants returns what the envelope of a task does by its registration or by the settings
	// of the pool that it goes to. An empty pool is the sender's own.
	Wants(name, pool string) Sealing
	// Seal returns the body to send and what was done, for [AttrEnvelope]. Where nothing
	// was to be done both are empty. It may ask a store or a key service within ctx.
	Seal(ctx context.Context, p Parcel) (body, mark string, err error)
}

// SealedBy makes s the sealer of the message. [Encode] asks it.
func SealedBy(s Sealer) Option { return func(m *sending) { m.sealer = s } }

// SealOutgoing returns a message in its envelope, if it is to have one by s: for a message
// that was made without a sealer.
func SealOutgoing(ctx context.Context, s Sealer, out *Outgoing) (*Outgoing, error) {
	do := s.Wants(out.Name, out.Pool)
	if do == 0 {
		return out, nil
	}
	body, mark, err := s.Seal(ctx, Parcel{Task: out.Name, ExecID: out.ExecID, Body: out.Body, When: out.When, Do: do})
	if err != nil {
		return nil, fmt.Errorf("send task %q: seal its arguments: %w", out.Name, err)
	}
	if mark == "" {
		return out, nil
	}
	sealed := *out
	sealed.Body, sealed.Attributes = body, maps.Clone(out.Attributes)
	mark = clean(mark)
	sealed.Attributes[AttrEnvelope] = types.MessageAttributeValue{DataType: &stringType, StringValue: &mark}
	if len(sealed.Attributes) > MaxAttributes {
		fold(sealed.Attributes)
	}
	return &sealed, nil
}

// Sealed adds parts to the envelope of the message. The senders of the chassis give it
// for the policies of a [Definition]; give it yourself for a task by its name.
func Sealed(parts Sealing) Option { return func(s *sending) { s.want |= parts } }

// ErrNoSealer says that a task with an envelope was sent by a way that has none: it would
// have gone out as plain text.
var ErrNoSealer = errors.New("its arguments need an envelope, and this sender has none: set tasks.key_file, give " +
	"chassis.WithEnvelope, or outbox.SealedBy")

// seal puts the body into its envelope, if it is to have one.
func (s *sending) seal(ctx context.Context) error {
	do := s.want
	if s.sealer != nil {
		do |= s.sealer.Wants(s.out.Name, s.out.Pool)
	}
	if do == 0 {
		return nil
	}
	if s.sealer == nil {
		return ErrNoSealer
	}
	body, mark, err := s.sealer.Seal(ctx, Parcel{Task: s.msg.Name, ExecID: s.msg.ExecID, Body: s.msg.Body,
		When: s.msg.When, Do: do})
	if err != nil {
		return fmt.Errorf("seal its arguments: %w", err)
	}
	if mark != "" {
		s.msg.Body, s.msg.Envelope = body, mark
	}
	return nil
}

// EnvelopeKey is the member that the body of a sealed message begins with.
const EnvelopeKey = "chassis_envelope"

// The two forms of what a sealed body begins with: ours, and that of other JSON writers.
const (
	sealedPrefix  = `{"` + EnvelopeKey + `": {`
	sealedCompact = `{"` + EnvelopeKey + `":{`
)

// IsSealed reports whether a body is an envelope. It looks at the first bytes alone. The
// attribute does not count: a Python consumer that sends a message again drops it.
func IsSealed(body []byte) bool {
	return len(body) > len(sealedCompact) && body[2] == EnvelopeKey[0] &&
		(bytes.HasPrefix(body, []byte(sealedPrefix)) || bytes.HasPrefix(body, []byte(sealedCompact)))
}

// IsSealed is the function of that name for the body of m.
func (m *Message) IsSealed() bool {
	return strings.HasPrefix(m.Body, sealedPrefix) || strings.HasPrefix(m.Body, sealedCompact)
}

// UnopenedError says that the arguments of a task could not be taken out of their
// envelope. It spends no failure, and is not the fault of the handler, which was not
// called.
type UnopenedError struct {
	Err error
	// Wait is the time until the next try.
	Wait time.Duration
	// Within is how long the task waits in all, after which it becomes a dead letter of
	// [ReasonSealed]. 0: for as long as it takes.
	Within time.Duration
	// Elsewhere gives the task back to the queue, for another process may open it.
	Elsewhere bool
	// Final makes a dead letter now: no other try can help, until a person has.
	Final bool
}

func (e *UnopenedError) Error() string {
	return "the arguments are in an envelope that cannot be opened: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnopenedError) Unwrap() error { return e.Err }
