package sqsclient

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/go-json-experiment/json/jsontext"
)

// The bodies of the two requests that the shortcut makes. nil leaves one to the
// SDK: it holds text that is not UTF-8, or a member that this project never sets.

func appendReceive(b []byte, in *sqs.ReceiveMessageInput) []byte {
	w := writer{append(b, '{'), true}
	if in.AttributeNames != nil { //nolint:staticcheck // deprecated, but a caller may still use it
		return nil
	}
	w.number("MaxNumberOfMessages", in.MaxNumberOfMessages)
	list(&w, "MessageAttributeNames", in.MessageAttributeNames)
	list(&w, "MessageSystemAttributeNames", in.MessageSystemAttributeNames)
	w.text("QueueUrl", in.QueueUrl)
	w.text("ReceiveRequestAttemptId", in.ReceiveRequestAttemptId)
	w.number("VisibilityTimeout", in.VisibilityTimeout)
	w.number("WaitTimeSeconds", in.WaitTimeSeconds)
	return w.end('}')
}

func appendDelete(b []byte, in *sqs.DeleteMessageBatchInput) []byte {
	w := writer{append(b, '{'), true}
	w.name("Entries")
	w.add('[')
	for i := range in.Entries {
		if i > 0 {
			w.add(',')
		}
		w.add('{')
		w.text("Id", in.Entries[i].Id)
		w.text("ReceiptHandle", in.Entries[i].ReceiptHandle)
		w.end('}')
	}
	w.end(']')
	w.text("QueueUrl", in.QueueUrl)
	return w.end('}')
}

type writer struct {
	b  []byte
	ok bool
}

func (w *writer) add(c byte) { w.b = append(w.b, c) }

// end closes an object or list, and returns all that was written.
func (w *writer) end(c byte) []byte {
	w.add(c)
	if !w.ok {
		return nil
	}
	return w.b
}

func (w *writer) name(name string) {
	if last := w.b[len(w.b)-1]; last != '{' {
		w.add(',')
	}
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

func (w *writer) quote(s string) {
	var err error
	w.b, err = jsontext.AppendQuote(w.b, s)
	w.ok = w.ok && err == nil
}

func (w *writer) text(name string, s *string) {
	if s != nil {
		w.name(name)
		w.quote(*s)
	}
}

func (w *writer) number(name string, n int32) {
	if n != 0 {
		w.name(name)
		w.b = strconv.AppendInt(w.b, int64(n), 10)
	}
}

func list[S ~string](w *writer, name string, texts []S) {
	if texts == nil {
		return
	}
	w.name(name)
	w.add('[')
	for i, s := range texts {
		if i > 0 {
			w.add(',')
		}
		w.quote(string(s))
	}
	w.add(']')
}
