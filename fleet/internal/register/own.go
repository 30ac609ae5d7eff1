package register

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// own makes this member's next word on an entry and takes it in. ok is false if there
// is no room for it, or it is too long to be sent.
func (r *Register) own(k Key, kind Kind, round uint64, left time.Duration, now time.Duration) (w Word, ok bool) {
	if !k.Fits() {
		return Word{}, false
	}
	closed := uint64(0)
	if e := r.entries[k]; e != nil {
		closed = e.closed
	}
	life := r.set.Word
	if kind == Good {
		life = goodLife
	}
	r.ver++
	w = Word{Member: r.me, Incarnation: r.inc, Version: r.ver, Service: k.Service, Entry: k.Entry,
		Kind: kind, Round: round, Closed: closed, Left: toMS(left), Life: toMS(life)}
	return w, r.take(w, true, now)
}

// refute takes a word of an earlier incarnation of this member back.
func (r *Register) refute(w *Word, now time.Duration) {
	e := r.entries[w.Key()]
	if w.Incarnation >= r.inc {
		return
	}
	if e != nil {
		if _, spoke := e.words[r.me]; spoke {
			return
		}
	}
	if _, ok := r.own(w.Key(), Good, w.Round, 0, now); ok {
		r.entries[w.Key()].refuted = true
	}
}

// Tripped returns the word that this member's entry has opened by its own failures, for
// left. probed means that a half-open entry has: of a voter in a fleet that agrees that
// begins the next round. So does the trip of a member that had closed the entry by its own
// calls: a word that the round before is closed can be under way to it still, and must not
// undo what it has seen since. ok is false if the entry is too long or one too many to be
// shared.
func (r *Register) Tripped(k Key, left time.Duration, probed bool, alive map[string]bool,
	now time.Duration) (Word, bool) {
	round := uint64(1)
	if e := r.entries[k]; e != nil {
		round = max(e.round(now), e.closed+1)
		mine, spoke := e.words[r.me]
		voter := spoke && e.votes(&mine, now)
		if voter && probed && r.Decide(k, alive, now).Agreed || !voter && e.exempt == e.epoch() {
			round = e.round(now) + 1
		}
		e.silent, e.recover = false, false
		e.until, e.holding = now+left, true
	}
	w, ok := r.own(k, Bad, round, left, now)
	if e := r.entries[k]; ok {
		e.until, e.holding = now+left, true
	}
	return w, ok
}

// Closed takes note that this member's entry has closed. by says how. A word is
// returned if others should know: ok is false if not.
func (r *Register) Closed(k Key, by Way, now time.Duration) (w Word, ok bool) {
	e := r.entries[k]
	if e == nil {
		return Word{}, false
	}
	e.holding, e.recover, e.silent = false, false, true
	mine, spoke := e.words[r.me]
	voter := spoke && e.votes(&mine, now)
	switch {
	case by == ByProbes && voter:
		round := e.round(now)
		e.closed, e.agreed = max(e.closed, round), 0 // its own entry has closed: no recovery is due
		return r.own(k, Good, round, 0, now)
	case voter: // an operator's: the vote is taken back, and the others go on
		e.exempt = e.epoch()
		return r.own(k, Good, mine.Round, 0, now)
	}
	if e.agreed == e.epoch() {
		e.exempt = e.epoch()
	}
	return Word{}, false
}

// Recovered takes note that an [Effect] Recover has done its work.
func (r *Register) Recovered(k Key) {
	if e := r.entries[k]; e != nil {
		e.recover, e.holding, e.silent = false, false, true
	}
}

// Way is how an entry has closed.
type Way uint8

const (
	ByProbes   Way = iota // by successes of this member's own calls
	ByOperator            // by a reset
)

// Probing returns the word that a probe of this member is in flight. ok is false if the
// others do not wait for it: the fleet does not agree, this member has not tripped, or it
// has probed for 30 s.
func (r *Register) Probing(k Key, alive map[string]bool, now time.Duration) (w Word, ok bool) {
	e := r.entries[k]
	if e == nil {
		return Word{}, false
	}
	mine, spoke := e.words[r.me]
	if !spoke || !e.votes(&mine, now) || !r.Decide(k, alive, now).Agreed {
		return Word{}, false
	}
	if round := e.round(now); round != e.claimed {
		e.claimed, e.since = round, now
	}
	left := e.since + claimSpan - now
	if left <= 0 {
		return Word{}, false
	}
	return r.own(k, Probing, e.claimed, left, now)
}

// Again returns words of this member that would lapse soon, said again: of entries that
// have not closed since. It returns those too that take back what an earlier incarnation
// said, and those of [Register.Overtaken].
func (r *Register) Again(now time.Duration) (words []Word) {
	for k, e := range r.entries {
		mine, spoke := e.words[r.me]
		if e.refuted {
			e.refuted = false
			if mine.Kind == Good {
				words = append(words, mine.Word)
				continue
			}
		}
		if w, ok := r.Overtaken(k, now); ok {
			words = append(words, w)
			continue
		}
		if !spoke || !e.stands(&mine) || now < mine.lapse-r.set.Word*2/3 {
			continue
		}
		if w, ok := r.repeat(k, &mine, mine.Round, now); ok {
			words = append(words, w)
		}
	}
	return words
}

// Overtaken returns this member's word on an entry, said in the next round, if others have
// closed the round that it was of and the fleet had not agreed on it: then it was this
// member's own, and stands. ok is false if not.
func (r *Register) Overtaken(k Key, now time.Duration) (w Word, ok bool) {
	e := r.entries[k]
	if e == nil {
		return Word{}, false
	}
	mine, spoke := e.words[r.me]
	if !spoke || !e.stands(&mine) || mine.Round > e.closed {
		return Word{}, false
	}
	return r.repeat(k, &mine, e.closed+1, now)
}

// stands reports whether this member's word is still what it has to say.
func (e *entry) stands(mine *held) bool { return mine.Kind != Good && !e.silent && !e.recover }

// repeat says a word again.
func (r *Register) repeat(k Key, mine *held, round uint64, now time.Duration) (Word, bool) {
	left := time.Duration(0)
	if mine.Kind == Bad {
		left = mine.end - now
	}
	return r.own(k, Bad, round, left, now)
}

// Words returns every word that counts still, with the times that are left.
func (r *Register) Words(now time.Duration) []Word {
	words := make([]Word, 0, r.words)
	for _, e := range r.entries {
		for _, h := range e.words {
			if now < h.lapse {
				w := h.Word
				w.Left, w.Life, w.Closed = toMS(h.end-now), toMS(h.lapse-now), e.closed
				words = append(words, w)
			}
		}
	}
	return words
}

// Prune drops words that have lapsed, and entries without words.
func (r *Register) Prune(now time.Duration) {
	for k, e := range r.entries {
		before := len(e.words)
		maps.DeleteFunc(e.words, func(_ string, h held) bool { return now >= h.lapse })
		r.words -= before - len(e.words)
		if len(e.words) == 0 && !e.recover {
			delete(r.entries, k)
			if r.perSvc[k.Service]--; r.perSvc[k.Service] == 0 {
				delete(r.perSvc, k.Service)
			}
		}
	}
}

// Act is what a breaker is to do.
type Act uint8

const (
	Trip    Act = iota + 1 // stay open until a time
	Doubt                  // find out by probes
	Recover                // close
)

// Effect is one thing that this member's breaker is to do.
type Effect struct {
	Key
	Act    Act
	Until  time.Duration // of Trip
	Reason string
}

// slack is by how much a hold must move to be worth an event.
const slack = 20 * time.Millisecond

// Effect returns what this member's breaker is to do about an entry now, if anything. It
// returns it once, but a recovery until [Register.Recovered], [Register.Closed] or a trip
// comes. After one effect there can be another: a round is closed and the next one has begun.
func (r *Register) Effect(k Key, alive map[string]bool, now time.Duration) (effect Effect, ok bool) {
	e := r.entries[k]
	if e == nil {
		return Effect{}, false
	}
	if e.recover {
		return Effect{Key: k, Act: Recover, Reason: fmt.Sprintf("fleet: round %d is over", e.closed)}, true
	}
	d := r.Decide(k, alive, now)
	if !d.Agreed {
		return Effect{}, false
	}
	e.agreed = e.epoch()
	mine, spoke := e.words[r.me]
	if !spoke || !e.votes(&mine, now) {
		if e.exempt == e.epoch() || e.doubted == d.Round {
			return Effect{}, false
		}
		e.doubted = d.Round
		return Effect{Key: k, Act: Doubt, Reason: d.Reason()}, true
	}
	until := d.Release(r.me, k, r.set.Turn)
	if until <= now || e.holding && until-e.until < slack {
		return Effect{}, false
	}
	e.until, e.holding = until, true
	return Effect{Key: k, Act: Trip, Until: until, Reason: d.Reason()}, true
}

// Undone takes note that an effect was not done: it is due still, if the words say so then.
func (r *Register) Undone(effect *Effect) {
	e := r.entries[effect.Key]
	switch {
	case e == nil:
	case effect.Act == Doubt:
		e.doubted = 0
	case effect.Act == Trip:
		e.holding = false
	}
}

// maxNamed is how many members a reason names.
const maxNamed = 5

// Reason says who has tripped, as the log of transitions has it.
func (d *Decision) Reason() string {
	names := d.Voters
	more := ""
	if len(names) > maxNamed {
		more = fmt.Sprintf(" and %d more", len(names)-maxNamed)
		names = names[:maxNamed]
	}
	return fmt.Sprintf("fleet: %d of %d: %s%s", len(d.Voters), d.Alive, strings.Join(names, " "), more)
}

// Agreed returns the entries on which this member is a voter and the fleet agrees.
func (r *Register) Agreed(alive map[string]bool, now time.Duration) (keys []Key) {
	for k, e := range r.entries {
		if mine, ok := e.words[r.me]; ok && e.votes(&mine, now) && r.Decide(k, alive, now).Agreed {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.Service+a.Entry, b.Service+b.Entry) })
	return keys
}
