package task

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"
)

// compressFrom is the size from which a journal travels compressed. A shorter one is
// JSON, which an operator can read in any console.
const compressFrom = 1024

// wireDeflate is the first byte of a compressed journal, before its DEFLATE stream.
const wireDeflate = 1

// wireEntry is an entry on the wire.
type wireEntry struct {
	Lane   string          `json:"l,omitempty"`
	Name   string          `json:"n"`
	Kind   string          `json:"k,omitempty"`
	Result json.RawMessage `json:"r,omitempty"`
	Error  string          `json:"e,omitempty"`
	Until  time.Time       `json:"u,omitzero"`
	Over   bool            `json:"o,omitempty"`
	At     int64           `json:"t,omitempty"` // milliseconds of the epoch
}

// deflaters are kept, for each takes more than half a megabyte.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil { // the level is a constant
		panic(err)
	}
	return w
}}

// Wire returns the journal's form on a message, nil for an empty one. It is kept until
// a step changes it. The result must not be changed.
func (j *Journal) Wire() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.packed == nil && j.unread == nil {
		j.packed = pack(j.sorted())
	}
	return j.packed
}

// WireWithin returns the wire form of as many of the first steps as have room in so
// many bytes, and the number of those left out.
func (j *Journal) WireWithin(most int) (wire []byte, left int) {
	if wire = j.Wire(); len(wire) <= most {
		return wire, 0
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.read(); j.broken != nil {
		return nil, 0
	}
	all := j.sorted()
	low, high := 0, len(all) // low of them fit, high do not
	for high-low > 1 {
		mid := (low + high) / 2
		if part := pack(all[:mid]); len(part) <= most {
			low, wire = mid, part
		} else {
			high = mid
		}
	}
	if low == 0 {
		wire = nil
	}
	return wire, len(all) - low
}

// pack returns the wire form of entries.
func pack(all []laneEntry) []byte {
	if len(all) == 0 {
		return nil
	}
	list := make([]wireEntry, len(all))
	for i, e := range all {
		list[i] = wireEntry{Lane: e.lane, Name: e.name, Kind: e.kind, Result: e.result, Error: e.err, Until: e.until,
			Over: e.over, At: e.at}
	}
	text, err := json.Marshal(list)
	if err != nil { // results are valid JSON, and the rest is plain
		panic(err)
	}
	if len(text) < compressFrom {
		return []byte(pythonJSON(text))
	}
	var b bytes.Buffer
	b.WriteByte(wireDeflate)
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&b)
	_, _ = w.Write(text) // a buffer takes all
	_ = w.Close()
	return b.Bytes()
}

// isText reports whether a wire form is JSON. A compressed one begins with wireDeflate.
func isText(wire []byte) bool { return len(wire) > 0 && wire[0] != wireDeflate }

// unpack reads a wire form. What it returns is bounded, whatever it is given.
func unpack(wire []byte) ([]wireEntry, error) {
	text := wire
	if len(wire) > 0 && !isText(wire) {
		const most = 2 * MaxJournal
		var err error
		text, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(wire[1:])), most+1))
		switch {
		case err != nil:
			return nil, fmt.Errorf("it cannot be decompressed: %w", err)
		case len(text) > most:
			return nil, fmt.Errorf("it has more than %d bytes", most)
		}
	}
	var list []wireEntry
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("it is not the JSON that it should be: %w", err)
	}
	return list, nil
}

// read takes in what the message carries, once. The caller holds the lock.
func (j *Journal) read() {
	if j.unread == nil {
		return
	}
	list, err := unpack(j.unread)
	if err == nil {
		err = j.fill(list)
	}
	if err != nil {
		j.broken = err
		return
	}
	j.unread = nil
}

func (j *Journal) fill(list []wireEntry) error {
	for i, w := range list {
		switch w.Kind {
		case kindStep, kindCursor:
			if len(w.Result) == 0 {
				return fmt.Errorf("its entry %d, %q, has no result", i+1, cut(w.Name))
			}
		case kindNoted, kindFailed, kindSleep:
		default:
			return fmt.Errorf("its entry %d, %q, is of a kind %q that this version does not know", i+1, cut(w.Name),
				cut(w.Kind))
		}
		if problem := checkStepName(w.Name); problem != "" {
			return fmt.Errorf("its entry %d %s", i+1, problem)
		}
		l := j.lane(w.Lane)
		j.seq++
		l.done = append(l.done, entry{name: w.Name, kind: w.Kind, result: w.Result, err: w.Error, until: w.Until,
			over: w.Over, at: w.At, seq: j.seq})
		j.bytes += l.done[len(l.done)-1].size()
	}
	return nil
}

// maxStepName is the number of bytes that a step's name may have.
const maxStepName = 200

// checkStepName says what is wrong with the name of a step or a lane, or nothing.
func checkStepName(name string) string {
	switch {
	case name == "":
		return "has no name"
	case len(name) > maxStepName:
		return fmt.Sprintf("has a name of %d bytes: at most %d", len(name), maxStepName)
	case !utf8.ValidString(name):
		return "has a name that is not UTF-8"
	}
	return ""
}
