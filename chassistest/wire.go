package chassistest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sambatech/chassis/task"
)

// request is a request to the queue, as far as a storm reads it.
type request struct {
	op      string
	queue   string // its name
	body    []byte
	entries []*entry
	hide    time.Duration // of a receive
	header  http.Header
	refusal *reply // what it gets in place of an answer
	answer  *reply // what the queue has said
	strikes []*Fault
	split   []string      // entries that fail, by a storm
	skew    time.Duration // of the clock of its process
	done    bool          // the world has taken note of what the queue did
	at      time.Duration // when the queue did it
}

// entry is one message of a request, or of the answer to a receive.
type entry struct {
	id      string // in a batch
	receipt string
	hide    time.Duration
	text    string // the body
	attrs   map[string]string
	fate    *fate
	sort    string
	failed  bool // the answer says so

	messageID string
}

// reply is an answer, or the error in place of one.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// wireEntry is an entry in JSON, with the fields of all operations.
type wireEntry struct {
	Id                string
	ReceiptHandle     string
	VisibilityTimeout *int
	MessageBody       string
	MessageAttributes map[string]wireValue
}

type wireValue struct{ StringValue string }

type wireRequest struct {
	QueueUrl, QueueName string
	Entries             []wireEntry
	wireEntry
}

type wireAnswer struct {
	Messages []struct {
		MessageId, ReceiptHandle, Body string
		MessageAttributes              map[string]wireValue
		Attributes                     map[string]string
	}
	Successful []struct{ Id, MessageId string }
	Failed     []struct{ Id string }
	MessageId  string
}

// stepOf is the step that an operation is.
func stepOf(op string) Step {
	switch op {
	case "ReceiveMessage":
		return OnReceive
	case "SendMessage", "SendMessageBatch":
		return OnSend
	case "DeleteMessage", "DeleteMessageBatch":
		return OnDelete
	case "ChangeMessageVisibility", "ChangeMessageVisibilityBatch":
		return OnHide
	}
	return OnLook
}

// readRequest takes a request apart. Its body is read.
func readRequest(r *http.Request) (*request, error) {
	q := &request{header: r.Header}
	_, q.op, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if r.Body != nil {
		var err error
		if q.body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	var in wireRequest
	if err := json.Unmarshal(q.body, &in); err != nil {
		return nil, fmt.Errorf("chassistest: a request %s that is not read: %w", q.op, err)
	}
	if q.queue = path.Base(in.QueueUrl); in.QueueUrl == "" {
		q.queue = in.QueueName
	}
	switch step := stepOf(q.op); {
	case step == OnReceive:
		if in.VisibilityTimeout != nil {
			q.hide = time.Duration(*in.VisibilityTimeout) * time.Second
		}
	case step != OnLook && strings.HasSuffix(q.op, "Batch"):
		for i := range in.Entries {
			q.entries = append(q.entries, in.Entries[i].entry())
		}
	case step != OnLook:
		q.entries = []*entry{in.wireEntry.entry()}
	}
	return q, nil
}

// name is what the request is, apart from its messages.
func (q *request) name() string { return q.op + " " + q.queue }

func (e *wireEntry) entry() *entry {
	n := &entry{id: e.Id, receipt: e.ReceiptHandle, text: e.MessageBody, attrs: values(e.MessageAttributes)}
	if e.VisibilityTimeout != nil {
		n.hide = time.Duration(*e.VisibilityTimeout) * time.Second
	}
	return n
}

func values(in map[string]wireValue) map[string]string {
	if in == nil {
		return nil
	}
	out := make(map[string]string, len(in))
	for name, v := range in {
		out[name] = v.StringValue
	}
	if text, ok := out[task.AttrMore]; ok {
		unfold(out, text)
	}
	return out
}

// unfold adds the attributes of a message beyond its tenth.
func unfold(attrs map[string]string, text string) {
	var more map[string]struct {
		Text string `json:"s"`
	}
	if json.Unmarshal([]byte(text), &more) != nil {
		return
	}
	for name, v := range more {
		attrs[name] = v.Text
	}
}

// read takes the answer apart: which entries failed, and what a receive brought.
func (q *request) read() {
	a := q.answer
	if a == nil || a.err != nil || a.status != http.StatusOK {
		for _, e := range q.entries {
			e.failed = true
		}
		return
	}
	step := stepOf(q.op)
	if step == OnLook || len(a.body) <= 2 {
		return
	}
	var out wireAnswer
	if json.Unmarshal(a.body, &out) != nil {
		return
	}
	if step == OnReceive {
		q.entries = nil
		for _, m := range out.Messages {
			e := &entry{receipt: m.ReceiptHandle, messageID: m.MessageId, text: m.Body, hide: q.hide,
				attrs: values(m.MessageAttributes)}
			q.entries = append(q.entries, e)
		}
		return
	}
	if out.MessageId != "" {
		q.entries[0].messageID = out.MessageId
	}
	for _, s := range out.Successful {
		if i := q.index(s.Id); i >= 0 {
			q.entries[i].messageID = s.MessageId
		}
	}
	for _, f := range out.Failed {
		if i := q.index(f.Id); i >= 0 {
			q.entries[i].failed = true
		}
	}
}

func (q *request) index(id string) int {
	return slices.IndexFunc(q.entries, func(e *entry) bool { return e.id == id })
}

// without is the body of a batch without some of its entries.
func (q *request) without(left map[string]bool) []byte {
	var whole map[string]json.RawMessage
	var entries []json.RawMessage
	if json.Unmarshal(q.body, &whole) != nil || json.Unmarshal(whole["Entries"], &entries) != nil {
		return q.body
	}
	entries = slices.DeleteFunc(entries, func(raw json.RawMessage) bool {
		var e struct{ Id string }
		return json.Unmarshal(raw, &e) == nil && left[e.Id]
	})
	whole["Entries"], _ = json.Marshal(entries) // raw JSON always marshals, here and below
	body, _ := json.Marshal(whole)
	return body
}

// failed adds failed entries to the answer of a batch.
func (r *reply) failed(ids []string) {
	var whole map[string]json.RawMessage
	if json.Unmarshal(r.body, &whole) != nil {
		whole = map[string]json.RawMessage{}
	}
	var list []any
	if raw, ok := whole["Failed"]; ok {
		_ = json.Unmarshal(raw, &list)
	}
	for _, id := range ids {
		list = append(list, map[string]any{"Id": id, "Code": "InternalError", "SenderFault": false,
			"Message": "the storm has failed this entry"})
	}
	whole["Failed"], _ = json.Marshal(list)
	if whole["Successful"] == nil {
		whole["Successful"] = []byte("[]")
	}
	r.body, _ = json.Marshal(whole)
}

// refuse is an error answer of the queue service.
func refuse(status int, shape, message string) *reply {
	body := fmt.Sprintf(`{"__type":"com.amazonaws.sqs#%s","message":%q}`, shape, message)
	return &reply{status: status, body: []byte(body), header: http.Header{
		"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Requestid": {"storm"}}}
}

// The refusals of a storm.
func throttled() *reply {
	return refuse(http.StatusBadRequest, "RequestThrottled", "the storm throttles this action")
}

func denied(op string) *reply {
	action := "sqs:" + strings.TrimSuffix(op, "Batch")
	return refuse(http.StatusForbidden, "AccessDeniedException", "the storm denies "+action)
}

func expired() *reply {
	return refuse(http.StatusForbidden, "ExpiredTokenException", "the storm has let the credentials expire")
}

func broken() *reply {
	return refuse(http.StatusInternalServerError, "InternalFailure", "the storm fails this request")
}

func disconnected() *reply {
	return &reply{err: fmt.Errorf("the storm cuts the connection: %w", syscall.ECONNRESET)}
}

// response is the reply as net/http has it.
func (r *reply) response(req *http.Request) (*http.Response, error) {
	if r.err != nil {
		return nil, r.err
	}
	return &http.Response{Status: http.StatusText(r.status), StatusCode: r.status, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, Header: r.header, Body: io.NopCloser(bytes.NewReader(r.body)), ContentLength: int64(len(r.body)),
		Request: req}, nil
}

// copy is the request as it is on its way a second time.
func (q *request) copy() *request {
	again := &request{op: q.op, queue: q.queue, body: q.body, hide: q.hide, header: q.header}
	for _, e := range q.entries {
		n := *e
		n.failed = false
		again.entries = append(again.entries, &n)
	}
	return again
}
