package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// Committer is the one writer of a File and its journal. Appended changes
// gather in a group while the one before is being written. When the journal has
// grown, a checkpoint takes its groups into the file in the background.
type Committer struct {
	file  *File
	ended chan struct{}
	kick  chan struct{}

	// owned by run
	journal    *journal
	pending    []engine.Change // in the journal's active half
	last       []engine.Change // of the group that Close finds; in no journal
	checkpoint *checkpointer

	mu     sync.Mutex
	next   *Group
	kept   []engine.Change // of groups that could not be written: tried again with the next
	moves  map[place]place // where a message was before a move that is not in the file yet
	err    error           // of the latest group
	late   error           // of the checkpoint under way
	stats  Stats
	closed bool
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
	Within                   []int64 // by Bounds; the last counts the rest
}

// Bounds returns the longest times of the counts of Stats.Within but the last.
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

// NewCommitter opens f's journal and starts its writer. committed is called
// for changes that are in the file, from a goroutine of its own.
func NewCommitter(f *File, committed func([]engine.Change)) (*Committer, error) {
	j, err := openJournal(f.path, f.salt, f.applied, f.noFsync)
	if err == nil {
		if err = f.apply(nil, f.applied, true); err != nil {
			err = errors.Join(err, j.close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("queue file %s: its journal: %w", f.path, err)
	}
	c := &Committer{file: f, journal: j, moves: map[place]place{}, next: newGroup(),
		kick: make(chan struct{}, 1), ended: make(chan struct{})}
	c.stats.Within = make([]int64, len(Bounds())+1)
	c.checkpoint = newCheckpointer(f, func(changes []engine.Change) {
		c.forget(changes)
		committed(changes)
	})
	go c.run()
	return c, nil
}

func newGroup() *Group { return &Group{done: make(chan struct{})} }

// Append adds changes to the group being gathered and returns it. Without
// changes it is the group after which everything appended before is safe.
func (c *Committer) Append(changes []engine.Change) *Group {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		g := &Group{done: make(chan struct{}), err: errors.New("the queue file is closed")}
		close(g.done)
		return g
	}
	g := c.next
	g.changes = append(g.changes, changes...)
	for i := range changes {
		if ch := &changes[i]; ch.Kind == engine.MessageMove && ch.Content == nil {
			c.moves[place{ch.Queue, ch.Seq}] = place{ch.From, ch.FromSeq}
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

// retryAfter is the time after which a group or a checkpoint that could not be
// written is tried again.
const retryAfter = 500 * time.Millisecond

func (c *Committer) run() {
	defer close(c.ended)
	retry := time.NewTimer(retryAfter)
	retry.Stop() // until something is to be tried again
	defer retry.Stop()
	for {
		select {
		case <-c.kick:
		case <-retry.C:
		case err := <-c.checkpoint.done:
			c.checkpointed(err)
			continue
		}
		c.mu.Lock()
		g := c.next
		c.next = newGroup()
		closed := c.closed
		changes := g.changes
		if c.kept != nil {
			changes = append(c.kept, g.changes...)
		}
		c.mu.Unlock()
		if closed { // Close takes what is left into the file itself, which costs no write to the journal
			c.last = changes
			return
		}
		c.commit(g, changes)
		if g.err != nil {
			retry.Reset(retryAfter)
		}
	}
}

func (c *Committer) commit(g *Group, changes []engine.Change) {
	began := time.Now()
	if len(changes) > 0 {
		g.err = c.write(changes)
	}
	took := time.Since(began)
	c.mu.Lock()
	before := c.err
	c.err = g.err
	c.kept = nil
	if g.err != nil {
		c.kept = changes
		c.stats.Failures++
	} else if len(changes) > 0 {
		c.stats.add(len(changes), took)
	}
	c.mu.Unlock()
	close(g.done)
	c.report("the journal", before, g.err)
}

// report logs that something no longer takes writes, and that it takes them again.
func (c *Committer) report(what string, before, now error) {
	if before == nil && now != nil {
		c.file.logger.Error(what+" of the queue file takes no writes; they are tried again until it does", "file",
			c.file.path, "error", now)
	}
	if before != nil && now == nil {
		c.file.logger.Info(what+" of the queue file takes writes again", "file", c.file.path)
	}
}

const (
	checkpointFrom = 8 << 20
	// checkpointWait is how many times its limit the active file grows to at most while
	// the other's checkpoint is under way.
	checkpointWait = 3
)

// write puts changes into the journal.
func (c *Committer) write(changes []engine.Change) error {
	for c.checkpoint.busy && c.journal.length() > checkpointWait*c.file.limit {
		if err := <-c.checkpoint.done; err != nil {
			c.checkpointed(err)
			return fmt.Errorf("the journal cannot be taken into the file: %w", err)
		}
		c.checkpointed(nil)
	}
	if !c.checkpoint.busy && c.journal.length() > c.file.limit {
		c.checkpoint.start(batch{c.pending, c.journal.number})
		c.pending = nil
		c.journal.turn()
	}
	if err := c.journal.append(changes); err != nil {
		return err
	}
	c.pending = append(c.pending, changes...)
	return nil
}

// checkpointed notes how an attempt at a checkpoint ended.
func (c *Committer) checkpointed(err error) {
	if err == nil {
		c.checkpoint.busy = false
	}
	c.mu.Lock()
	before := c.late
	c.late = err
	c.mu.Unlock()
	c.report("the checkpoint", before, err)
}

// forget drops what was remembered of changes that are in the file now.
func (c *Committer) forget(changes []engine.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range changes {
		if ch := &changes[i]; ch.Kind == engine.MessageMove {
			delete(c.moves, place{ch.Queue, ch.Seq})
		}
	}
}

// Err is the error of the latest group, or else of the checkpoint under way.
// failing says that groups are not written: nothing more may be changed until
// they are, which is tried again and again.
func (c *Committer) Err() (err error, failing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err, true
	}
	return c.late, false
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
	// The way of a content is followed in its own direction, so that a checkpoint
	// that carries it on meanwhile cannot slip it past.
	for _, at := range slices.Backward(c.before(place{queue, seq})) {
		if content, err = c.file.Content(at.queue, at.seq); content != nil || err != nil {
			return content, err
		}
	}
	return c.file.Content(queue, seq)
}

// before are the places that a message came through by moves that are not in
// the file yet, the latest first.
func (c *Committer) before(at place) (places []place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		from, moved := c.moves[at]
		if !moved {
			return places
		}
		places = append(places, from)
		at = from
	}
}

// Close writes what was appended, takes the journal into the file and removes
// it, ends the goroutines and closes the file.
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
	err := c.settle(g)
	if e := c.file.Close(); err == nil {
		err = e
	}
	return err
}

// settle ends the journal, and the last group g. If the file does not take them, the
// journal gets the group, stays, and is read at the next start.
func (c *Committer) settle(g *Group) error {
	err := c.checkpoint.stop()
	if err == nil {
		err = c.file.apply(squash(slices.Concat(c.pending, c.last)), c.journal.number, false)
	}
	if err != nil && len(c.last) > 0 {
		g.err = c.journal.append(c.last)
	}
	close(g.done)
	if g.err != nil {
		err = errors.Join(g.err, err)
	}
	own := c.journal.own(c.file.path)
	if e := c.journal.close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("the journal could not be taken into the file and stays: %w", err)
	}
	for i, p := range journalPaths(c.file.path) {
		if !own[i] {
			continue
		}
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
