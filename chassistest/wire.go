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
	ghost   bool          // no process waits for its answer
	at      time.Duration // when the queue did it
}

// entry is one message of a request, or of the answer to a receive.
type entry struct {
	id      string // in a batch
	place   int    // in the request
	receipt string
	hide    time.Duration
	text    string            // the body
	group   string            // of a FIFO queue
	attrs   map[string]string // of the message
	system  map[string]string // that the queue has given it
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
		if q.body, err = readAll(r.Body, r.ContentLength); err != nil {
			return nil, err
		}
		_ = r.Body.Close() // it is in memory
	}
	var one entry // of a request that is no batch
	s := scanner{text: string(q.body)}
	s.object(func(name string) {
		switch name {
		case "QueueUrl":
			q.queue = path.Base(s.string())
		case "QueueName":
			q.queue = s.string()
		case "Entries":
			s.array(func() {
				e := &entry{place: len(q.entries)}
				s.object(func(name string) { e.member(&s, name) })
				q.entries = append(q.entries, e)
			})
		default:
			one.member(&s, name)
		}
	})
	if s.failed {
		return nil, fmt.Errorf("chassistest: a request %s that is not read: it is no JSON from byte %d on", q.op, s.at)
	}
	switch step := stepOf(q.op); {
	case step == OnReceive:
		q.hide = one.hide
	case step != OnLook && !strings.HasSuffix(q.op, "Batch"):
		q.entries = []*entry{&one}
	}
	return q, nil
}

// readAll reads a body of a length that may be unknown. It is in memory.
func readAll(body io.Reader, length int64) (b []byte, err error) {
	if length < 0 {
		return io.ReadAll(body)
	}
	b = make([]byte, length)
	_, err = io.ReadFull(body, b)
	return b, err
}

// member reads a member of an entry, of a request or of an answer.
func (e *entry) member(s *scanner, name string) {
	switch name {
	case "Id":
		e.id = s.string()
	case "ReceiptHandle":
		e.receipt = s.string()
	case "VisibilityTimeout":
		e.hide = time.Duration(s.number()) * time.Second
	case "MessageBody", "Body":
		e.text = s.string()
	case "MessageId":
		e.messageID = s.string()
	case "MessageGroupId":
		e.group = s.string()
	case "MessageAttributes":
		e.attrs = map[string]string{}
		e.attributes(s, "StringValue", "BinaryValue")
		if more, ok := e.attrs[task.AttrMore]; ok { // those beyond the tenth
			e.attributes(&scanner{text: more}, "s", "b")
		}
	case "Attributes":
		e.system = map[string]string{}
		s.object(func(name string) { e.system[name] = s.string() })
	default:
		s.skip()
	}
}

// attributes reads the attributes of a message, and the texts in a member of each; of a
// binary one its Base64.
func (e *entry) attributes(s *scanner, text, binary string) {
	s.object(func(name string) {
		s.object(func(member string) {
			if member == text || member == binary {
				if value := s.string(); value != "" {
					e.attrs[name] = value
				}
			} else {
				s.skip()
			}
		})
	})
}

// name is what the request is, apart from its messages. What follows the last dash in the name
// of an inbox is drawn by no seed.
func (q *request) name() string {
	queue := q.queue
	if task.IsInbox(queue) {
		queue = queue[:strings.LastIndexByte(queue, '-')]
	}
	return q.op + " " + queue
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
	s := scanner{text: string(a.body)}
	if step == OnReceive {
		q.entries = nil
		s.object(func(name string) {
			if name != "Messages" {
				s.skip()
				return
			}
			s.array(func() {
				e := &entry{hide: q.hide}
				s.object(func(name string) { e.member(&s, name) })
				q.entries = append(q.entries, e)
			})
		})
		return
	}
	s.object(func(name string) {
		switch name {
		case "MessageId":
			q.entries[0].messageID = s.string()
		case "Successful", "Failed":
			s.array(func() {
				var one entry
				s.object(func(name string) { one.member(&s, name) })
				if i := q.index(one.id); i >= 0 {
					q.entries[i].messageID, q.entries[i].failed = one.messageID, name == "Failed"
				}
			})
		default:
			s.skip()
		}
	})
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

// copy is the request as it is on its way a second time, without what a storm has left out.
func (q *request) copy() *request {
	again := &request{op: q.op, queue: q.queue, body: q.body, hide: q.hide, header: q.header}
	for _, e := range q.entries {
		if slices.Contains(q.split, e.id) {
			continue
		}
		n := *e
		n.failed = false
		again.entries = append(again.entries, &n)
	}
	return again
}
