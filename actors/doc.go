// Package actors holds what a program needs to talk to actors from outside of
// them: a typed question, and the answer of an actor that does not know a
// message.
//
//	state, err := actors.Ask[*breaker.Snapshot](ctx, sys.Actors(), mail.PID(), &breaker.GetSnapshot{})
//	var unknown *actors.Unhandled
//	switch {
//	case errors.As(err, &unknown): // the actor does not take this message
//	case errors.Is(err, actors.ErrDeadLetter): // no actor has this address: nothing was done
//	case errors.Is(err, actors.ErrStopped): // the actor stopped first: it may have done the work
//	case err != nil: // ctx ended first
//	}
//
// An actor answers a message that it does not know by [Refuse], as the last
// case of its Receive:
//
//	default:
//		if actors.Refuse(c, "takes *Reserve and *Release") {
//			log.Warn("unknown message", "type", fmt.Sprintf("%T", c.Message()))
//		}
//
// # Who owns what
//
// A question owns an address of its own until [Ask] returns. It is no actor:
// it has no mailbox, no parent and no goroutine.
//
// # Goroutines
//
// All functions may be called from several goroutines, but Ask not from the
// Receive of an actor that others wait for: it blocks. An actor asks another
// one by c.Request, and gets the answer as a message.
//
// # Debugging and tests
//
// An error names the address and the types. Ask works in a testing/synctest
// bubble; package chassistest has a Probe that stands for the actor that is
// asked.
package actors
