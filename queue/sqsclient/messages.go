package sqsclient

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// Message is a message as a worker needs it: two fifths of the memory of the SDK's, for
// it has no map. What the queue does not say is zero.
type Message struct {
	ID, Handle, Body   string
	Receives           int   // ApproximateReceiveCount
	Sent, First        int64 // SentTimestamp and ApproximateFirstReceiveTimestamp, in milliseconds
	Group, TraceHeader string
	Texts              Texts // the attributes, if each holds text and has a type; else
	Attributes         map[string]types.MessageAttributeValue
}

// Texts are message attributes that hold text, in the order of the answer.
type Texts []struct{ Name, Type, Value string }

// Messages makes a ReceiveMessage. take gets the messages, once, and must not keep the
// slice. After an error take was not called.
type Messages func(ctx context.Context, in *sqs.ReceiveMessageInput, take func([]Message)) error

// received is the output of a receive: of the SDK's type where the SDK reads the answer.
type received struct {
	sqs.ReceiveMessageOutput
	take    func([]Message)
	checked bool
	taken   bool
}

// MessagesOf returns the receive of a client that [New] has made by the shortcut of
// [WithShortcut], past the SDK's call altogether. What the shortcut cannot do, and any
// other client, goes the SDK's way.
func MessagesOf(client *sqs.Client) Messages {
	s, checked := shortcutOf(client)
	bySDK := func(ctx context.Context, in *sqs.ReceiveMessageInput, take func([]Message)) error {
		out, err := client.ReceiveMessage(WithShortcut(ctx), in)
		if err == nil {
			take(plainMessages(out.Messages))
		}
		return err
	}
	return func(ctx context.Context, in *sqs.ReceiveMessageInput, take func([]Message)) error {
		m, term, ready := s.ready()
		if !ready || in.QueueUrl == nil {
			return bySDK(ctx, in, take)
		}
		out := &received{take: take, checked: checked}
		op := operation{receiveTarget, receiveSchema, appendReceive(make([]byte, 0, 512), in), out, &s.trust}
		err := s.direct(ctx, m, &op, term)
		if err == nil && checked && !out.taken {
			err = receivedChecksums(&out.ReceiveMessageOutput)
		}
		switch {
		case errors.Is(err, errUnsure):
			return bySDK(ctx, in, take)
		case err != nil:
			return &smithy.OperationError{ServiceID: sqs.ServiceID, OperationName: "ReceiveMessage", Err: err}
		case !out.taken:
			take(plainMessages(out.Messages))
		}
		return nil
	}
}

// plainMessages are messages that the SDK has read.
func plainMessages(list []types.Message) []Message {
	messages := make([]Message, len(list))
	for i := range list {
		m := &list[i]
		number := func(name types.MessageSystemAttributeName) int64 {
			n, _ := strconv.ParseInt(m.Attributes[string(name)], 10, 64) // absent: 0
			return n
		}
		messages[i] = Message{
			ID: aws.ToString(m.MessageId), Handle: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body),
			Receives:    int(number(types.MessageSystemAttributeNameApproximateReceiveCount)),
			Sent:        number(types.MessageSystemAttributeNameSentTimestamp),
			First:       number(types.MessageSystemAttributeNameApproximateFirstReceiveTimestamp),
			Group:       m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)],
			TraceHeader: m.Attributes[string(types.MessageSystemAttributeNameAWSTraceHeader)],
			Attributes:  m.MessageAttributes,
		}
	}
	return messages
}

// take reads the answer to a ReceiveMessage and hands it over. It reports false if the SDK
// is to read it.
func (r *reader) take(out *received) (bool, error) {
	defer func() { // a pooled reader keeps no message
		clear(r.found)
		r.found = r.found[:0]
	}()
	if !r.empty() && !r.plainMessages() {
		return false, nil
	}
	if out.checked {
		for i := range r.found {
			if err := r.found[i].check(r.sums[i]); err != nil {
				return true, err
			}
		}
	}
	out.taken = true
	out.take(r.found)
	return true, nil
}

func (r *reader) plainMessages() bool {
	if !r.member("Messages") || !r.next('[') {
		return false
	}
	r.sums = r.sums[:0]
	for !r.next(']') {
		if len(r.found) > 0 && !r.next(',') {
			return false
		}
		r.found, r.sums = append(r.found, Message{}), append(r.sums, sum{})
		last := len(r.found) - 1
		if !r.plainMessage(&r.found[last], &r.sums[last]) {
			return false
		}
	}
	return r.next('}') && r.end()
}

// sum is an MD5 in hexadecimal digits. The zero value is not given.
type sum [2 * md5.Size]byte

// check compares the body with the MD5 that SQS states, as the SDK does.
func (m *Message) check(stated sum) error {
	if stated == (sum{}) {
		return nil
	}
	var own sum
	digest := md5.Sum([]byte(m.Body))
	if hex.Encode(own[:], digest[:]); own != stated {
		return fmt.Errorf("%w: message %s is %s here and %s there", ErrReceivedChecksum, m.ID, own[:], stated[:])
	}
	return nil
}

// plainMessage reads a message. What it has for itself is in one string; the names and
// types of attributes are shared with other messages. A member that comes twice is left
// to the SDK.
func (r *reader) plainMessage(m *Message, stated *sum) bool {
	r.text, r.plain = r.text[:0], r.plain[:0]
	var found [members]span
	var has [members + 2]bool
	var group, trace span
	first := func(i int) bool {
		twice := has[i]
		has[i] = true
		return !twice
	}
	if !r.object(func(key []byte) (ok bool) {
		switch string(key) {
		case "Attributes":
			return first(members) && r.pairs(func(name span) bool {
				return r.systemAttribute(m, name, &group, &trace)
			})
		case "MessageAttributes":
			return first(members+1) && r.pairs(r.plainAttribute)
		}
		for i, name := range memberNames {
			if string(key) != name || !first(i) {
				continue
			}
			found[i], ok = r.string()
			switch i {
			case md5OfBody:
				ok = ok && found[i].to-found[i].from == copy(stated[:], r.text[found[i].from:]) && r.cut(found[i])
			case md5OfAttributes:
				ok = ok && r.cut(found[i])
			}
			return ok
		}
		return false
	}) || !utf8.Valid(r.text) {
		return false
	}
	text := string(r.text)
	part := func(s span) string { return text[s.from:s.to] }
	m.ID, m.Handle, m.Body = part(found[messageID]), part(found[receiptHandle]), part(found[body])
	m.Group, m.TraceHeader = part(group), part(trace)
	if len(r.plain) > 0 {
		m.Texts = make(Texts, len(r.plain))
		for i, a := range r.plain {
			m.Texts[i].Name, m.Texts[i].Type, m.Texts[i].Value = a.name, a.dataType, part(a.value)
		}
	}
	return true
}

// cut takes a text that is no part of the message out again, and reports whether it is UTF-8.
// It must be the last one.
func (r *reader) cut(s span) bool {
	valid := utf8.Valid(r.text[s.from:s.to])
	r.text = r.text[:s.from]
	return valid
}

// systemAttribute reads one that the queue has written.
func (r *reader) systemAttribute(m *Message, name span, group, trace *span) bool {
	value, ok := r.string()
	if !ok {
		return false
	}
	switch string(r.text[name.from:name.to]) {
	case "ApproximateReceiveCount":
		var n int64
		n, ok = r.number(value)
		m.Receives = int(n)
	case "SentTimestamp":
		m.Sent, ok = r.number(value)
	case "ApproximateFirstReceiveTimestamp":
		m.First, ok = r.number(value)
	case "MessageGroupId":
		*group = value
		return true
	case "AWSTraceHeader":
		*trace = value
		return true
	default: // its text is checked, as all is
		return true
	}
	r.text = r.text[:name.from]
	return ok
}

// plainText is a message attribute that holds text.
type plainText struct {
	name, dataType string
	value          span
}

// plainAttribute reads a message attribute that holds text and has a type.
func (r *reader) plainAttribute(name span) bool {
	a := plainText{name: r.shared(name)}
	r.text = r.text[:name.from]
	var hasType, hasText bool
	ok := r.object(func(key []byte) bool {
		v, ok := r.string()
		switch string(key) {
		case "StringValue":
			ok = ok && !hasText
			a.value, hasText = v, true
		case "DataType":
			ok = ok && !hasType
			a.dataType, hasType = r.shared(v), true
			r.text = r.text[:v.from] // no part of the message, as its name
		default:
			return false
		}
		return ok
	})
	r.plain = append(r.plain, a)
	return ok && hasType && hasText && a.name != "" && a.dataType != ""
}

// maxShared bounds the texts that messages share, and maxSharedText the length of each.
const maxShared, maxSharedText = 128, 64

// shared returns a text that many messages have, without a copy for each; empty for one
// that is not UTF-8.
func (r *reader) shared(s span) string {
	b := r.text[s.from:s.to]
	if text, ok := r.words[string(b)]; ok {
		return text
	}
	if !utf8.Valid(b) {
		return ""
	}
	text := string(b)
	if len(text) > maxSharedText {
		return text
	}
	if r.words == nil || len(r.words) >= maxShared {
		r.words = make(map[string]string, 16)
	}
	r.words[text] = text
	return text
}

// number reads a number of at most 18 digits.
func (r *reader) number(s span) (n int64, ok bool) {
	if s.to-s.from > 18 || s.to == s.from {
		return 0, false
	}
	for _, c := range r.text[s.from:s.to] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}
