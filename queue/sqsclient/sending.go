package sqsclient

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/schemas"
	"github.com/aws/smithy-go"
)

// ErrChecksum says that SQS has taken another body than the one that was sent.
var ErrChecksum = errors.New("sqsclient: the MD5 of the body that SQS has taken is not that of the body sent")

// SendBatch is the method SendMessageBatch of a client.
type SendBatch func(context.Context, *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error)

var (
	sendTarget = []string{"AmazonSQS.SendMessageBatch"}
	sendSchema = smithy.NewOperationSchema(schemas.SendMessageBatch, schemas.SendMessageBatchRequest,
		schemas.SendMessageBatchResult)
)

// SendBatchOf returns SendMessageBatch of a client that [New] has made by the
// shortcut of [WithShortcut], past the SDK's call altogether: a third of its
// allocations. Entries must have an Id and a body, and there must be a QueueUrl. What
// the shortcut cannot do, and any other client, goes the SDK's way.
func SendBatchOf(client *sqs.Client) SendBatch {
	options := client.Options()
	p, ok := options.HTTPClient.(plainBody)
	if !ok || p.short == nil || p.short.options.Protocol == nil {
		return func(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
			return client.SendMessageBatch(ctx, in)
		}
	}
	s, checked := p.short, !options.DisableMessageChecksumValidation
	return func(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
		out, err := s.sendBatch(ctx, in)
		switch {
		case err == nil && checked:
			err = checksums(in, out)
		case errors.Is(err, errUnsure):
			return s.sendBySDK(ctx, client, in)
		}
		if err != nil {
			return nil, &smithy.OperationError{ServiceID: sqs.ServiceID, OperationName: "SendMessageBatch", Err: err}
		}
		return out, nil
	}
}

func (s *shortcut) sendBatch(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
	m := s.model.Load()
	term, taken := s.sends.taken()
	if !taken || m == nil {
		return nil, errUnsure
	}
	out := new(sqs.SendMessageBatchOutput)
	op := operation{sendTarget, sendSchema, appendSend(make([]byte, 0, sizeOfSend(in)), in), out, &s.sends}
	if op.body == nil {
		return nil, errUnsure
	}
	if _, err := s.perform(ctx, m, &op, term); err != nil {
		return nil, err
	}
	s.sends.succeeded(term)
	return out, nil
}

// sendBySDK leaves a call to the SDK, and learns from it.
func (s *shortcut) sendBySDK(ctx context.Context, client *sqs.Client,
	in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
	s.counts.sdk.Add(1)
	out, err := client.SendMessageBatch(WithShortcut(ctx), in)
	if err == nil {
		s.sends.vouched()
	}
	return out, err
}

// checksums compares the bodies with what SQS says that it has taken, as the SDK does.
func checksums(in *sqs.SendMessageBatchInput, out *sqs.SendMessageBatchOutput) error {
	for i := range out.Successful {
		taken := &out.Successful[i]
		for k := range in.Entries {
			sent := &in.Entries[k]
			if taken.MD5OfMessageBody == nil || taken.Id == nil || *sent.Id != *taken.Id {
				continue
			}
			sum := md5.Sum([]byte(*sent.MessageBody))
			var text [2 * md5.Size]byte
			if hex.Encode(text[:], sum[:]); string(text[:]) != *taken.MD5OfMessageBody {
				return fmt.Errorf("%w: entry %q is %s here and %s there", ErrChecksum, *sent.Id, text[:],
					*taken.MD5OfMessageBody)
			}
			break
		}
	}
	return nil
}

// sizeOfSend is about the length of the body of a request.
func sizeOfSend(in *sqs.SendMessageBatchInput) int {
	n := 256
	for i := range in.Entries {
		if body := in.Entries[i].MessageBody; body != nil {
			n += len(*body) + len(*body)/8 // quotes are escaped
		}
		n += 128
		for name, v := range in.Entries[i].MessageAttributes {
			n += len(name) + 64
			if v.StringValue != nil {
				n += len(*v.StringValue)
			}
		}
	}
	return n
}

// appendSend is the body of a SendMessageBatch; nil leaves it to the SDK.
func appendSend(b []byte, in *sqs.SendMessageBatchInput) []byte {
	if in.QueueUrl == nil || len(in.Entries) == 0 {
		return nil
	}
	w := writer{append(b, '{'), true}
	w.name("Entries")
	w.add('[')
	for i := range in.Entries {
		e := &in.Entries[i]
		if len(e.MessageSystemAttributes) > 0 || e.Id == nil || e.MessageBody == nil {
			return nil
		}
		if i > 0 {
			w.add(',')
		}
		w.add('{')
		w.number("DelaySeconds", e.DelaySeconds)
		w.text("Id", e.Id)
		if len(e.MessageAttributes) > 0 {
			w.name("MessageAttributes")
			w.add('{')
			for name, v := range e.MessageAttributes {
				if v.BinaryValue != nil || v.BinaryListValues != nil || v.StringListValues != nil {
					return nil
				}
				if w.b[len(w.b)-1] != '{' {
					w.add(',')
				}
				w.quote(name)
				w.b = append(w.b, ':', '{')
				w.text("DataType", v.DataType)
				w.text("StringValue", v.StringValue)
				w.end('}')
			}
			w.end('}')
		}
		w.text("MessageBody", e.MessageBody)
		w.text("MessageDeduplicationId", e.MessageDeduplicationId)
		w.text("MessageGroupId", e.MessageGroupId)
		w.end('}')
	}
	w.end(']')
	w.text("QueueUrl", in.QueueUrl)
	return w.end('}')
}
