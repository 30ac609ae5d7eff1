// Package inline has a mailbox that runs its actor on the goroutine that posts
// to it, one message at a time. It is for actors that work for less than a
// microsecond and never wait: there a goroutine for each turn costs more than the
// work.
//
//	props := actor.PropsFromProducer(producer, actor.WithMailbox(inline.New))
//
// It differs from Proto.Actor's synchronized dispatcher:
//
//   - It takes messages before the actor is ready, and keeps them until it is.
//   - A goroutine that posts runs a bounded number of messages of others. The
//     rest runs on a goroutine of its own, which ends when the mailbox is empty.
//   - It suspends itself when the actor panics, until the restart is done. A
//     SuspendMailbox that is posted has no effect, and neither have nil and forged
//     messages of an actor's life.
//   - An actor may learn of user messages that it never gets or never finishes,
//     by [Mailbox.Before] and [Mailbox.After], and turn a Stop into a restart, by
//     [Mailbox.Stays].
//
// One actor owns one mailbox. All methods but [Mailbox.Close] may be called from
// several goroutines; the hooks and Close run on the goroutine that runs the actor.
package inline
