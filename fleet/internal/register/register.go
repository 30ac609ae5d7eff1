package register

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Settings of a register. The zero value of each field means its default.
type Settings struct {
	Quorum float64       // share of the members alive that must have tripped, default 0.3
	Word   time.Duration // after which a word lapses that is not said again, default 60 s
	Turn   time.Duration // between two members' chances to probe, default 500 ms
}

// Filled returns the settings with every default filled in.
func (s Settings) Filled() Settings {
	s.Quorum = cmp.Or(s.Quorum, 0.3)
	s.Word = cmp.Or(s.Word, time.Minute)
	s.Turn = cmp.Or(s.Turn, 500*time.Millisecond)
	return s
}

// Times of the protocol.
const (
	Claim     = time.Second      // for which others wait after a word that a probe is in flight
	claimSpan = 30 * time.Second // for which a member says so in one round
	maxRank   = 2                // all later voters take the turn after the second
	goodLife  = 10 * time.Minute // of a good word, which keeps the closed round in mind
)

// Bounds on what others can make a register hold.
// The second half of each is for members that are known to be alive.
const (
	MaxWords    = 16_384
	maxServices = 2048
	MaxEntries  = 64 // of one service
	maxPerEntry = 1024
)

// Register holds the last word of each member on each entry. Times are since a moment
// of the caller's choice, by a clock that never goes back.
type Register struct {
	me      string
	inc     int64
	ver     uint64
	set     Settings
	entries map[Key]*entry
	perSvc  map[string]int // entries of a service
	words   int
	refused uint64
}

// entry is one entry of one service.
type entry struct {
	words  map[string]held
	closed uint64 // highest round that is closed

	// What this member has done about it.
	agreed  uint64 // epoch in which the fleet agreed, see epoch
	exempt  uint64 // epoch in which own calls have closed the entry
	doubted uint64 // round of the last doubt
	until   time.Duration
	holding bool
	recover bool          // a recovery is due
	silent  bool          // own word is not said again: the entry has closed
	refuted bool          // a word of an earlier incarnation was taken back, and none knows
	claimed uint64        // round of the first claim
	since   time.Duration // when it was
}

// held is a word with its times as the register's clock has them.
type held struct {
	Word
	heard, end, lapse time.Duration
}

// round returns the highest round of words that count.
func (e *entry) round(now time.Duration) uint64 {
	round := e.closed
	for _, h := range e.words {
		if now < h.lapse {
			round = max(round, h.Round)
		}
	}
	return round
}

// counts reports whether a word has not lapsed.
func (e *entry) counts(now time.Duration) bool {
	for _, h := range e.words {
		if now < h.lapse {
			return true
		}
	}
	return false
}

// epoch numbers the time between two closed rounds.
func (e *entry) epoch() uint64 { return e.closed + 1 }

// New returns an empty register of a member. The incarnation orders words of a member
// that comes back under its name: it must be higher each time.
func New(me string, incarnation int64, set Settings) *Register {
	return &Register{me: me, inc: incarnation, set: set.Filled(), entries: map[Key]*entry{}, perSvc: map[string]int{}}
}

// Set puts new settings in force.
func (r *Register) Set(set Settings) { r.set = set.Filled() }

// Len returns how many words the register holds, and how many it had no room for.
func (r *Register) Len() (words int, refused uint64) { return r.words, r.refused }

// Keys returns the entries that there are words of.
func (r *Register) Keys() []Key {
	keys := make([]Key, 0, len(r.entries))
	for k := range r.entries {
		keys = append(keys, k)
	}
	return keys
}

// Hear takes in the word of another member. It reports whether the word is new, and
// whether anything follows from it: a word that is not new can say that a round is closed.
// alive says whether its member is known to be. A word of this member's name from before
// it was started is taken back: see [Register.Again].
func (r *Register) Hear(w Word, alive bool, now time.Duration) (fresh, changed bool) {
	if w.Check() != nil {
		return false, false
	}
	before := uint64(0)
	if e := r.entries[w.Key()]; e != nil {
		before = e.closed
	}
	if w.Member == r.me {
		if e := r.entries[w.Key()]; e != nil && w.Closed > e.closed {
			e.close(w.Closed, now)
		}
		r.refute(&w, now)
	} else {
		fresh = r.take(w, alive, now)
	}
	e := r.entries[w.Key()]
	return fresh, fresh || e != nil && e.closed > before
}

// take puts a word in its place.
func (r *Register) take(w Word, alive bool, now time.Duration) bool {
	e := r.entries[w.Key()]
	if e != nil {
		if w.Closed > e.closed { // of an old word too: it only grows
			e.close(w.Closed, now)
		}
		if old, ok := e.words[w.Member]; ok && !newer(&w, &old.Word) {
			return false
		}
	}
	if e = r.room(e, &w, alive); e == nil {
		r.refused++
		return false
	}
	e.closed = max(e.closed, w.Closed)
	if _, had := e.words[w.Member]; !had {
		r.words++
	}
	e.words[w.Member] = held{Word: w, heard: now, end: now + ms(w.Left, maxLeft), lapse: now + r.life(&w)}
	return true
}

func newer(w, old *Word) bool {
	return w.Incarnation > old.Incarnation || w.Incarnation == old.Incarnation && w.Version > old.Version
}

// life returns how long a word counts from now.
func (r *Register) life(w *Word) time.Duration {
	limit := r.set.Word
	if w.Kind == Good {
		limit = goodLife
	}
	return ms(w.Life, limit)
}

// room returns the entry for a word, or nil if there is no room for it.
func (r *Register) room(e *entry, w *Word, alive bool) *entry {
	known := e != nil
	if known {
		_, known = e.words[w.Member]
	}
	share := 1
	if !alive {
		share = 2
	}
	switch {
	case known:
		return e
	case r.words >= MaxWords/share:
		return nil
	case e != nil:
		if len(e.words) >= maxPerEntry/share {
			return nil
		}
		return e
	case r.perSvc[w.Service] >= MaxEntries/share, r.perSvc[w.Service] == 0 && len(r.perSvc) >= maxServices/share:
		return nil
	}
	e = &entry{words: map[string]held{}}
	r.entries[w.Key()] = e
	r.perSvc[w.Service]++
	return e
}

// close ends all rounds up to one. No recovery is due if the next one has begun.
func (e *entry) close(round uint64, now time.Duration) {
	was := e.agreed == e.epoch()
	e.closed = round
	if was && e.round(now) <= round {
		e.holding, e.recover = false, true
	}
}

// Decision is what follows from the words on an entry at one moment.
type Decision struct {
	Round, Closed uint64
	Alive         int
	Voters        []string // in the order of their names
	Agreed        bool
	End           time.Duration            // before which no voter may probe
	Claims        map[string]time.Duration // until when a voter that probes holds the others
}

// Decide returns what the words on an entry come to, for all members alike. alive are
// the members that are, this one included.
func (r *Register) Decide(k Key, alive map[string]bool, now time.Duration) Decision {
	e := r.entries[k]
	if e == nil {
		return Decision{Alive: len(alive)}
	}
	d := Decision{Round: e.round(now), Closed: e.closed, Alive: len(alive)}
	if !e.counts(now) {
		return Decision{Alive: len(alive)}
	}
	for m, h := range e.words {
		if !e.votes(&h, now) || !alive[m] {
			continue
		}
		d.Voters = append(d.Voters, m)
		switch {
		case h.Round != d.Round:
		case h.Kind == Bad:
			d.End = max(d.End, h.end)
		default:
			if d.Claims == nil {
				d.Claims = map[string]time.Duration{}
			}
			d.Claims[m] = min(h.heard+Claim, h.end)
		}
	}
	slices.Sort(d.Voters)
	d.Agreed = len(d.Voters) >= r.need(len(alive))
	return d
}

// votes reports whether a word is the vote of its member, if that is alive.
func (e *entry) votes(h *held, now time.Duration) bool {
	return h.Kind != Good && h.Round > e.closed && now < h.lapse
}

// need returns how many voters agree for all.
func (r *Register) need(alive int) int {
	return max(2, int(math.Ceil(r.set.Quorum*float64(alive)-1e-9)))
}

// Release returns until when a voter stays open: the end of the round, or of another's
// claim, and its turn after that.
func (d *Decision) Release(me string, k Key, turn time.Duration) time.Duration {
	end := d.End
	for m, until := range d.Claims {
		if m != me {
			end = max(end, until)
		}
	}
	return end + time.Duration(min(d.rank(me, k), maxRank))*turn
}

// rank returns a voter's place in the order of turns.
func (d *Decision) rank(me string, k Key) (rank int) {
	own := order(me, k, d.Round)
	for _, m := range d.Voters {
		if o := order(m, k, d.Round); m != me && (o < own || o == own && m < me) {
			rank++
		}
	}
	return rank
}

// order mixes a name, an entry and a round: FNV-1a, and the finish of MurmurHash3.
func order(member string, k Key, round uint64) uint64 {
	x := uint64(14695981039346656037)
	for _, s := range [...]string{member, "\x00", k.Service, "\x00", k.Entry} {
		for i := range len(s) {
			x = (x ^ uint64(s[i])) * 1099511628211
		}
	}
	x ^= round * 0x9E3779B97F4A7C15
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}
