package store

import (
	"slices"
	"sync"
	"time"

	"github.com/sambatech/chassis/localsqs/internal/engine"
)

// Committer is the one writer of a File. Appended changes gather in a group
// while the one before is being written; a group is one transaction.
type Committer struct {
	file      *File
	committed func([]engine.Change) // told of each group that is safe

	mu     sync.Mutex
	next   *Group
	kept   []engine.Change // of groups that could not be written: tried again with the next
	moves  map[place]place // contents that are still in the store under an earlier key
	err    error           // of the latest group
	stats  Stats
	kick   chan struct{}
	closed bool
	ended  chan struct{}
}

type place struct {
	queue int64
	seq   uint64
}

// Group is the changes that are written together.
type Group struct {
	changes []engine.Change
	done    chan struct{}
	err     error
}

// Stats counts what a Committer has done: groups written, changes in them,
// groups that could not be written, and the time the writing took.
type Stats struct {
	Count, Changes, Failures int64
	Last, Longest, Total     time.Duration
	Within                   []int64 // by Bounds, and one for the rest
}

// Bounds are those of Stats.Within.
func Bounds() []time.Duration {
	return []time.Duration{time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
		20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, time.Second}
}

func (s *Stats) add(changes int, took time.Duration) {
	s.Count++
	s.Changes += int64(changes)
	s.Last, s.Longest, s.Total = took, max(s.Longest, took), s.Total+took
	i, _ := slices.BinarySearch(Bounds(), took)
	s.Within[i]++
}

// NewCommitter starts the writer of f. committed is called, on its goroutine,
// for each group that is safe, after those who wait for it were let go.
func NewCommitter(f *File, committed func([]engine.Change)) *Committer {
	c := &Committer{file: f, committed: committed, moves: map[place]place{},
		kick: make(chan struct{}, 1), ended: make(chan struct{})}
	c.next = newGroup()
	c.stats.Within = make([]int64, len(Bounds())+1)
	go c.run()
	return c
}

func newGroup() *Group { return &Group{done: make(chan struct{})} }

// Append adds changes to the group being gathered and returns it. Without
// changes it is the group after which everything appended before is safe.
func (c *Committer) Append(changes []engine.Change) *Group {
	c.mu.Lock()
	g := c.next
	g.changes = append(g.changes, changes...)
	for i := range changes {
		if ch := &changes[i]; ch.Kind == engine.MessageMove && ch.Content == nil {
			from := place{ch.From, ch.FromSeq}
			if earlier, ok := c.moves[from]; ok {
				from = earlier
			}
			c.moves[place{ch.Queue, ch.Seq}] = from
		}
	}
	c.mu.Unlock()
	select {
	case c.kick <- struct{}{}:
	default:
	}
	return g
}

// Wait waits until the group is safe, or could not be made so: then its changes
// are tried again with the next group.
func (g *Group) Wait() error {
	<-g.done
	return g.err
}

func (c *Committer) run() {
	defer close(c.ended)
	for range c.kick {
		c.mu.Lock()
		g := c.next
		c.next = newGroup()
		closed := c.closed
		changes := g.changes
		if c.kept != nil {
			changes = append(c.kept, g.changes...)
		}
		c.mu.Unlock()
		c.commit(g, changes)
		if closed {
			return
		}
	}
}

func (c *Committer) commit(g *Group, changes []engine.Change) {
	began := time.Now()
	if len(changes) > 0 {
		g.err = c.file.Apply(changes)
		c.file.trim()
	}
	took := time.Since(began)
	c.mu.Lock()
	c.err = g.err
	c.kept = nil
	if g.err != nil {
		c.kept = changes
		c.stats.Failures++
	} else if len(changes) > 0 {
		c.stats.add(len(changes), took)
		for i := range changes {
			if ch := &changes[i]; ch.Kind == engine.MessageMove {
				delete(c.moves, place{ch.Queue, ch.Seq})
			}
		}
	}
	c.mu.Unlock()
	close(g.done)
	if g.err == nil {
		c.committed(changes)
	}
}

// maxKept is how many changes may wait for a file that takes none, some 100 MB.
const maxKept = 50_000

// Err is the error of the latest group; full says that nothing more may be
// changed until the file takes writes again.
func (c *Committer) Err() (err error, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err, len(c.kept) > maxKept
}

// Stats is what has been done so far.
func (c *Committer) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Within = slices.Clone(s.Within)
	return s
}

// Content reads a content that a message no longer holds in memory; nil if the
// message is gone.
func (c *Committer) Content(queue int64, seq uint64) (*engine.Content, error) {
	content, err := c.file.Content(queue, seq)
	if content != nil || err != nil {
		return content, err
	}
	c.mu.Lock()
	from, moved := c.moves[place{queue, seq}]
	c.mu.Unlock()
	if moved {
		if content, err = c.file.Content(from.queue, from.seq); content != nil || err != nil {
			return content, err
		}
	}
	return c.file.Content(queue, seq) // the move may have been written in between
}

// Close writes what was appended, ends the goroutine and closes the file.
func (c *Committer) Close() error {
	c.mu.Lock()
	c.closed = true
	g := c.next
	c.mu.Unlock()
	select {
	case c.kick <- struct{}{}:
	default:
	}
	<-c.ended
	err := g.Wait()
	if closeErr := c.file.Close(); err == nil {
		err = closeErr
	}
	return err
}
