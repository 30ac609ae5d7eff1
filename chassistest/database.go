package chassistest

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/sambatech/chassis/chassistest/effects"
)

// DB opens a database by c, for this life of the process. Each statement, each begin and
// each commit stands at the gate of the storm: the process may die before it and after it,
// and the connection may break there. With the process its connections break, and their
// transactions are rolled back. The database is closed at the end of the process.
//
// c is a driver that works in a bubble of testing/synctest: SQLite without cgo, on a file
// that outlives the process, or a database in memory. One that reads from a network does
// not. A statement that waits for the lock of another one must wait by time or by a
// channel. In [World.Service] the database is only opened: its tables are made by the play,
// with a database of its own. See [Databases] and [World.Pending].
func (p *Process) DB(c sqldriver.Connector) *sql.DB { return p.data.recorder(p).DB(c) }

// OpenDB is [Process.DB] for a driver that was registered by its name.
func (p *Process) OpenDB(driverName, dsn string) (*sql.DB, error) {
	return p.data.recorder(p).OpenDB(driverName, dsn)
}

// Random draws from [0, 1) for code of the process that has a source of its own, as the
// pauses of a relay: so one seed has one trace.
func (p *Process) Random() float64 { return p.world.random(p.number)() }

// Pending says what else is left to do than what the queues hold, as rows of an outbox.
// The storm goes on while a function returns true. It is asked when nothing else is left.
func (w *World) Pending(left func() bool) { w.more = append(w.more, left) }

// Databases draws a third of the faults for statements to databases: deaths before and
// after them, and connections that break.
func Databases() StormOption { return func(s *storm) { s.data = 33 } }

// draw makes the schedule of a seed.
func (s *storm) draw(seed uint64) Schedule {
	schedule := draw(seed, s.fleet, s.faults, s.kinds)
	d := &drawing{rand.New(rand.NewPCG(seed, 0xdb)), s.fleet}
	for i := range schedule.Faults {
		if d.IntN(100) >= s.data {
			continue
		}
		kinds := []Kind{DieBefore, DieAfter, CutBefore, CutAfter}
		f := Fault{Kind: kinds[d.IntN(len(kinds))], Process: 1 + d.IntN(s.fleet), On: OnStatement,
			Nth: 1 + d.IntN(120)}
		if f.Kind == DieBefore || f.Kind == DieAfter {
			d.back(&f)
		}
		schedule.Faults[i] = f
	}
	return schedule
}

// databases are those of one life of a process.
type databases struct {
	open bool // statements may come: the process is made

	mu   sync.Mutex
	made *effects.Recorder
	over chan struct{} // closed at the death: calls return then
}

// recorder returns the recorder of the process, which its first database makes.
func (d *databases) recorder(p *Process) *effects.Recorder {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.made == nil {
		d.over = make(chan struct{})
		gate := &statements{p: p, under: map[*effects.Effect]*statement{}}
		d.made = effects.New(&effects.Log{}, gate, p.number, d.over)
	}
	return d.made
}

// dying ends the use of the databases. The function that it returns cuts connections.
func (d *databases) dying() (cut func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.made == nil || d.made.Died() {
		return func() {}
	}
	close(d.over)
	return d.made.Dying()
}

// end closes the databases.
func (d *databases) end() {
	d.mu.Lock()
	made := d.made
	d.mu.Unlock()
	if made != nil {
		made.End()
	}
}

// errNoStatement is the error of a statement in a function of [World.Service].
var errNoStatement = errors.New("chassistest: a statement while the process is made: World.Service may open a " +
	"database, and not use it. Make tables in the play, by a database of its own")

// statements is the way of a process's statements to the gate.
type statements struct {
	p     *Process
	mu    sync.Mutex
	under map[*effects.Effect]*statement // that come to the gate again
}

type statement struct {
	ctx context.Context
	at  *arrival
}

// Before implements [effects.Gate].
func (g *statements) Before(ctx context.Context, made []*effects.Effect) error {
	e := made[0]
	switch {
	case e.Name == "ROLLBACK": // it comes when a ctx has ended too, and a death does the same
		return nil
	case !g.p.data.open:
		return errNoStatement
	}
	a := &arrival{p: g.p, step: OnStatement, run: runOf(ctx), name: e.Name, note: e.Name + " " + e.Detail}
	switch o, err := g.p.world.gate.wait(ctx, a); {
	case err != nil:
		return err
	case o == dead:
		return errGone
	case a.cut:
		e.Cut()
		return effects.ErrCut
	case a.after:
		g.mu.Lock()
		g.under[e] = &statement{ctx, a}
		g.mu.Unlock()
	}
	return nil
}

// After implements [effects.Gate].
func (g *statements) After(made []*effects.Effect) {
	s := g.take(made[0])
	if s == nil {
		return
	}
	a := &arrival{p: g.p, step: OnStatement, answer: true, run: s.at.run, name: s.at.name, strike: s.at.strike}
	if o, err := g.p.world.gate.wait(s.ctx, a); err == nil && o == pass && a.cut {
		made[0].Cut()
	}
}

// Skipped implements [effects.Gate]: the statement comes again.
func (g *statements) Skipped(made []*effects.Effect) { g.take(made[0]) }

func (g *statements) take(e *effects.Effect) *statement {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.under[e]
	delete(g.under, e)
	return s
}

// statement lets a statement through, before it is done or after.
func (w *World) statement(a *arrival) {
	if a.answer {
		if f := w.struckBy(a.strike, DieAfter); f != nil {
			w.die(a.p, f, a.labels)
			return
		}
		if f := w.struckBy(a.strike, CutAfter); f != nil {
			w.took(a.p, f, a.labels)
			a.cut = true
		}
		w.let(a, "statement done", "")
		return
	}
	if f := w.struckBy(a.strike, CutBefore); f != nil {
		w.took(a.p, f, a.labels)
		a.cut = true
	}
	a.after = w.struckBy(a.strike, DieAfter, CutAfter) != nil
	w.let(a, string(OnStatement), a.note)
}
