package poller

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/task"
)

// Limits of SQS on what is sent (SQS developer guide, "Message quotas").
const (
	maxBatchEntries = 10
	maxBatchBytes   = task.MaxSize // of one message and of a whole batch
	maxIDLength     = 128          // of a group id and a deduplication id
	maxNameLength   = 256          // of an attribute
)

// ErrInvalidMessage says that SQS would not take a message. No request was
// made; sending it again cannot help.
var ErrInvalidMessage = errors.New("poller: not a message that SQS takes")

// TooLargeError is an [ErrInvalidMessage]: the queue takes no message of this
// size.
type TooLargeError struct {
	Pool  string
	Bytes int // of the message: body, and attributes' names, types and values
	Room  int // to be kept free in addition: see Outgoing.Room
	Most  int // that the queue takes, its MaximumMessageSize
}

func (e *TooLargeError) Error() string {
	text := fmt.Sprintf("%v: to pool %q: %d bytes with its attributes", ErrInvalidMessage, e.Pool, e.Bytes)
	if e.Room > 0 {
		text += fmt.Sprintf(" and %d to be kept free for those of a later copy", e.Room)
	}
	return text + fmt.Sprintf("; the queue takes %d (MaximumMessageSize): "+
		"raise that, or put the data elsewhere and send where it is", e.Most)
}

// Is makes it an [ErrInvalidMessage].
func (e *TooLargeError) Is(target error) bool { return target == ErrInvalidMessage }

// check returns what SQS would refuse of a message of size bytes. A message that
// fails it costs no request and holds up no other message of its batch.
func check(o *Outgoing, size int, fifo bool) error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: to pool %q: %s", ErrInvalidMessage, o.Pool, fmt.Sprintf(format, args...))
	}
	if o.Body == "" {
		return invalid("the body is empty")
	}
	if at := badCharacter(o.Body); at >= 0 {
		return invalid("the body holds at byte %d what is not UTF-8 text or not allowed in XML 1.0", at)
	}
	if len(o.Attributes) > task.MaxAttributes {
		return invalid("%d attributes, SQS allows %d", len(o.Attributes), task.MaxAttributes)
	}
	for name, value := range o.Attributes {
		if err := checkAttribute(name, value); err != "" {
			return invalid("attribute %q %s", name, err)
		}
	}
	if size > maxBatchBytes {
		return invalid("%d bytes with its attributes, SQS allows %d", size, maxBatchBytes)
	}
	if o.Delay < 0 || o.Delay > task.MaxDelay {
		return invalid("a delay of %v, SQS allows 0 to %v", o.Delay, task.MaxDelay)
	}
	if len(o.GroupID) > maxIDLength || len(o.DedupID) > maxIDLength {
		return invalid("a group or deduplication id of more than %d characters", maxIDLength)
	}
	switch {
	case fifo && o.GroupID == "":
		return invalid("a FIFO queue needs a group id")
	case fifo && o.Delay > 0:
		return invalid("a FIFO queue takes no delay for one message")
	case !fifo && o.DedupID != "":
		return invalid("a deduplication id is for FIFO queues only")
	}
	return nil
}

func checkAttribute(name string, value types.MessageAttributeValue) string {
	lower := strings.ToLower(name)
	switch {
	case name == "" || len(name) > maxNameLength:
		return fmt.Sprintf("has a name of %d characters, SQS allows 1 to %d", len(name), maxNameLength)
	case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
		return "has a name that SQS keeps for itself"
	case name[0] == '.' || name[len(name)-1] == '.' || strings.Contains(name, ".."):
		return "begins or ends with a dot, or has two in a row"
	case value.DataType == nil || *value.DataType == "":
		return "has no data type"
	case value.StringValue == nil && len(value.BinaryValue) == 0, value.StringValue != nil && *value.StringValue == "":
		return "has no value"
	}
	for _, c := range name {
		if !isQueueRune(c) && c != '.' && (c < 'A' || c > 'Z') {
			return fmt.Sprintf("holds %q; SQS allows letters, digits, _, - and .", c)
		}
	}
	if value.StringValue != nil && badCharacter(*value.StringValue) >= 0 {
		return "has a value that is not UTF-8 text or not allowed in XML 1.0"
	}
	return ""
}

// badCharacter returns the index of the first byte of s that SQS refuses, or
// -1. SQS takes the characters of XML 1.0.
func badCharacter(s string) int {
	for i, c := range s {
		switch {
		case c >= 0x20 && c < 0xFFFD, c == '\t', c == '\n', c == '\r', c >= 0x10000:
		case c == utf8.RuneError && strings.HasPrefix(s[i:], "\uFFFD"):
		default:
			return i
		}
	}
	return -1
}

// batchEntry returns o as an entry of a batch request.
func batchEntry(o *Outgoing, id string) types.SendMessageBatchRequestEntry {
	e := types.SendMessageBatchRequestEntry{
		Id: &id, MessageBody: &o.Body, MessageAttributes: o.Attributes, DelaySeconds: wholeSeconds(o.Delay),
	}
	if o.GroupID != "" {
		e.MessageGroupId = &o.GroupID
	}
	if o.DedupID != "" {
		e.MessageDeduplicationId = &o.DedupID
	}
	if o.TraceHeader != "" {
		stringType := "String"
		name := string(types.MessageSystemAttributeNameForSendsAWSTraceHeader)
		value := types.MessageSystemAttributeValue{DataType: &stringType, StringValue: &o.TraceHeader}
		e.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{name: value}
	}
	return e
}
