package wire

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s, which is valid UTF-8, as a JSON string.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		from = i + 1
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

// AppendUUID appends an id in the usual form.
func AppendUUID(b []byte, id [16]byte) []byte {
	b = hex.AppendEncode(b, id[:4])
	for i := 4; i < 10; i += 2 {
		b = append(b, '-')
		b = hex.AppendEncode(b, id[i:i+2])
	}
	b = append(b, '-')
	return hex.AppendEncode(b, id[10:])
}

// appendSequence appends a SequenceNumber: twenty digits, so that its order is
// the same as a text and as a number.
func appendSequence(b []byte, seq uint64) []byte {
	s := strconv.FormatUint(seq, 10)
	b = append(b, "10000000000000000000"[:20-len(s)]...)
	return append(b, s...)
}

func appendMillis(b []byte, ns int64) []byte { return strconv.AppendInt(b, ns/1e6, 10) }

// SendResult is the part of an answer for one sent message.
type SendResult struct {
	ID      string // the entry's, in a batch
	Sent    engine.Sent
	Content *engine.Content
	Traced  bool // AWSTraceHeader was given as an attribute, so its digest is asked for
}

// AppendSent appends the members of r, without braces.
func AppendSent(b []byte, r *SendResult) []byte {
	b = append(b, `"MessageId":"`...)
	b = AppendUUID(b, r.Sent.ID)
	b = append(b, `","MD5OfMessageBody":"`...)
	b = hex.AppendEncode(b, r.Content.BodyMD5[:])
	if len(r.Content.Attrs) > 0 {
		sum := sumOf(r.Content, r.Content.Attrs)
		b = append(b, `","MD5OfMessageAttributes":"`...)
		b = hex.AppendEncode(b, sum[:])
	}
	if r.Traced && r.Content.Trace != "" {
		sum := AttributesMD5([]engine.Attribute{{Name: "AWSTraceHeader", Type: "String", String: r.Content.Trace}})
		b = append(b, `","MD5OfMessageSystemAttributes":"`...)
		b = hex.AppendEncode(b, sum[:])
	}
	if r.Sent.Seq != 0 {
		b = append(b, `","SequenceNumber":"`...)
		b = appendSequence(b, r.Sent.Seq)
	}
	return append(b, '"')
}

// Batch makes the answer of a batch: what succeeded and what failed, each left
// out if empty.
type Batch struct {
	dst    []byte
	failed []byte
	n      int
}

// NewBatch makes a Batch that appends to dst.
func NewBatch(dst []byte) *Batch { return &Batch{dst: dst} }

func (a *Batch) open(id string) {
	if a.n == 0 {
		a.dst = append(a.dst, `{"Successful":[{"Id":"`...)
	} else {
		a.dst = append(a.dst, `,{"Id":"`...)
	}
	a.n++
	a.dst = append(a.dst, id...) // a checked id needs no escape
}

// Sent notes a success of SendMessageBatch.
func (a *Batch) Sent(r *SendResult) {
	a.open(r.ID)
	a.dst = append(a.dst, `",`...)
	a.dst = append(AppendSent(a.dst, r), '}')
}

// Done notes a success.
func (a *Batch) Done(id string) {
	a.open(id)
	a.dst = append(a.dst, `"}`...)
}

// Failed notes a failure.
func (a *Batch) Failed(id string, err *engine.Error) {
	if a.failed == nil {
		a.failed = append(a.failed, `"Failed":[`...)
	} else {
		a.failed = append(a.failed, ',')
	}
	a.failed = append(a.failed, `{"Id":`...)
	a.failed = AppendString(a.failed, id)
	a.failed = append(a.failed, `,"SenderFault":`...)
	a.failed = strconv.AppendBool(a.failed, err.Sender())
	a.failed = append(a.failed, `,"Code":`...)
	a.failed = AppendString(a.failed, err.Code)
	a.failed = append(a.failed, `,"Message":`...)
	a.failed = AppendString(a.failed, err.Message)
	a.failed = append(a.failed, '}')
}

// Bytes is the answer.
func (a *Batch) Bytes() []byte {
	if a.n == 0 {
		a.dst = append(a.dst, '{')
	} else {
		a.dst = append(a.dst, ']')
	}
	if a.failed != nil {
		if a.n > 0 {
			a.dst = append(a.dst, ',')
		}
		a.dst = append(a.dst, a.failed...)
		a.dst = append(a.dst, ']')
	}
	return append(a.dst, '}')
}

// AppendError appends the body of a refusal.
func AppendError(b []byte, err *engine.Error) []byte {
	b = append(b, `{"__type":"com.amazonaws.sqs#`...)
	b = append(b, err.Shape...)
	b = append(b, `","message":`...)
	b = AppendString(b, strings.ToValidUTF8(err.Message, "\uFFFD")) // it may quote a header
	return append(b, '}')
}

// Selection is what a receive asks for in addition to the body.
type Selection struct {
	system    systemSet
	all       bool
	names     []string
	prefixes  []string
	anyOfUser bool
}

type systemSet uint16

const (
	senderID systemSet = 1 << iota
	sentTimestamp
	receiveCount
	firstReceive
	sequenceNumber
	dedupID
	groupID
	traceHeader
	deadLetterSource
	allSystem systemSet = 1<<iota - 1
)

var systemNames = map[string]systemSet{
	"All": allSystem, "SenderId": senderID, "SentTimestamp": sentTimestamp, "ApproximateReceiveCount": receiveCount,
	"ApproximateFirstReceiveTimestamp": firstReceive, "SequenceNumber": sequenceNumber,
	"MessageDeduplicationId": dedupID, "MessageGroupId": groupID, "AWSTraceHeader": traceHeader,
	"DeadLetterQueueSourceArn": deadLetterSource,
}

// Selection reads what r asks for.
func (r *ReceiveMessage) Selection() (s Selection, err *engine.Error) {
	for _, list := range [][]string{r.AttributeNames, r.MessageSystemAttributeNames} {
		for _, name := range list {
			bits, ok := systemNames[name]
			if !ok {
				return s, &engine.Error{Shape: "InvalidAttributeName", Code: "InvalidAttributeName",
					Message: "Unknown Attribute " + name + ".", Status: 400}
			}
			s.system |= bits
		}
	}
	for _, name := range r.MessageAttributeNames {
		switch prefix, cut := strings.CutSuffix(name, ".*"); {
		case name == "All" || name == ".*" || name == "*":
			s.all = true
		case cut: // Cus.* is all that begins with Cus, with a period after it or not
			s.prefixes = append(s.prefixes, prefix)
		default:
			s.names = append(s.names, name)
		}
	}
	s.anyOfUser = s.all || s.names != nil || s.prefixes != nil
	return s, nil
}

// pick is the part of attrs that is asked for.
func (s *Selection) pick(attrs []engine.Attribute) []engine.Attribute {
	if s.all || !s.anyOfUser || len(attrs) == 0 {
		if s.anyOfUser {
			return attrs
		}
		return nil
	}
	var picked []engine.Attribute
	for _, a := range attrs {
		if s.wants(a.Name) {
			picked = append(picked, a)
		}
	}
	return picked
}

func (s *Selection) wants(name string) bool {
	for _, n := range s.names {
		if n == name {
			return true
		}
	}
	for _, p := range s.prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// Receipts writes receipt handles.
type Receipts interface {
	AppendReceipt(dst []byte, r *engine.Received) []byte
	OriginARN(k *engine.Key) string
}

// AppendMessages appends the answer of ReceiveMessage.
func AppendMessages(b []byte, list []engine.Received, s *Selection, receipts Receipts) []byte {
	if len(list) == 0 {
		return append(b, "{}"...)
	}
	b = append(b, `{"Messages":[`...)
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendMessage(b, &list[i], s, receipts)
	}
	return append(b, `]}`...)
}

func appendMessage(b []byte, r *engine.Received, s *Selection, receipts Receipts) []byte {
	c := r.Content
	b = append(b, `{"MessageId":"`...)
	b = AppendUUID(b, r.ID)
	b = append(b, `","ReceiptHandle":"`...)
	b = receipts.AppendReceipt(b, r)
	b = append(b, `","MD5OfBody":"`...)
	b = hex.AppendEncode(b, c.BodyMD5[:])
	b = append(b, `","Body":`...)
	if c.PlainJSON {
		b = append(b, '"')
		b = append(b, c.Body...)
		b = append(b, '"')
	} else {
		b = AppendString(b, c.Body)
	}
	if s.system != 0 {
		b = appendSystem(b, r, s.system, receipts)
	}
	if attrs := s.pick(c.Attrs); len(attrs) > 0 {
		sum := sumOf(c, attrs)
		b = append(b, `,"MD5OfMessageAttributes":"`...)
		b = hex.AppendEncode(b, sum[:])
		b = append(b, `","MessageAttributes":{`...)
		for i := range attrs {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendAttribute(b, &attrs[i])
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

// sumOf returns the digest of some of the attributes of c.
func sumOf(c *engine.Content, attrs []engine.Attribute) [16]byte {
	if len(attrs) == len(c.Attrs) && c.AttrsMD5 != [16]byte{} {
		return c.AttrsMD5
	}
	return AttributesMD5(attrs)
}

func appendAttribute(b []byte, a *engine.Attribute) []byte {
	b = AppendString(b, a.Name)
	if a.Binary() {
		b = append(b, `:{"BinaryValue":"`...)
		b = base64.StdEncoding.AppendEncode(b, []byte(a.String))
		b = append(b, '"')
	} else {
		b = append(b, `:{"StringValue":`...)
		b = AppendString(b, a.String)
	}
	b = append(b, `,"DataType":`...)
	b = AppendString(b, a.Type)
	return append(b, '}')
}

func appendSystem(b []byte, r *engine.Received, set systemSet, receipts Receipts) []byte {
	b = append(b, `,"Attributes":{`...)
	start := len(b)
	name := func(n string) {
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, n...)
		b = append(b, `":`...)
	}
	text := func(n, v string) {
		if v != "" {
			name(n)
			b = AppendString(b, v)
		}
	}
	millis := func(n string, ns int64) {
		name(n)
		b = append(appendMillis(append(b, '"'), ns), '"')
	}
	if set&senderID != 0 {
		text("SenderId", r.Content.Sender)
	}
	if set&sentTimestamp != 0 {
		millis("SentTimestamp", r.Sent)
	}
	if set&receiveCount != 0 {
		name("ApproximateReceiveCount")
		b = append(strconv.AppendUint(append(b, '"'), uint64(r.Receives)+uint64(r.Before), 10), '"')
	}
	if set&firstReceive != 0 {
		millis("ApproximateFirstReceiveTimestamp", r.First)
	}
	if set&sequenceNumber != 0 && r.FIFO {
		name("SequenceNumber")
		b = append(appendSequence(append(b, '"'), r.Seq), '"')
	}
	if set&dedupID != 0 {
		text("MessageDeduplicationId", r.Content.DedupID)
	}
	if set&groupID != 0 {
		text("MessageGroupId", r.Group)
	}
	if set&traceHeader != 0 {
		text("AWSTraceHeader", r.Content.Trace)
	}
	if set&deadLetterSource != 0 && r.Origin != nil {
		text("DeadLetterQueueSourceArn", receipts.OriginARN(r.Origin))
	}
	return append(b, '}')
}
