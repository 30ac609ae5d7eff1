package task

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// MaxJournal is the number of bytes that the names and results of an execution's
// steps may have together, before they are compressed. A step that goes beyond it
// fails with [ErrJournalFull].
const MaxJournal = 4 << 20

// The kinds of entries, as they stand on the wire.
const (
	kindStep   = ""       // result is its result
	kindNoted  = "noted"  // its result is kept elsewhere
	kindFailed = "failed" // the handler went on after its failure; err is the text
	kindSleep  = "sleep"  // until is its end
	kindCursor = "cursor" // result is its position
)

// entry is one step that is done.
type entry struct {
	name   string
	kind   string
	result json.RawMessage
	value  any // a pointer to the result, in place of its JSON, until that is needed
	bound  int // bytes that the JSON of value has at most
	err    string
	until  time.Time
	over   bool   // of a cursor: its loop has ended
	at     int64  // milliseconds of the epoch
	seq    uint64 // in the order of their ends, over all lanes
}

// size is the number of bytes that an entry counts for: an upper bound while it holds a
// value.
func (e *entry) size() int { return len(e.name) + len(e.result) + e.bound + len(e.err) }

// lane is a sequence of steps. One of them runs at a time.
type lane struct {
	done     []entry
	next     int    // of done that the attempt's next step is compared with
	busy     string // name of the step that runs, "" without one
	failed   *entry // the last step, if it failed in this attempt
	sleeping error  // why no step may begin: what a Sleep has returned
}

// Journal holds the results of an execution's steps. One attempt at a time writes to
// it, and the next attempt gets what it holds. It is safe for several goroutines.
type Journal struct {
	mu     sync.Mutex
	ended  bool // the attempt that wrote to it is over
	main   lane
	lanes  map[string]*lane // the others, by their names
	bytes  int
	lazy   bool // entries hold values
	seq    uint64
	packed []byte // its wire form; nil: not made, or out of date
	unread []byte // the wire form that it begins with, until a step asks for it
	broken error  // why that cannot be read
}

// NewJournal returns a journal that begins with the steps that a message carries, as
// [Message.Steps] holds them. They are read when the first step asks for them.
func NewJournal(wire []byte) *Journal { return &Journal{unread: wire, packed: wire} }

// Resume gives the attempt the journal of the attempts before it. The dispatcher calls
// it before the handler runs.
func (i *Info) Resume(j *Journal) { i.journal.Store(j) }

// Journal returns the attempt's journal, or nil before its first step.
func (i *Info) Journal() *Journal { return i.journal.Load() }

// EndSteps ends the steps of the attempt: none begins and none is kept any more. It
// returns the journal for the next attempt, or nil for a task without steps.
func (i *Info) EndSteps() *Journal {
	j := i.journal.Load()
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	next := &Journal{bytes: j.bytes, lazy: j.lazy, seq: j.seq, packed: j.packed, unread: j.unread, broken: j.broken}
	next.main.done, j.main.done = j.main.done, nil // one journal alone has them
	for name, l := range j.lanes {
		if next.lanes == nil {
			next.lanes = make(map[string]*lane, len(j.lanes))
		}
		next.lanes[name] = &lane{done: l.done}
		l.done = nil
	}
	return next
}

// steps returns the journal of the attempt, made at its first step.
func (i *Info) steps() *Journal {
	if j := i.journal.Load(); j != nil {
		return j
	}
	i.journal.CompareAndSwap(nil, &Journal{})
	return i.journal.Load()
}

// lane returns the lane of that name. The caller holds the lock.
func (j *Journal) lane(name string) *lane {
	if name == "" {
		return &j.main
	}
	l := j.lanes[name]
	if l == nil {
		if j.lanes == nil {
			j.lanes = map[string]*lane{}
		}
		l = &lane{}
		j.lanes[name] = l
	}
	return l
}

// usualSteps is the number of entries that a lane has room for at first.
const usualSteps = 6

// add writes an entry at the lane's next place. The caller holds the lock.
func (j *Journal) add(l *lane, e entry) error {
	if j.bytes+e.size() > MaxJournal {
		j.settle() // bounds give way to sizes
		if e.settle(); j.bytes+e.size() > MaxJournal {
			return ErrJournalFull
		}
	}
	j.bytes += e.size()
	j.seq++
	e.seq = j.seq
	if l.done == nil {
		l.done = make([]entry, 0, usualSteps)
	}
	l.done = append(l.done, e)
	j.lazy = j.lazy || e.value != nil
	l.next = len(l.done)
	j.packed = nil
	return nil
}

// cut drops what the lane holds from place n on. The caller holds the lock.
func (j *Journal) cut(l *lane, n int) {
	for i := n; i < len(l.done); i++ {
		j.bytes -= l.done[i].size()
	}
	clear(l.done[n:])
	l.done, l.next = l.done[:n], n
	l.failed = nil
	j.packed = nil
}

// StepState is one step of an execution, as others may see it.
type StepState struct {
	Lane  string    `json:"lane,omitempty"`
	Name  string    `json:"name"`
	Kind  string    `json:"kind"` // step, noted, failed, sleep, cursor, running
	At    time.Time `json:"at,omitzero"`
	Until time.Time `json:"until,omitzero"` // end of a sleep
	Bytes int       `json:"bytes"`          // of its result
	Note  string    `json:"note,omitempty"` // position of a cursor, text of a failure
}

// List returns the last steps, at most so many, in the order in which they ended, and
// the number of all. What no attempt has read yet is left out.
func (j *Journal) List(most int) (list []StepState, total int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := j.sorted()
	total = len(all)
	for _, s := range all[max(len(all)-most, 0):] {
		state := StepState{Lane: s.lane, Name: s.name, Kind: s.kind, At: time.UnixMilli(s.at).UTC(), Until: s.until,
			Bytes: len(s.result)}
		switch s.kind {
		case kindStep:
			state.Kind = "step"
		case kindFailed:
			state.Note = s.err
		case kindCursor:
			state.Note = string(s.result[:min(len(s.result), 64)])
		}
		list = append(list, state)
	}
	running := func(name string, l *lane) {
		if l.busy != "" {
			list, total = append(list, StepState{Lane: name, Name: l.busy, Kind: "running"}), total+1
		}
	}
	running("", &j.main)
	for name, l := range j.lanes {
		running(name, l)
	}
	return list, total
}

// laneEntry is an entry with the name of its lane.
type laneEntry struct {
	lane string
	*entry
}

// sorted returns all entries in the order of their ends, with their JSON. The caller holds
// the lock.
func (j *Journal) sorted() []laneEntry {
	j.settle()
	all := make([]laneEntry, 0, len(j.main.done))
	for i := range j.main.done {
		all = append(all, laneEntry{"", &j.main.done[i]})
	}
	for name, l := range j.lanes {
		for i := range l.done {
			all = append(all, laneEntry{name, &l.done[i]})
		}
	}
	if len(j.lanes) > 0 {
		slices.SortFunc(all, func(a, b laneEntry) int {
			if a.seq < b.seq {
				return -1
			}
			return 1
		})
	}
	return all
}
