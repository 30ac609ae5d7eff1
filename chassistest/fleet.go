package chassistest

import (
	"context"
	"time"
)

// start starts the next life of a process.
func (w *World) start(s *seat) {
	s.planned = false
	if s.p != nil {
		return
	}
	s.lives++
	p, err := w.newProcess(s.number, s.lives)
	if err != nil {
		w.accuse(Plays, "", "process %d cannot be made: %v", s.number, err)
		return
	}
	s.p, p.born = p, w.Now()
	w.lives = append(w.lives, p)
	w.note(p, "starts", nil, "")
	w.endings.Go(func() {
		err := p.Start(p.ctx)
		p.report <- func() {
			switch {
			case p.dead:
			case err != nil:
				w.note(p, "cannot start", nil, err.Error())
				if !p.troubled && w.weather.suspended[p.number] < p.born {
					w.accuse(Plays, "", "p%d cannot start, though nothing has gone wrong: %v", p.number, err)
				}
				w.kill(p)
				w.startAfter(s, time.Second) // as what watches over processes does
			default:
				p.started = true
				w.note(p, "runs", nil, "")
			}
		}
		w.gate.knock()
	})
}

func (w *World) startAfter(s *seat, d time.Duration) {
	if !s.planned {
		s.planned = true
		w.after(d, func() { w.start(s) })
	}
}

// stop stops a process in order, and starts it again after a time.
func (w *World) stop(p *Process, back time.Duration) {
	s, began := w.seats[p.number-1], w.Now()
	p.stopping = true
	w.note(p, "stops", nil, "")
	for d := range p.held {
		if d.message.fate.ordered { // a message of a FIFO pool does not carry its failures to another process
			w.touch(d.message.fate, Deploy)
		}
	}
	w.endings.Go(func() {
		err := p.System.Stop(context.Background())
		p.report <- func() {
			if p.dead {
				return
			}
			note := ""
			if err != nil {
				note = err.Error()
			}
			w.note(p, "has stopped", nil, note)
			p.stopped = true
			if w.weather.suspended[p.number] > began { // a copy may have been sent, and its original not deleted
				for d := range p.held {
					w.touch(d.message.fate, Suspend)
				}
			}
			for r := range p.runs { // abandoned: they are out of the runtime's hands
				w.touch(r.fate, Deploy)
			}
			w.bury(p)
			w.endings.Go(p.data.end)
			w.startAfter(s, back)
		}
		w.gate.knock()
	})
}

// kill ends a process without a word.
func (w *World) kill(p *Process) {
	if !w.over {
		w.note(p, "DIES", nil, "")
	}
	for d := range p.held {
		w.touch(d.message.fate, DieBefore)
	}
	for r := range p.runs {
		w.touch(r.fate, DieBefore)
	}
	w.bury(p)
	w.endings.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.System.Stop(ctx) // what a dead process says is not heard
		p.data.end()
	})
}

// bury makes p a process that is not heard any more.
func (w *World) bury(p *Process) {
	w.endings.Go(p.data.dying())
	w.gate.bury(p)
	for r := range p.runs {
		r.cancel(errGone)
	}
	p.end()
	if s := w.seats[p.number-1]; s.p == p {
		s.p = nil
	}
}

// die is a death by a fault.
func (w *World) die(p *Process, f *Fault, labels []string) {
	w.took(p, f, labels)
	w.kill(p)
	w.startAfter(w.seats[p.number-1], f.Back)
}

// doom kills those that were to die once what they have done last is done.
func (w *World) doom() {
	for _, p := range w.doomed {
		if !p.dead {
			w.kill(p)
		}
	}
	w.doomed = nil
}

// reports does what follows from starts and stops that have ended.
func (w *World) reports() {
	for _, s := range w.seats {
		for p := s.p; p != nil; {
			select {
			case f := <-p.report:
				f()
				continue
			default:
			}
			break
		}
	}
}
