package register

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const second = time.Second

var mail = Key{"https://mail.internal", "/v1"}

// living returns the members n1 to n.
func living(n int) map[string]bool {
	alive := map[string]bool{}
	for i := range n {
		alive[fmt.Sprintf("n%d", i+1)] = true
	}
	return alive
}

func bad(member string, version, round uint64, left time.Duration) Word {
	return Word{Member: member, Incarnation: 1, Version: version, Service: mail.Service, Entry: mail.Entry,
		Kind: Bad, Round: round, Left: left.Milliseconds(), Life: 60_000}
}

func TestAQuorumAgreesAndTheDeadDoNotVote(t *testing.T) {
	for _, x := range []struct {
		alive, voters int
		quorum        float64
		agreed        bool
	}{
		{10, 2, 0, false}, {10, 3, 0, true}, {2, 1, 0, false}, {2, 2, 0, true}, {1, 1, 0, false},
		{3, 2, 0, true}, {10, 5, 0.5, true}, {10, 4, 0.5, false}, {100, 29, 0, false}, {100, 30, 0, true},
	} {
		r := New("n1", 1, Settings{Quorum: x.quorum})
		for i := range x.voters {
			r.Hear(bad(fmt.Sprintf("n%d", i+2), 1, 1, 10*second), true, 0)
		}
		r.Hear(bad("stranger", 1, 1, 10*second), true, 0)
		alive := living(x.alive)
		for i := range x.voters {
			alive[fmt.Sprintf("n%d", i+2)] = true
		}
		if x.voters < x.alive {
			if d := r.Decide(mail, alive, second); d.Agreed != x.agreed || len(d.Voters) != x.voters {
				t.Errorf("%+v: %+v", x, d)
			}
		}
		if d := r.Decide(mail, alive, 61*second); d.Agreed {
			t.Errorf("%+v: words that have lapsed agree", x)
		}
	}
}

func TestAnOldWordChangesNothing(t *testing.T) {
	r := New("n1", 1, Settings{})
	if fresh, changed := r.Hear(bad("n2", 5, 1, second), true, 0); !fresh || !changed {
		t.Fatal("a first word was not fresh")
	}
	for _, w := range []Word{bad("n2", 5, 9, second), bad("n2", 4, 9, second), bad("n1", 9, 9, second)} {
		if fresh, changed := r.Hear(w, true, 0); fresh || changed {
			t.Errorf("%+v was taken", w)
		}
	}
	next := bad("n2", 1, 2, second)
	next.Incarnation = 2
	if fresh, _ := r.Hear(next, true, 0); !fresh {
		t.Error("a word of the next incarnation was refused")
	}
	if words, _ := r.Len(); words != 1 {
		t.Error(words)
	}
}

// drive gives one member the words of two others that have tripped, of ten.
func drive(t *testing.T) (*Register, map[string]bool) {
	t.Helper()
	r, alive := New("n1", 1, Settings{}), living(10)
	r.Hear(bad("n2", 1, 1, 10*second), true, 0)
	if _, ok := r.Effect(mail, alive, 0); ok {
		t.Fatal("one voter of ten has an effect")
	}
	r.Hear(bad("n3", 1, 1, 8*second), true, 0)
	return r, alive
}

func TestAVoterWaitsForTheRoundAndItsTurn(t *testing.T) {
	r, alive := drive(t)
	if _, ok := r.Effect(mail, alive, 0); ok {
		t.Fatal("two voters of ten have an effect")
	}
	w, ok := r.Tripped(mail, 4*second, false, alive, 0)
	if !ok || w.Round != 1 || w.Left != 4000 || w.Kind != Bad {
		t.Fatalf("%+v", w)
	}
	d := r.Decide(mail, alive, 0)
	e, ok := r.Effect(mail, alive, 0)
	turn := time.Duration(min(2, d.rank("n1", mail))) * 500 * time.Millisecond
	if !ok || e.Act != Trip || e.Until != 10*second+turn || e.Reason != "fleet: 3 of 10: n1 n2 n3" {
		t.Fatalf("%+v, turn %v", e, turn)
	}
	if _, ok := r.Effect(mail, alive, 0); ok {
		t.Error("the same effect comes twice")
	}
	claim := bad("n2", 2, 1, claimSpan)
	claim.Kind = Probing
	r.Hear(claim, true, 11*second)
	if e, ok = r.Effect(mail, alive, 11*second); !ok || e.Until != 12*second+turn {
		t.Errorf("a probe of another does not hold: %+v %v", e, ok)
	}
	ranks := map[int]bool{}
	for _, m := range d.Voters {
		ranks[d.rank(m, mail)] = true
	}
	if len(ranks) != 3 {
		t.Errorf("two voters have one turn: %v", ranks)
	}
}

func TestOneThatSawNoFailureDoubtsOnceAndIsLeftAlone(t *testing.T) {
	r, alive := drive(t)
	r.Hear(bad("n4", 1, 1, 8*second), true, 0)
	e, ok := r.Effect(mail, alive, 0)
	if !ok || e.Act != Doubt {
		t.Fatalf("%+v", e)
	}
	if e, ok = r.Effect(mail, alive, 0); ok {
		t.Fatalf("a second doubt in a round: %+v", e)
	}
	if w, ok := r.Closed(mail, ByProbes, second); ok {
		t.Fatalf("one that never saw it fail says that it works: %+v", w)
	}
	r.Hear(bad("n4", 2, 2, 8*second), true, 9*second)
	if e, ok = r.Effect(mail, alive, 9*second); ok {
		t.Fatalf("one that found out for itself is not left alone: %+v", e)
	}
	good := Word{Member: "n4", Incarnation: 1, Version: 3, Service: mail.Service, Entry: mail.Entry, Kind: Good,
		Round: 2, Closed: 2, Life: 600_000}
	r.Hear(good, true, 10*second)
	if e, ok = r.Effect(mail, alive, 10*second); !ok || e.Act != Recover {
		t.Fatalf("%+v", e)
	}
	r.Recovered(mail)
	for i, m := range []string{"n2", "n3", "n4"} {
		r.Hear(bad(m, uint64(10+i), 3, 8*second), true, 20*second)
	}
	if e, ok = r.Effect(mail, alive, 20*second); !ok || e.Act != Doubt {
		t.Fatalf("no doubt in the next outage: %+v", e)
	}
}

func TestAFailedProbeBeginsTheNextRound(t *testing.T) {
	r, alive := drive(t)
	r.Tripped(mail, 10*second, false, alive, 0)
	w, ok := r.Probing(mail, alive, 11*second)
	if !ok || w.Kind != Probing || w.Round != 1 {
		t.Fatalf("%+v", w)
	}
	if w, ok = r.Tripped(mail, 10*second, true, alive, 12*second); !ok || w.Round != 2 {
		t.Fatalf("%+v", w)
	}
	w, ok = r.Closed(mail, ByProbes, 23*second)
	if !ok || w.Kind != Good || w.Closed != 2 {
		t.Fatalf("%+v", w)
	}
	if d := r.Decide(mail, alive, 23*second); d.Agreed || len(d.Voters) != 0 {
		t.Errorf("a round that is closed has voters: %+v", d)
	}
	if e, ok := r.Effect(mail, alive, 23*second); ok {
		t.Errorf("the one that closed is to do something: %+v", e)
	}
}

// good is the word of a member that has seen the service work.
func good(member string, version, closed uint64) Word {
	return Word{Member: member, Incarnation: 1, Version: version, Service: mail.Service, Entry: mail.Entry, Kind: Good,
		Round: closed, Closed: closed, Life: 600_000}
}

// TestALateWordUndoesNoLaterTrip: a member doubts, its own calls close its entry, and it
// trips again before it hears that the round of its doubt is closed.
func TestALateWordUndoesNoLaterTrip(t *testing.T) {
	for _, way := range []Way{ByProbes, ByOperator} {
		r, alive := drive(t)
		r.Hear(bad("n4", 1, 1, 8*second), true, 0)
		if way == ByOperator {
			r.Tripped(mail, 8*second, false, alive, 0)
		}
		r.Effect(mail, alive, 0)
		r.Closed(mail, way, second)
		w, ok := r.Tripped(mail, 10*second, false, alive, 2*second)
		if !ok || w.Round != 2 {
			t.Fatalf("%d: a trip after its own closing is of the round that it closed for itself: %+v", way, w)
		}
		r.Hear(good("n4", 2, 1), true, 2*second)
		if e, ok := r.Effect(mail, alive, 2*second); ok {
			t.Errorf("%d: a word of the round before does something to a later trip: %+v", way, e)
		}
		if d := r.Decide(mail, alive, 2*second); len(d.Voters) != 1 || d.Voters[0] != "n1" {
			t.Errorf("%d: the later trip is no vote: %+v", way, d)
		}
		r.Hear(good("n4", 3, 2), true, 3*second) // n4 has heard of the trip, and then seen it work
		if d := r.Decide(mail, alive, 3*second); len(d.Voters) != 0 {
			t.Errorf("%d: a newer word does not close it: %+v", way, d)
		}
	}
}

// TestAWordThatWasOvertakenIsSaidAtOnce: a member trips before it hears that the rounds of
// others are closed.
func TestAWordThatWasOvertakenIsSaidAtOnce(t *testing.T) {
	r, alive := New("n1", 1, Settings{}), living(10)
	if _, ok := r.Overtaken(mail, 0); ok {
		t.Fatal("a word that was never said")
	}
	r.Tripped(mail, 10*second, false, alive, 0)
	if _, ok := r.Overtaken(mail, 0); ok {
		t.Fatal("a word of a round that is not closed")
	}
	r.Hear(good("n2", 1, 7), true, second)
	if w, ok := r.Overtaken(mail, second); !ok || w.Round != 8 || w.Kind != Bad || w.Left != 9000 {
		t.Fatalf("%+v %v", w, ok)
	}
	if _, ok := r.Overtaken(mail, second); ok {
		t.Fatal("said twice")
	}
	r.Closed(mail, ByProbes, 2*second)
	r.Hear(good("n2", 2, 20), true, 2*second)
	if _, ok := r.Overtaken(mail, 2*second); ok {
		t.Error("the word of an entry that has closed")
	}
}

// TestAKnownWordCanCloseARound: what a member tells of others says what it knows itself.
func TestAKnownWordCanCloseARound(t *testing.T) {
	r, alive := drive(t)
	r.Hear(bad("n4", 1, 1, 8*second), true, 0)
	r.Effect(mail, alive, 0)
	w := bad("n4", 1, 1, 8*second)
	w.Closed = 1
	if fresh, changed := r.Hear(w, true, second); fresh || !changed {
		t.Fatalf("fresh %v, changed %v", fresh, changed)
	}
	if e, ok := r.Effect(mail, alive, second); !ok || e.Act != Recover {
		t.Errorf("%+v", e)
	}
}

// TestADoubtFollowsARecovery: both come in one look if words of two rounds come at once.
func TestADoubtFollowsARecovery(t *testing.T) {
	r, alive := drive(t)
	r.Hear(bad("n4", 1, 1, 8*second), true, 0)
	r.Effect(mail, alive, 0)
	r.Hear(good("n5", 1, 1), true, second)
	for i, m := range []string{"n2", "n3", "n4"} {
		w := bad(m, uint64(5+i), 2, 8*second)
		w.Closed = 1
		r.Hear(w, true, second)
	}
	if e, ok := r.Effect(mail, alive, second); !ok || e.Act != Recover {
		t.Fatalf("%+v", e)
	}
	r.Recovered(mail)
	e, ok := r.Effect(mail, alive, second)
	if !ok || e.Act != Doubt {
		t.Fatalf("%+v", e)
	}
	r.Undone(&e)
	if e, ok = r.Effect(mail, alive, second); !ok || e.Act != Doubt {
		t.Errorf("a doubt that was not done is forgotten: %+v", e)
	}
	if e, ok = r.Effect(mail, alive, second); ok {
		t.Errorf("then there is more: %+v", e)
	}
}

// TestAProberThatNeverEndsHoldsNobodyForever: its words are limited in time.
func TestAProberThatNeverEndsHoldsNobodyForever(t *testing.T) {
	r, alive := drive(t)
	r.Tripped(mail, 10*second, false, alive, 0)
	said := 0
	for now := 10 * second; now < 100*second; now += 200 * time.Millisecond {
		r.Hear(bad("n2", uint64(now), 1, 0), true, now)
		r.Hear(bad("n3", uint64(now), 1, 0), true, now)
		if w, ok := r.Probing(mail, alive, now); ok {
			said++
			if w.Left <= 0 || w.Left > claimSpan.Milliseconds() {
				t.Fatalf("%+v", w)
			}
		}
	}
	if said != int(claimSpan/(200*time.Millisecond)) {
		t.Errorf("%d words", said)
	}
}

func TestAPlainLocalBreakerGoesOnBesideAClosedRound(t *testing.T) {
	r, alive := New("n1", 1, Settings{}), living(10)
	r.Tripped(mail, 10*second, false, alive, 0)
	good := Word{Member: "n2", Incarnation: 1, Version: 3, Service: mail.Service, Entry: mail.Entry, Kind: Good,
		Round: 1, Closed: 7, Life: 600_000}
	r.Hear(good, true, second)
	if e, ok := r.Effect(mail, alive, second); ok {
		t.Fatalf("a fleet that never agreed moves a breaker: %+v", e)
	}
	words := r.Again(second)
	if len(words) != 1 || words[0].Round != 8 || words[0].Left != 9000 {
		t.Fatalf("the member's own trip is not said in the next round: %+v", words)
	}
	if words = r.Again(2 * second); len(words) != 0 {
		t.Errorf("said again at once: %+v", words)
	}
	if words = r.Again(25 * second); len(words) != 1 {
		t.Errorf("not said again before it lapses: %+v", words)
	}
	if _, ok := r.Closed(mail, ByOperator, 26*second); !ok {
		t.Error("a vote that an operator took back is not said")
	}
	if words = r.Again(80 * second); len(words) != 0 {
		t.Errorf("a closed entry is said: %+v", words)
	}
}

// TestAMemberThatSleptPastItsWordDoesNotSayItAgain: a process that was suspended closes
// its entry after its own word has lapsed.
func TestAMemberThatSleptPastItsWordDoesNotSayItAgain(t *testing.T) {
	r, alive := New("n1", 1, Settings{}), living(10)
	r.Tripped(mail, 10*second, false, alive, 0)
	r.Closed(mail, ByProbes, 70*second)
	if words := r.Again(71 * second); len(words) != 0 {
		t.Errorf("a closed entry is said to be bad: %+v", words)
	}
}

func TestStrangersFillNothing(t *testing.T) {
	r, alive := New("n1", 1, Settings{}), living(3)
	for i := range scaled(100_000, 1_000_000) {
		w := bad(fmt.Sprintf("x%d", i), 1, 1, second)
		w.Service = fmt.Sprintf("https://h%d.internal", i%5000)
		w.Entry = fmt.Sprintf("/p%d", i%1000)
		r.Hear(w, false, 0)
	}
	words, refused := r.Len()
	if words > MaxWords/2 || refused == 0 {
		t.Errorf("%d words, %d refused", words, refused)
	}
	r.Hear(bad("n2", 1, 1, second), true, 0)
	if _, ok := r.Tripped(mail, second, false, alive, 0); !ok {
		t.Error("a flood of strangers leaves no room for members")
	}
	if d := r.Decide(mail, alive, 0); !d.Agreed {
		t.Errorf("%+v", d)
	}
	r.Prune(11 * time.Minute)
	if words, _ := r.Len(); words != 0 || len(r.entries) != 0 || len(r.perSvc) != 0 {
		t.Errorf("%d words, %d entries, %d services are left", words, len(r.entries), len(r.perSvc))
	}
}

func TestAWordOfAStrangerIsChecked(t *testing.T) {
	fine := bad("n2", 1, 1, second)
	if err := fine.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Word){
		"no member":       func(w *Word) { w.Member = "" },
		"long member":     func(w *Word) { w.Member = strings.Repeat("x", MaxName+1) },
		"control":         func(w *Word) { w.Member = "a\nb" },
		"not UTF-8":       func(w *Word) { w.Service = "\xff" },
		"no service":      func(w *Word) { w.Service = "" },
		"long entry":      func(w *Word) { w.Entry = "/" + strings.Repeat("x", maxKey) },
		"no slash":        func(w *Word) { w.Entry = "v1" },
		"a slash":         func(w *Word) { w.Entry = "/v1/" },
		"kind":            func(w *Word) { w.Kind = 77 },
		"no round":        func(w *Word) { w.Round = 0 },
		"round":           func(w *Word) { w.Round = 1 << 60 },
		"closed":          func(w *Word) { w.Closed = 1 << 60 },
		"version":         func(w *Word) { w.Version = 1 << 63 },
		"incarnation":     func(w *Word) { w.Incarnation = -1 },
		"negative time":   func(w *Word) { w.Left = -1 },
		"negative life":   func(w *Word) { w.Life = -5 },
		"huge but served": func(w *Word) { w.Left, w.Life = 1<<62, 1<<62; w.Kind = 0 },
	} {
		w := fine
		spoil(&w)
		fresh, changed := New("n1", 1, Settings{}).Hear(w, true, 0)
		if w.Check() == nil || fresh || changed {
			t.Errorf("%s: %+v was taken", name, w)
		}
	}
	r := New("n1", 1, Settings{})
	w := fine
	w.Left, w.Life = 1<<62, 1<<62
	r.Hear(w, true, 0)
	if got := r.Words(0); got[0].Left != maxLeft.Milliseconds() || got[0].Life != 60_000 {
		t.Errorf("a stranger's times are not bounded: %+v", got)
	}
}

func TestReasonsNameAFew(t *testing.T) {
	d := Decision{Alive: 10, Voters: []string{"n1", "n2", "n3", "n4", "n5", "n6", "n7"}}
	if got := d.Reason(); got != "fleet: 7 of 10: n1 n2 n3 n4 n5 and 2 more" {
		t.Error(got)
	}
	if !slices.IsSorted(d.Voters) {
		t.Error("a reason changed the voters")
	}
}
