package breaker

import (
	"fmt"
	"time"
)

// query runs f in the actor and returns its value and error.
func query[T any](b *Breaker, f func(s *state) (T, error)) (T, error) {
	a := asks.Get().(*ask)
	var value T
	var failed error
	a.do = func(s *state, _ *ask) { value, failed = f(s) }
	err := b.ask(a)
	a.free()
	if err != nil {
		return value, err
	}
	return value, failed
}

// order runs f in the actor and returns its error.
func (b *Breaker) order(f func(s *state) error) error {
	_, err := query(b, func(s *state) (struct{}, error) { return struct{}{}, f(s) })
	return err
}

// ForceOpen refuses every call to path and below, for d (at most ten years) or
// (0) until [Breaker.Reset].
// The path "" is the whole service. Of several operator's states on a path the
// deepest decides.
func (b *Breaker) ForceOpen(path string, d time.Duration) error { return b.force(path, ForcedOpen, d) }

// ForceClosed admits every call to path and below and counts none, for d or
// (0) until [Breaker.Reset].
func (b *Breaker) ForceClosed(path string, d time.Duration) error {
	return b.force(path, ForcedClosed, d)
}

// MetricsOnly admits every call to path and below, for d or (0) until
// [Breaker.Reset], while the states go on beneath: the log has the transitions
// that would have been, as Shadow.
func (b *Breaker) MetricsOnly(path string, d time.Duration) error {
	return b.force(path, MetricsOnly, d)
}

// Reset closes the entries of path and below, clears their counts, and ends
// operators' states there. The path "@" and an address brings that address back: see
// [EjectOutliers]; the path "" brings all of them back.
func (b *Breaker) Reset(path string) error {
	return b.order(func(s *state) error { return s.reset(path) })
}

// SetSettings puts s in force without losing a state, count or time that has
// begun. Wrong settings change nothing and are an error.
func (b *Breaker) SetSettings(settings Settings) error {
	return b.order(func(s *state) error { return s.change(settings) })
}

// Follow puts in force what differs between from and to, their defaults filled
// in; what SetSettings changed on this breaker alone stays otherwise. If that
// makes wrong settings it changes nothing and is an error.
func (b *Breaker) Follow(from, to Settings) error {
	if from.filled() == to.filled() {
		return nil // a breaker that sleeps goes on sleeping
	}
	return b.order(func(s *state) error {
		return s.change(s.b.Settings().following(from.filled(), to.filled()))
	})
}

func (b *Breaker) force(path string, to State, d time.Duration) error {
	return b.order(func(s *state) error { return s.force(path, to, d) })
}

func (s *state) force(path string, to State, d time.Duration) error {
	if d < 0 || d > maxTime {
		return fmt.Errorf("breaker of %s%.100s: %v for %v: want 0 (until reset) to %v",
			s.b.service, path, to, d, maxTime)
	}
	if to != ForcedOpen && to != ForcedClosed && to != MetricsOnly {
		return fmt.Errorf("breaker of %s%s: %v is not a state to force: want %v, %v or %v",
			s.b.service, path, to, ForcedOpen, ForcedClosed, MetricsOnly)
	}
	if isAddress(path) {
		return fmt.Errorf("breaker of %s: %v for %.100s: an address cannot be forced: force a path, or reset it",
			s.b.service, to, path)
	}
	e := s.begin()
	end := int64(0)
	if d > 0 {
		end = e.now + int64(d)
	}
	if err := e.force(cleanPath(path), to, end); err != nil {
		e.free()
		return err
	}
	s.commit(e)
	return nil
}

func (s *state) reset(path string) error {
	e := s.begin()
	if isAddress(path) {
		s.resetAddresses(e, path)
	} else {
		if e.reset(cleanPath(path)); cleanPath(path) == "" {
			s.resetAddresses(e, "")
		}
	}
	s.commit(e)
	return nil
}

func (s *state) change(settings Settings) error {
	set, err := newConfig(settings)
	if err != nil {
		return fmt.Errorf("breaker of %s: %w", s.b.service, err)
	}
	e := s.begin()
	e.configure(set)
	s.commit(e)
	return nil
}

// Settings returns the settings in force, with every default filled in.
func (b *Breaker) Settings() Settings { return b.view.Load().set.Settings }

// State returns the state of the service entry.
func (b *Breaker) State() State { return b.view.Load().root.shown() }

// StateOf returns the state of the entry for path itself, Closed if it has
// none. A call to path may still be refused by a parent: see [Breaker.Check].
func (b *Breaker) StateOf(path string) State {
	n := b.view.Load().root
	for seg, rest := nextSegment(path); n != nil && seg != ""; seg, rest = nextSegment(rest) {
		n = n.kid(seg)
	}
	if n == nil {
		return Closed
	}
	return n.shown()
}

// Check says, without making or counting a call, what a call to path would get
// now: nil, an [*OpenError], or [ErrStopped]. It sends no message.
func (b *Breaker) Check(path string) error {
	v := b.view.Load()
	if v.kind == viewStopped {
		return ErrStopped
	}
	if d := v.decide(path); d.refusal != nil {
		return d.refusal
	}
	return nil
}

// Snapshot returns the state of every entry. It sends no message.
func (b *Breaker) Snapshot() Snapshot {
	v := b.view.Load()
	now := b.now()
	s := Snapshot{Service: b.service, State: v.root.shown(), Seq: v.seq, Stopped: v.kind == viewStopped,
		Restarts: int(b.own.restarts.Load()), Settings: v.set.Settings, Entries: make([]EntryStatus, 0, 1+v.entries)}
	v.root.walk(func(n *node) {
		st := EntryStatus{Entry: n.path, State: n.shown(), Own: n.state,
			Failures: int(n.failures()), Successes: int(n.succs),
			Probes: len(n.probes), Hanging: int(n.hung), Opens: int(n.opens), Until: b.wall(n.ends()), Blamed: n.blamed}
		if n.ramping() {
			st.Ramp = n.share(now)
		}
		s.Entries = append(s.Entries, st)
	})
	s.Entries = append(s.Entries, b.addressEntries()...)
	return s
}

// Transitions returns the transitions after number since, oldest first. The log
// is bounded by log_size: if the first one's Seq is not since+1, those between
// were dropped. Its end leads by [Replay] to the present states.
func (b *Breaker) Transitions(since uint64) []Transition {
	records, err := query(b, func(s *state) ([]record, error) { return s.b.own.log, nil })
	if err != nil { // stopped: it does not change any more
		records = b.own.log
	}
	return b.since(records, since)
}

func (b *Breaker) since(records []record, since uint64) []Transition {
	first := uint64(0)
	if len(records) > 0 {
		first = records[0].seq
	}
	if since >= first {
		records = records[min(uint64(len(records)), since-first+1):]
	}
	log := make([]Transition, len(records))
	for i, r := range records {
		log[i] = b.transition(r)
	}
	return log
}

func (b *Breaker) transition(r record) Transition {
	return Transition{Seq: r.seq, At: b.wall(r.at), Service: b.service, Entry: r.path, From: r.from, To: r.to,
		Shadow: r.shadow, Reason: r.reason, Until: b.wall(r.until)}
}
