package store

import (
	"time"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// checkpointer is the goroutine that applies the journal to the queue file, one
// batch at a time, again and again until the file takes it.
type checkpointer struct {
	busy bool // a batch is under way; for the Committer's use

	done  chan error // of each attempt; nil is the batch's last
	work  chan batch
	quit  chan struct{}
	ended chan struct{}
	left  error // of a batch that was given up
}

// batch is what one checkpoint applies.
type batch struct {
	changes []engine.Change
	number  uint64 // of the latest group among them
}

func newCheckpointer(f *File, applied func([]engine.Change)) *checkpointer {
	p := &checkpointer{done: make(chan error), work: make(chan batch, 1), quit: make(chan struct{}),
		ended: make(chan struct{})}
	go p.run(f, applied)
	return p
}

// start begins a checkpoint; none must be under way.
func (p *checkpointer) start(b batch) {
	p.busy = true
	p.work <- b
}

// stop ends the goroutine after the checkpoint under way, if there is one. Its
// error is that of a batch that the file has not taken.
func (p *checkpointer) stop() error {
	close(p.quit)
	<-p.ended
	return p.left
}

func (p *checkpointer) run(f *File, applied func([]engine.Change)) {
	defer close(p.ended)
	for {
		var b batch
		select {
		case b = <-p.work:
		case <-p.quit:
			select {
			case b = <-p.work: // both came
			default:
				return
			}
		}
		small := squash(b.changes)
		for {
			err := f.apply(small, b.number, true)
			if err == nil {
				applied(b.changes)
			}
			select {
			case p.done <- err:
			case <-p.quit:
				p.left = err
				return
			}
			if err == nil {
				break
			}
			select {
			case <-time.After(retryAfter):
			case <-p.quit:
				p.left = err
				return
			}
		}
	}
}
