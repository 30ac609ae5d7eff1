package logger

import (
	"bytes"
	"sync"
	"time"
)

// enc is the state of encoding one record, or the attributes of one With.
// It is used by one goroutine and reused through a pool.
type enc struct {
	b    []byte
	form *form

	// Fields of the group that is open: where they start, to find a field
	// that is written twice. level is the first that belongs to it.
	fields []field
	level  int
	mask   uint64 // of the hashes of the fields at this level
	nest   int    // groups within the attribute that is being written
	groups int    // groups written

	// A second group of one name takes over what the first has got.
	joining bool   // a group is being opened: dedup keeps what it takes out
	joined  []byte // the fields of the first, without their braces

	lost  int // bytes of values that were longer than a line may be
	depth int // open groups; 0 is the top level, where reserved names are

	prefix  []byte   // text: the open groups, each with a dot
	second  int64    // the last that was written, and its text up to the
	clock   [20]byte // fraction: most records share it with the one before
	special *special // nil for most records
}

// field is one written field: its bytes begin at start (with its comma) and
// end where the next one begins.
type field struct {
	start, key, end uint32 // end of the key
	hash            uint32
}

// special holds what a form writes at the top level, wherever it was logged.
type special struct {
	err      error
	labels   Labels
	request  *HTTPRequest
	op       *Operation
	insertID string
	stack    string
}

// keep returns where to put what has a place of its own.
func (e *enc) keep() *special {
	if e.special == nil {
		e.special = &special{}
	}
	return e.special
}

// inherit takes what With has kept; of its error see inheritError.
func (e *enc) inherit(s *special) {
	if s != nil {
		own := *s
		own.err = nil
		e.special = &own
	}
}

// inheritError takes the error of With, unless one came later.
func (e *enc) inheritError(s *special) {
	if s != nil && e.special.err == nil {
		e.special.err = s.err
	}
}

var encPool = sync.Pool{New: func() any {
	return &enc{b: make([]byte, 0, 2<<10), fields: make([]field, 0, 32)}
}}

// maxPooled is the largest buffer kept for reuse.
const maxPooled = 2 * chunkSize

func newEnc(f *form) *enc {
	e := encPool.Get().(*enc)
	e.form = f
	e.b = e.b[:0]
	e.fields = e.fields[:0]
	e.level, e.mask, e.depth, e.nest, e.groups, e.lost = 0, 0, 0, 0, 0, 0
	e.prefix = e.prefix[:0]
	e.joined = e.joined[:0]
	return e
}

func (e *enc) free() {
	if cap(e.b) > maxPooled {
		return
	}
	e.special = nil
	encPool.Put(e)
}

// stamp writes t as appendTime does.
func (e *enc) stamp(t time.Time) {
	if sec := t.Unix(); sec != e.second || sec == 0 {
		from := len(e.b)
		e.b = appendTime(e.b, t)
		if len(e.b)-from == len("2006-01-02T15:04:05.000000000Z") {
			e.second = sec
			copy(e.clock[:], e.b[from:])
		}
		return
	}
	e.b = appendFraction(append(e.b, e.clock[:]...), t.Nanosecond())
}

// key begins a field of the open group. A field of the same name that is
// there already is taken out: the later one is kept.
func (e *enc) key(k string) {
	b := e.b
	f := field{start: uint32(len(b))}
	if e.form.text {
		b = append(b, ' ')
		b = append(b, e.form.colours.key...)
		f.key = uint32(len(b))
		b = append(b, e.prefix...)
		b = appendTextKey(b, k)
		f.end = uint32(len(b))
		b = append(b, '=')
		b = append(b, e.form.colours.off...)
	} else {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		f.key = uint32(len(b))
		b = appendString(b, k)
		f.end = uint32(len(b))
		b = append(b, ':')
	}
	e.b = b
	f.hash = hashKey(b[f.key:f.end])
	bit := uint64(1) << (f.hash & 63)
	if e.mask&bit != 0 {
		f = e.dedup(f)
	}
	e.mask |= bit
	e.fields = append(e.fields, f)
}

// hashKey differs for most keys of one record. It is taken of the encoded key:
// two keys that differ may be written alike.
func hashKey(k []byte) uint32 {
	n := uint32(len(k)) // 1 at least, 2 in JSON: the quotes
	h := n*0x9E3779B1 ^ uint32(k[n/3])*0x85EBCA77 ^ uint32(k[n/2])*0xC2B2AE3D ^ uint32(k[n-n/4-1])*0x27D4EB2F
	return h ^ h>>15
}

// dedup takes out an earlier field with f's key, and returns f moved by as
// much.
func (e *enc) dedup(f field) field {
	name := e.b[f.key:f.end]
	for i := e.level; i < len(e.fields); i++ {
		old := e.fields[i]
		if old.hash != f.hash || !bytes.Equal(e.b[old.key:old.end], name) {
			continue
		}
		next := f.start
		if i+1 < len(e.fields) {
			next = e.fields[i+1].start
		}
		first := !e.form.text && e.b[old.start] != ','
		if first {
			next++ // the next field's comma goes too
		}
		if value := e.b[old.end:next]; e.joining && value[1] == '{' {
			e.joined = append(e.joined, value[2:bytes.LastIndexByte(value, '}')]...)
		}
		n := next - old.start
		e.b = append(e.b[:old.start], e.b[next:]...)
		e.fields = append(e.fields[:i], e.fields[i+1:]...)
		for j := i; j < len(e.fields); j++ {
			e.fields[j].start -= n
			e.fields[j].key -= n
			e.fields[j].end -= n
		}
		f.start -= n
		f.key -= n
		f.end -= n
		if first {
			// What followed now stands first, without a comma.
			if i < len(e.fields) {
				e.fields[i].start++
			} else {
				f.start++
			}
		}
		return f
	}
	return f
}

// group is what is restored when a group ends.
type group struct {
	level, prefix int
	mask          uint64
}

func (e *enc) open(name string) group {
	g := group{level: e.level, prefix: len(e.prefix)}
	e.depth++
	if e.form.text {
		e.prefix = appendTextKey(e.prefix, name)
		e.prefix = append(e.prefix, '.')
		return g
	}
	e.joining = true
	e.key(name)
	e.joining = false
	e.b = append(e.b, '{')
	g.mask = e.mask // with the bit of the group's own name
	e.level, e.mask = len(e.fields), 0
	if len(e.joined) > 0 {
		e.join()
	}
	return g
}

// join writes the fields of an earlier group into the one that was opened, as
// fields that later ones may replace.
func (e *enc) join() {
	i := len(e.b)
	e.b = append(e.b, e.joined...)
	e.joined = e.joined[:0]
	for i < len(e.b) {
		f := field{start: uint32(i)}
		if e.b[i] == ',' {
			i++
		}
		end := stringEnd(e.b, i)
		f.key, f.end = uint32(i), uint32(end)
		f.hash = hashKey(e.b[i:end])
		e.mask |= uint64(1) << (f.hash & 63)
		e.fields = append(e.fields, f)
		i = valueEnd(e.b, end+1)
	}
}

func (e *enc) close(g group) {
	e.depth--
	e.prefix = e.prefix[:g.prefix]
	if e.form.text {
		return
	}
	e.fields = e.fields[:e.level]
	e.level, e.mask = g.level, g.mask
	e.b = append(e.b, '}')
}
