// Package register is what a member of a fleet knows of the breakers of all: the last
// word of each member on each entry, and what follows from them. It is pure. Words and
// times go in, decisions come out; no clock, no network, no goroutine.
//
//	r := register.New("n1", 1, register.Settings{})
//	w, ok := r.Tripped(key, 10*time.Second, false, alive, now) // to be sent to the others
//	r.Hear(theirs, true, now)
//	d := r.Decide(key, alive, now)      // voters, round, end
//	e, ok := r.Effect(key, alive, now)  // what this member's breaker is to do
//
// # Words
//
// A word is one member's state of one entry: bad (it has tripped), probing (it is
// finding out whether the service works) or good. Each word takes the place of the
// member's word before it, by incarnation and version, so words may be lost, doubled
// and out of order: members that have heard the same last words decide alike. A time in
// a word is what is left of it. No wall clock crosses the wire.
//
// # Rounds
//
// A round begins with the first trip and ends when a member that has tripped sees the
// service work: that member's word says the highest round that is closed. A probe that
// fails begins the next round. Words of rounds that are closed no longer count.
//
// A member is a voter while its word is bad or probing, of a round that is not closed,
// has not lapsed, and the member is alive. The fleet agrees once there are
// max(2, quorum·alive) voters. Then each member decides for itself:
//
//   - A voter stays open until the round's end and for its turn after that. Voters take
//     turns in an order that their names and the round give, so there is no leader. While
//     another says that it is probing, a voter waits until a second after its last word.
//   - Any other member doubts: its closed entry becomes half-open and finds out for
//     itself. Once its own calls have closed the entry it is left alone until the round
//     is closed.
//   - All recover once the round is closed.
//
// A Register is not safe for several goroutines: an actor owns it.
package register
