package flow

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"

	"github.com/sambatech/chassis/task"
)

// place is where an execution stands in its flow: what the message carries.
type place struct {
	Queue string `json:"q"`           // the flow's
	Flow  string `json:"f"`           // its id
	Rest  []link `json:"r,omitempty"` // after this one
	Undo  []link `json:"u,omitempty"` // of those that are done, the last first
	Own   *link  `json:"o,omitempty"` // undo of this one
	Back  bool   `json:"b,omitempty"` // the chain has failed: this is an undo, and Rest are the others
	Seat  *seat  `json:"s,omitempty"` // of the chain, in its group
}

// seat is the place of a member in its group.
type seat struct {
	Group string `json:"g"`
	Index int    `json:"i"`
}

// origin is what all messages of a flow have in common.
type origin struct {
	JobID   string `json:"i"`
	JobName string `json:"n"`
	Trace   string `json:"t,omitempty"` // W3C trace context
}

const (
	packAbove = 512     // bytes of a place that are compressed
	maxPlace  = 8 << 20 // bytes that a compressed one may unfold to
)

// encode writes a place as a string attribute.
func (p place) encode() (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	if len(text) <= packAbove {
		return ascii(text), nil
	}
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.DefaultCompression)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	return "z" + base64.StdEncoding.EncodeToString(buf.Bytes()), err
}

// ascii writes what is not ASCII in JSON as escapes, which SQS takes in any case.
func ascii(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r >= 0x10000:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		case r >= 0x7F:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// decodePlace reads what encode has written, or says what is wrong with it.
func decodePlace(text string) (p place, err error) {
	raw := []byte(text)
	if strings.HasPrefix(text, "z") {
		packed, err := base64.StdEncoding.DecodeString(text[1:])
		if err != nil {
			return p, fmt.Errorf("the attribute %s is no Base64: %w", task.AttrFlow, err)
		}
		raw, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxPlace+1))
		if err != nil {
			return p, fmt.Errorf("the attribute %s cannot be unfolded: %w", task.AttrFlow, err)
		}
		if len(raw) > maxPlace {
			return p, fmt.Errorf("the attribute %s unfolds to more than %d bytes", task.AttrFlow, maxPlace)
		}
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("the attribute %s is not what this package writes: %w", task.AttrFlow, err)
	}
	return p, p.check()
}

func (p place) check() error {
	switch {
	case p.Queue == "" || !strings.HasSuffix(p.Queue, ".fifo"):
		return fmt.Errorf("the attribute %s names no FIFO queue: %.80q", task.AttrFlow, p.Queue)
	case p.Seat != nil && (p.Seat.Group == "" || p.Seat.Index < 0 || p.Seat.Index >= MaxMembers):
		return fmt.Errorf("the attribute %s names no member of a group: %d of %.80q", task.AttrFlow, p.Seat.Index,
			p.Seat.Group)
	}
	return nil
}

// derive returns the id of what comes from parent by a way. It is the same each time.
func derive(parent, way string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("chassis.flow/"+parent+"/"+way)).String()
}

// memberID is the exec_id of the first link of a member.
func memberID(group string, index int) string { return derive(group, fmt.Sprint("member/", index)) }

var errTooLarge = errors.New("it does not fit into a message")
