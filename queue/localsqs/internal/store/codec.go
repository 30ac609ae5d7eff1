package store

import (
	"encoding/binary"
	"errors"
	"strings"
	"unsafe"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

var errShort = errors.New("a record ends early")

// reader takes a record apart. Its strings share one copy of the record.
type reader struct {
	s   string
	err error
}

func (r *reader) take(n int) string {
	if n < 0 || n > len(r.s) {
		r.err = errShort
		r.s = ""
		return ""
	}
	part := r.s[:n]
	r.s = r.s[n:]
	return part
}

func (r *reader) uint64() uint64 {
	b := r.take(8)
	if len(b) < 8 {
		return 0
	}
	return uint64(b[0])<<56 | uint64(b[1])<<48 | uint64(b[2])<<40 | uint64(b[3])<<32 |
		uint64(b[4])<<24 | uint64(b[5])<<16 | uint64(b[6])<<8 | uint64(b[7])
}

func (r *reader) int64() int64 { return int64(r.uint64()) }

func (r *reader) id() (id [16]byte) {
	copy(id[:], r.take(16))
	return id
}

func (r *reader) uvarint() uint64 {
	var n uint64
	for shift := uint(0); shift < 64; shift += 7 {
		b := r.take(1)
		if b == "" {
			return 0
		}
		n |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			return n
		}
	}
	r.err = errShort
	return 0
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.s)) {
		r.err = errShort
		return ""
	}
	return r.take(int(n))
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendInt(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }

func appendMeta(b []byte, m *engine.Meta) []byte {
	b = append(b, m.ID[:]...)
	b = appendInt(b, m.Sent)
	b = appendInt(b, m.First)
	b = appendInt(b, m.Received)
	b = appendInt(b, m.Due)
	b = binary.AppendUvarint(b, uint64(m.Receives))
	b = binary.AppendUvarint(b, uint64(m.Size))
	b = appendText(b, m.Group)
	if m.Origin != nil {
		b = appendText(b, m.Origin.Region)
		b = appendText(b, m.Origin.Name)
		b = binary.AppendUvarint(b, uint64(m.Before))
	}
	return b
}

// parseMeta does not hold on to v, and allocates only for a message of a group
// or with an origin: a start reads as many records as there are messages.
func parseMeta(v []byte) (m engine.Meta, err error) {
	r := reader{s: unsafe.String(unsafe.SliceData(v), len(v))}
	m.ID = r.id()
	m.Sent, m.First, m.Received, m.Due = r.int64(), r.int64(), r.int64(), r.int64()
	m.Receives, m.Size = uint32(r.uvarint()), uint32(r.uvarint())
	m.Group = strings.Clone(r.text())
	if r.s != "" {
		m.Origin = &engine.Key{Region: strings.Clone(r.text()), Name: strings.Clone(r.text())}
	}
	if r.s != "" { // a record of before has none
		m.Before = uint32(r.uvarint())
	}
	return m, r.err
}

const plainJSON = 1

func appendContent(b []byte, c *engine.Content) []byte {
	var flags byte
	if c.PlainJSON {
		flags |= plainJSON
	}
	b = append(b, flags)
	b = append(b, c.BodyMD5[:]...)
	b = appendText(b, c.Sender)
	b = appendText(b, c.Trace)
	b = appendText(b, c.DedupID)
	b = binary.AppendUvarint(b, uint64(len(c.Attrs)))
	for i := range c.Attrs {
		a := &c.Attrs[i]
		b = appendText(appendText(appendText(b, a.Name), a.Type), a.String)
	}
	return append(b, c.Body...)
}

func parseContent(v []byte) (*engine.Content, error) {
	r := reader{s: string(v)}
	c := &engine.Content{}
	if flags := r.take(1); flags != "" {
		c.PlainJSON = flags[0]&plainJSON != 0
	}
	c.BodyMD5 = r.id()
	c.Sender, c.Trace, c.DedupID = r.text(), r.text(), r.text()
	if n := r.uvarint(); n > 0 && n <= 10 {
		c.Attrs = make([]engine.Attribute, n)
		for i := range c.Attrs {
			c.Attrs[i] = engine.Attribute{Name: r.text(), Type: r.text(), String: r.text()}
		}
	}
	c.Body = r.s
	return c, r.err
}

func appendDedup(b []byte, c *engine.Change) []byte {
	b = append(b, c.ID[:]...)
	b = appendInt(b, int64(c.Seq))
	return appendInt(b, c.Due)
}

func parseDedup(v []byte) (id [16]byte, seq uint64, due int64, err error) {
	r := reader{s: string(v)}
	id, seq, due = r.id(), r.uint64(), r.int64()
	return id, seq, due, r.err
}
