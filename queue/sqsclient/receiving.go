package sqsclient

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
)

// ErrReceivedChecksum says that a body is not the one that SQS has sent. Its
// message comes again when its time-out ends.
var ErrReceivedChecksum = errors.New("sqsclient: the MD5 of a body received is not the one that SQS states")

// Receive is the method ReceiveMessage of a client.
type Receive func(context.Context, *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error)

// DeleteBatch is the method DeleteMessageBatch of a client.
type DeleteBatch func(context.Context, *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error)

// ReceiveOf returns ReceiveMessage of a client that [New] has made by the
// shortcut of [WithShortcut], past the SDK's call altogether. What the shortcut
// cannot do, and any other client, goes the SDK's way. [MessagesOf] costs less.
func ReceiveOf(client *sqs.Client) Receive {
	s, checked := shortcutOf(client)
	return func(ctx context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
		m, term, ready := s.ready()
		if !ready || in.QueueUrl == nil {
			return client.ReceiveMessage(WithShortcut(ctx), in)
		}
		out := new(sqs.ReceiveMessageOutput)
		op := operation{receiveTarget, receiveSchema, appendReceive(make([]byte, 0, 512), in), out, &s.trust}
		err := s.direct(ctx, m, &op, term)
		if err == nil && checked {
			err = receivedChecksums(out)
		}
		if errors.Is(err, errUnsure) {
			return client.ReceiveMessage(WithShortcut(ctx), in)
		}
		if err != nil {
			return nil, &smithy.OperationError{ServiceID: sqs.ServiceID, OperationName: "ReceiveMessage", Err: err}
		}
		return out, nil
	}
}

// DeleteBatchOf returns DeleteMessageBatch of a client that [New] has made by the
// shortcut of [WithShortcut], past the SDK's call altogether. What the shortcut
// cannot do, and any other client, goes the SDK's way.
func DeleteBatchOf(client *sqs.Client) DeleteBatch {
	s, _ := shortcutOf(client)
	return func(ctx context.Context, in *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error) {
		m, term, ready := s.ready()
		if !ready || !deletable(in) {
			return client.DeleteMessageBatch(WithShortcut(ctx), in)
		}
		out := new(sqs.DeleteMessageBatchOutput)
		op := operation{deleteTarget, deleteSchema, appendDelete(make([]byte, 0, 256+128*len(in.Entries)), in), out,
			&s.trust}
		err := s.direct(ctx, m, &op, term)
		if errors.Is(err, errUnsure) {
			return client.DeleteMessageBatch(WithShortcut(ctx), in)
		}
		if err != nil {
			return nil, &smithy.OperationError{ServiceID: sqs.ServiceID, OperationName: "DeleteMessageBatch", Err: err}
		}
		return out, nil
	}
}

// shortcutOf returns the shortcut of a client that New has made, or nil, and
// whether checksums are compared.
func shortcutOf(client *sqs.Client) (s *shortcut, checked bool) {
	options := client.Options()
	p, ok := options.HTTPClient.(plainBody)
	if !ok || p.short == nil || p.short.options.Protocol == nil {
		return nil, false
	}
	return p.short, !options.DisableMessageChecksumValidation
}

// ready reports whether the shortcut of receives and deletes is taken now.
func (s *shortcut) ready() (m *model, term uint64, ready bool) {
	if s == nil {
		return nil, 0, false
	}
	m = s.model.Load()
	term, taken := s.trust.taken()
	return m, term, taken && m != nil
}

// direct performs op; errUnsure leaves it to the SDK.
func (s *shortcut) direct(ctx context.Context, m *model, op *operation, term uint64) error {
	if op.body == nil {
		return errUnsure
	}
	if _, err := s.perform(ctx, m, op, term); err != nil {
		return err
	}
	s.trust.succeeded(term)
	return nil
}

// deletable reports whether in has all that the SDK wants of it.
func deletable(in *sqs.DeleteMessageBatchInput) bool {
	for i := range in.Entries {
		if in.Entries[i].Id == nil || in.Entries[i].ReceiptHandle == nil {
			return false
		}
	}
	return in.QueueUrl != nil && in.Entries != nil
}

// receivedChecksums compares the bodies with what SQS says that it has sent, as
// the SDK does.
func receivedChecksums(out *sqs.ReceiveMessageOutput) error {
	for i := range out.Messages {
		m := &out.Messages[i]
		if m.Body == nil || m.MD5OfBody == nil {
			continue
		}
		sum := md5.Sum([]byte(*m.Body))
		var text [2 * md5.Size]byte
		if hex.Encode(text[:], sum[:]); string(text[:]) != *m.MD5OfBody {
			return fmt.Errorf("%w: message %s is %s here and %s there", ErrReceivedChecksum, aws.ToString(m.MessageId),
				text[:], *m.MD5OfBody)
		}
	}
	return nil
}
