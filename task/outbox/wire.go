package outbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/task"
)

// message is what the column of that name holds: all of a [task.Outgoing] that has no
// column of its own.
type message struct {
	Body       string               `json:"body"`
	Attributes map[string]attribute `json:"attributes"`
	Delay      int                  `json:"delay,omitempty"` // seconds
	Group      string               `json:"group,omitempty"`
	Dedup      string               `json:"dedup,omitempty"`
	Trace      string               `json:"trace,omitempty"` // X-Ray's form
	Room       int                  `json:"room,omitempty"`
}

type attribute struct {
	Type   string  `json:"type,omitempty"` // "String" if absent
	Text   *string `json:"text,omitempty"`
	Binary []byte  `json:"binary,omitempty"`
}

// write returns a message as ASCII, so that no encoding of a database changes it.
func write(out *task.Outgoing) (string, error) {
	m := message{Body: out.Body, Attributes: map[string]attribute{}, Delay: int(out.Delay / time.Second),
		Group: out.GroupID, Dedup: out.DedupID, Trace: out.TraceHeader, Room: out.Room}
	for name, v := range out.Attributes {
		a := attribute{Text: v.StringValue, Binary: v.BinaryValue}
		if v.DataType != nil && *v.DataType != stringType {
			a.Type = *v.DataType
		}
		m.Attributes[name] = a
	}
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return "", err
	}
	return ascii(strings.TrimSuffix(text.String(), "\n")), nil
}

var stringType = "String"

// read returns the message of a row.
func (r *row) read() (task.Outgoing, error) {
	out := task.Outgoing{Name: r.task, ExecID: r.execID, Pool: r.pool}
	if r.pool != "" {
		if err := checkPool(r.pool); err != nil { // else it would wait for ever
			return out, err
		}
	}
	var m message
	if err := json.Unmarshal([]byte(r.message), &m); err != nil {
		return out, fmt.Errorf("the column message cannot be read: %w", err)
	}
	out.Body, out.Delay, out.GroupID, out.DedupID = m.Body, time.Duration(m.Delay)*time.Second, m.Group, m.Dedup
	out.TraceHeader, out.Room = m.Trace, m.Room
	out.Attributes = make(map[string]types.MessageAttributeValue, len(m.Attributes))
	for name, a := range m.Attributes {
		v := types.MessageAttributeValue{DataType: &stringType, StringValue: a.Text, BinaryValue: a.Binary}
		if a.Type != "" {
			v.DataType = &a.Type
		}
		out.Attributes[name] = v
	}
	return out, nil
}

// ascii escapes the characters of a JSON text that are not ASCII.
func ascii(text string) string {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = text[i] < 0x7f
	}
	if plain {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
