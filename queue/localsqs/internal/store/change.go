package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"unsafe"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// appendChange appends c as it stands in the journal.
func appendChange(b []byte, c *engine.Change) ([]byte, error) {
	b = append(b, byte(c.Kind))
	b = binary.AppendUvarint(b, uint64(c.Queue))
	b = binary.AppendUvarint(b, c.Seq)
	switch c.Kind {
	case engine.QueuePut:
		return appendJSON(b, c.Record)
	case engine.TaskPut:
		return appendJSON(b, c.Task)
	case engine.QueueGone, engine.QueuePurged, engine.MessageGone, engine.TaskGone:
	case engine.MessagePut:
		b = appendSized(b, func(b []byte) []byte { return appendMeta(b, &c.Meta) })
		b = appendSized(b, func(b []byte) []byte { return appendContent(b, c.Content) })
	case engine.MessageMeta:
		b = appendSized(b, func(b []byte) []byte { return appendMeta(b, &c.Meta) })
	case engine.MessageMove:
		b = binary.AppendUvarint(b, uint64(c.From))
		b = binary.AppendUvarint(b, c.FromSeq)
		b = appendSized(b, func(b []byte) []byte { return appendMeta(b, &c.Meta) })
		b = appendSized(b, func(b []byte) []byte {
			if c.Content == nil {
				return b // it is in the store
			}
			return appendContent(b, c.Content)
		})
	case engine.DedupPut:
		b = appendDedup(appendText(b, c.Name), c)
	case engine.DedupGone:
		b = appendText(b, c.Name)
	case engine.TimePut:
		b = appendInt(b, c.Due)
	default:
		return b, fmt.Errorf("unknown change %d", c.Kind)
	}
	return b, nil
}

// appendSized appends what f appends, after its length in four bytes.
func appendSized(b []byte, f func([]byte) []byte) []byte {
	from := len(b)
	b = f(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[from:], uint32(len(b)-from-4))
	return b
}

func appendJSON(b []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return appendText(b, string(text)), err
}

func (r *reader) sized() []byte {
	b := r.take(4)
	if len(b) < 4 {
		return nil
	}
	part := r.take(int(binary.BigEndian.Uint32([]byte(b))))
	return unsafe.Slice(unsafe.StringData(part), len(part)) // read only
}

// change reads one change.
func (r *reader) change() (c engine.Change, err error) {
	kind := r.take(1)
	if kind == "" {
		return c, errShort
	}
	c.Kind = engine.ChangeKind(kind[0])
	c.Queue, c.Seq = int64(r.uvarint()), r.uvarint()
	switch c.Kind {
	case engine.QueuePut:
		c.Record = &engine.QueueRecord{}
		err = json.Unmarshal([]byte(r.text()), c.Record)
	case engine.TaskPut:
		c.Task = &engine.MoveTask{}
		err = json.Unmarshal([]byte(r.text()), c.Task)
	case engine.QueueGone, engine.QueuePurged, engine.MessageGone, engine.TaskGone:
	case engine.MessagePut:
		if c.Meta, err = parseMeta(r.sized()); err == nil {
			c.Content, err = parseContent(r.sized())
		}
	case engine.MessageMeta:
		c.Meta, err = parseMeta(r.sized())
	case engine.MessageMove:
		c.From, c.FromSeq = int64(r.uvarint()), r.uvarint()
		c.Meta, err = parseMeta(r.sized())
		if content := r.sized(); len(content) > 0 && err == nil {
			c.Content, err = parseContent(content)
		}
	case engine.DedupPut:
		c.Name = r.text()
		c.ID, c.Seq, c.Due = r.id(), r.uint64(), r.int64()
	case engine.DedupGone:
		c.Name = r.text()
	case engine.TimePut:
		c.Due = r.int64()
	default:
		err = fmt.Errorf("unknown change %d", c.Kind)
	}
	if r.err != nil {
		err = r.err
	}
	return c, err
}

// squash leaves out of changes what later ones make void: a message that is
// put and gone again, and all but the last state of one. Applied, the result
// comes to the same. changes is not altered.
func squash(changes []engine.Change) []engine.Change {
	out := make([]engine.Change, 0, len(changes))
	put := map[place]int{}  // where out puts a message
	meta := map[place]int{} // where out changes one that was there before
	clock := -1             // where out puts the time
	for i := range changes {
		c := &changes[i]
		at := place{c.Queue, c.Seq}
		switch c.Kind {
		case engine.MessagePut:
			put[at] = len(out)
		case engine.MessageMeta:
			if j, ok := put[at]; ok {
				out[j].Meta = c.Meta
				continue
			}
			if j, ok := meta[at]; ok {
				out[j].Meta = c.Meta
				continue
			}
			meta[at] = len(out)
		case engine.MessageGone:
			if j, ok := put[at]; ok {
				out[j].Kind = nothing
				delete(put, at)
				continue
			}
			if j, ok := meta[at]; ok {
				out[j].Kind = nothing
				delete(meta, at)
			}
		case engine.TimePut:
			if clock >= 0 {
				out[clock].Due = c.Due
				continue
			}
			clock = len(out)
		case engine.MessageMove:
			from := place{c.From, c.FromSeq}
			if j, ok := put[from]; ok {
				moved := *c
				moved.Kind, moved.Content = engine.MessagePut, out[j].Content
				out[j].Kind = nothing
				delete(put, from)
				put[at] = len(out)
				out = append(out, moved)
				continue
			}
			if j, ok := meta[from]; ok {
				out[j].Kind = nothing
				delete(meta, from)
			}
		}
		out = append(out, *c)
	}
	return out
}

// nothing is the kind of a change that squash has left out. It is still asked
// for its Seq, which must never be given out again.
const nothing = engine.ChangeKind(255)
