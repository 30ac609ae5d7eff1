package sqsclient

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// protocol is the SDK's own, with a short way through the three answers that
// a worker gets all the time: the messages of a receive, and a batch of deletes or
// sends that went well. The SDK's reader goes by the schema of any service, with two
// closures and a call for each member: two thirds of the cost of a receive.
//
// The short way reads only what it knows. Anything else in an answer, wrong or
// new, makes the SDK read it from the start. So the result is always that of the
// SDK; a fuzz test compares both.
type protocol struct {
	smithyhttp.ClientProtocol
	readers *sync.Pool // of *reader
}

// withShortWay is an option for the SDK's client.
func withShortWay(o *sqs.Options) {
	o.Protocol = protocol{o.Protocol, &sync.Pool{New: func() any { return new(reader) }}}
}

// maxKept bounds the memory that a reader takes along to the next answer.
const maxKept = 256 << 10

func (p protocol) DeserializeResponse(ctx context.Context, op *smithy.OperationSchema, registry *smithy.TypeRegistry,
	resp *smithyhttp.Response, out smithy.Deserializable) error {
	plain, _ := out.(*received)
	if plain != nil {
		out = &plain.ReceiveMessageOutput // of the SDK's reader
	}
	switch out.(type) {
	case *sqs.ReceiveMessageOutput, *sqs.DeleteMessageBatchOutput, *sqs.SendMessageBatchOutput:
	default:
		return p.ClientProtocol.DeserializeResponse(ctx, op, registry, resp, out)
	}
	if resp.StatusCode != http.StatusOK {
		return p.ClientProtocol.DeserializeResponse(ctx, op, registry, resp, out)
	}
	r := p.readers.Get().(*reader)
	defer func() {
		if cap(r.answer) <= maxKept {
			p.readers.Put(r)
		}
	}()
	if err := r.fill(resp.Body, resp.ContentLength); err != nil {
		return &smithy.DeserializationError{Err: err}
	}
	if plain != nil {
		read, err := r.take(plain)
		if read {
			return err
		}
		r.at = 0
	}
	read := false
	switch out := out.(type) {
	case *sqs.ReceiveMessageOutput:
		out.Messages, read = r.messages()
	case *sqs.DeleteMessageBatchOutput:
		read = r.deleted(out)
	case *sqs.SendMessageBatchOutput:
		read = r.sent(out)
	}
	if read {
		return nil
	}
	body := resp.Body
	defer func() { resp.Body = body }() // the SDK closes it
	resp.Body = io.NopCloser(bytes.NewReader(r.answer))
	return p.ClientProtocol.DeserializeResponse(ctx, op, registry, resp, out)
}

// fill reads the whole answer of size bytes; below zero the size is unknown.
func (r *reader) fill(body io.Reader, size int64) error {
	r.at, r.answer = 0, r.answer[:0]
	if size >= 0 && size <= maxKept && int64(cap(r.answer)) <= size {
		r.answer = make([]byte, 0, size+1) // one more, so that the end is seen without growing
	}
	for {
		if len(r.answer) == cap(r.answer) {
			r.answer = append(r.answer, 0)[:len(r.answer)]
		}
		n, err := body.Read(r.answer[len(r.answer):cap(r.answer)])
		r.answer = r.answer[:len(r.answer)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
