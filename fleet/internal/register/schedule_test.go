package register

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// world is a fleet in which everything can go wrong, on a clock of its own.
type world struct {
	rnd     *rand.Rand
	now     time.Duration
	members []*member
	alive   map[string]bool
	flight  []packet
	split   int                      // members below it do not hear the others
	tripped time.Duration            // the last trip or claim of all
	closed  map[uint64]time.Duration // when a member first said that a round is closed
}

// member is a process: a register, and a breaker's entry.
type member struct {
	*Register
	name  string
	open  bool
	half  bool
	until time.Duration
	heard time.Duration // the last word that was new, or its own

	trips  time.Duration // its last own trip
	closes time.Duration // its own calls have closed it
	within uint64        // round that it had heard of then
	doubts time.Duration // its last doubt
	shut   time.Duration // its entry has closed, by its own calls or an operator
}

type packet struct {
	to int
	at time.Duration
	w  Word
}

const (
	openTimeout = 10 * time.Second
	turn        = 500 * time.Millisecond
	maxDelay    = 700 * time.Millisecond
	bound       = openTimeout + 2*turn + Claim
)

func newWorld(seed uint64) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 21)), alive: map[string]bool{}, closed: map[uint64]time.Duration{}}
	for i := range 2 + w.rnd.IntN(5) {
		name := fmt.Sprintf("n%d", i)
		w.members = append(w.members, &member{Register: New(name, 1, Settings{Turn: turn}), name: name})
		w.alive[name] = true
	}
	return w
}

// say sends a word to all: some of it is lost, late or doubled.
func (w *world) say(from int, word Word, ok bool) {
	if !ok {
		return
	}
	w.members[from].heard = w.now
	for to := range w.members {
		if to == from || (to < w.split) != (from < w.split) {
			continue
		}
		for w.rnd.IntN(10) < 8 { // none in a fifth of the cases, one, or several
			w.flight = append(w.flight, packet{to, w.now + time.Duration(w.rnd.Int64N(int64(maxDelay))), word})
			if w.rnd.IntN(10) > 1 {
				break
			}
		}
	}
}

// look does all that the register wants of the breaker, as the agent does.
func (w *world) look(i int) error {
	m := w.members[i]
	for range 3 {
		e, ok := m.Effect(mail, w.alive, w.now)
		if !ok {
			break
		}
		if err := w.act(m, &e); err != nil {
			return err
		}
	}
	word, ok := m.Overtaken(mail, w.now)
	w.say(i, word, ok)
	return nil
}

func (w *world) act(m *member, e *Effect) error {
	switch e.Act {
	case Trip:
		if limit := m.heard + bound; e.Until > limit+maxDelay {
			return fmt.Errorf("%s is held until %v, %v after the last word it heard", m.name, e.Until, e.Until-m.heard)
		}
		if !m.open && !m.half {
			return fmt.Errorf("%s: a closed entry was tripped by the fleet", m.name)
		}
		m.open, m.half, m.until = true, false, max(m.until, e.Until)
	case Doubt:
		m.doubts = w.now
		if !m.open {
			m.half = true
		}
	case Recover:
		round := m.entries[mail].closed
		if m.open && m.trips > m.closes && round <= m.within && w.closed[round] < m.closes {
			return fmt.Errorf("%s tripped at %v, after its own calls had closed it at %v, and a word of %v has it recover",
				m.name, m.trips, m.closes, w.closed[round])
		}
		m.open, m.half = false, false
		m.Recovered(mail)
	}
	return nil
}

// pass lets time pass, with all that comes due.
func (w *world) pass(d time.Duration) error {
	for end := w.now + d; w.now < end; {
		w.now = w.next(end)
		var due []packet
		kept := w.flight[:0]
		for _, p := range w.flight {
			if p.at > w.now {
				kept = append(kept, p)
				continue
			}
			due = append(due, p)
		}
		w.flight = kept
		for _, p := range due {
			if err := w.hear(p.to, p.w); err != nil {
				return err
			}
		}
		for _, m := range w.members {
			if m.open && m.until <= w.now {
				m.open, m.half = false, true
			}
		}
	}
	return nil
}

// hear gives a member words that come in one message.
func (w *world) hear(i int, words ...Word) error {
	m, news := w.members[i], false
	for _, word := range words {
		if _, changed := m.Hear(word, true, w.now); changed {
			m.heard, news = w.now, true
		}
	}
	if !news {
		return nil
	}
	return w.look(i)
}

// next returns when something comes due.
func (w *world) next(end time.Duration) time.Duration {
	next := min(end, w.now+time.Second)
	for _, p := range w.flight {
		next = min(next, p.at)
	}
	for _, m := range w.members {
		if m.open {
			next = min(next, m.until)
		}
	}
	return max(next, w.now+time.Millisecond)
}

func (w *world) trip(i int) error {
	m := w.members[i]
	if m.open {
		return nil
	}
	probed := m.half
	m.open, m.half, m.until = true, false, w.now+openTimeout
	w.tripped, m.trips = w.now, w.now
	word, ok := m.Tripped(mail, openTimeout, probed, w.alive, w.now)
	w.say(i, word, ok)
	return w.look(i)
}

// close has own calls of a member close its entry.
func (w *world) close(i int, by Way) error {
	m := w.members[i]
	m.open, m.half, m.shut = false, false, w.now
	if e := m.entries[mail]; e != nil && by == ByProbes {
		m.closes, m.within = w.now, e.round(w.now)
	}
	word, ok := m.Closed(mail, by, w.now)
	if ok {
		if _, said := w.closed[word.Closed]; !said {
			w.closed[word.Closed] = w.now
		}
	}
	w.say(i, word, ok)
	return w.look(i)
}

// step does one thing to the fleet.
func (w *world) step() error {
	i := w.rnd.IntN(len(w.members))
	m := w.members[i]
	switch w.rnd.IntN(12) {
	case 0, 1, 2:
		if err := w.trip(i); err != nil {
			return err
		}
	case 3, 4:
		if m.half {
			word, ok := m.Probing(mail, w.alive, w.now)
			if ok {
				w.tripped = w.now
			}
			w.say(i, word, ok)
		}
	case 5:
		if m.half {
			if err := w.close(i, ByProbes); err != nil {
				return err
			}
		}
	case 6:
		if m.open && w.rnd.IntN(4) == 0 {
			if err := w.close(i, ByOperator); err != nil {
				return err
			}
		}
	case 7: // killed, and back under its name
		if w.rnd.IntN(4) == 0 {
			*m = member{Register: New(m.name, m.inc+1, Settings{Turn: turn}), name: m.name}
		}
	case 8:
		w.split = w.rnd.IntN(len(w.members) + 1)
		if w.rnd.IntN(2) == 0 {
			w.split = 0
		}
	case 9: // push/pull with one that it can reach
		j := w.rnd.IntN(len(w.members))
		if (i < w.split) == (j < w.split) {
			if err := w.exchange(i, j); err != nil {
				return err
			}
		}
	case 10:
		w.again(i)
		m.Prune(w.now)
	}
	return w.pass(time.Duration(w.rnd.Int64N(int64(3 * time.Second))))
}

func (w *world) again(i int) {
	for _, word := range w.members[i].Again(w.now) {
		w.say(i, word, true)
	}
}

func (w *world) exchange(i, j int) error {
	of, to := w.members[i].Words(w.now), w.members[j].Words(w.now)
	if err := w.hear(j, of...); err != nil {
		return err
	}
	return w.hear(i, to...)
}

// agree lets all hear all, and compares what they make of it.
func (w *world) agree() error {
	w.split = 0
	for range 3 {
		for i := range w.members {
			for _, word := range w.members[i].Again(w.now) {
				w.members[i].heard = w.now
				for j := range w.members {
					if err := w.hear(j, word); err != nil {
						return err
					}
				}
			}
			for j := range i {
				if err := w.exchange(i, j); err != nil {
					return err
				}
			}
		}
	}
	for _, m := range w.members { // a word that lapses now does so for each at the time of its hearing
		if e := m.entries[mail]; e != nil {
			for _, h := range e.words {
				if off := h.lapse - w.now; max(off, -off) <= maxDelay+50*time.Millisecond {
					return nil
				}
			}
		}
	}
	first := w.members[0].Decide(mail, w.alive, w.now)
	for _, m := range w.members[1:] {
		d := m.Decide(mail, w.alive, w.now)
		if d.Round != first.Round || d.Closed != first.Closed || d.Agreed != first.Agreed ||
			!reflect.DeepEqual(d.Voters, first.Voters) {
			return fmt.Errorf("with equal words %s decides %+v, %s %+v", w.members[0].name, first, m.name, d)
		}
		if off := d.End - first.End; max(off, -off) > maxDelay+5*time.Millisecond && max(d.End, first.End) > w.now {
			return fmt.Errorf("with equal words the round ends at %v for %s, at %v for %s", first.End,
				w.members[0].name, d.End, m.name)
		}
	}
	for _, m := range w.members { // and nobody sleeps through an outage on which the fleet agrees
		e := m.entries[mail]
		if e == nil || !first.Agreed {
			continue
		}
		mine, spoke := e.words[m.name]
		found := e.exempt == e.epoch() || e.doubted == first.Round && m.shut >= m.doubts // that it works here
		if spoke && e.votes(&mine, w.now) || found || m.open || m.half {
			continue
		}
		return fmt.Errorf("%s is closed and does not doubt, though the fleet agrees: %+v", m.name, first)
	}
	return nil
}

// TestSchedules: whatever happens to words, members with equal words decide alike, none is
// held open beyond open_timeout, two turns and a second of the last word, one that is closed
// while the fleet agrees finds out, and no word undoes a trip that is newer than it.
func TestSchedules(t *testing.T) {
	const parallel = 2
	n := scaled(10_000, 1_000_000)
	for k := range parallel {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := k; seed < n; seed += parallel {
				if err := schedule(uint64(seed)); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

func schedule(seed uint64) error {
	w := newWorld(seed)
	for range 10 + w.rnd.IntN(20) {
		if err := w.step(); err != nil {
			return err
		}
	}
	if err := w.agree(); err != nil {
		return err
	}
	w.flight = nil
	for range 3 { // nothing trips from here on
		for i := range w.members {
			w.again(i)
			for j := range i {
				if err := w.exchange(i, j); err != nil {
					return err
				}
			}
		}
		if err := w.pass(time.Second); err != nil {
			return err
		}
	}
	if left := w.tripped + bound + 2*maxDelay - w.now; left > 0 {
		if err := w.pass(left); err != nil {
			return err
		}
	}
	for _, m := range w.members {
		if m.open {
			return fmt.Errorf("%s is held open until %v, the last trip was at %v, it is %v", m.name, m.until, w.tripped, w.now)
		}
	}
	return nil
}
