// Package addresses gives a process an address of its own: a queue, its inbox, by which
// other processes reach it. It carries answers to questions, and notices about executions
// that may be anywhere.
//
//	at := addresses.New(addresses.Config{Prefix: task.InboxPrefix("mailer-tasks"), System: system, ...})
//	pid, err := guardian.Spawn(at.Props(), addresses.Name)
//	...
//	answer, err := at.Ask(ctx, func(ctx context.Context, reply string) (execID string, err error) {
//		return send(ctx, task.AskedBy(reply))
//	})
//
// # The inbox
//
// It is made at the first question, or at the start of a process that takes notices, and
// removed at the stop. Its name is that of the pool, -inbox- and a random id, so others of
// the pool find it by its prefix. A message on it is a [task.Letter].
//
// # Orphans
//
// A process that is killed leaves its inbox behind. Each process that has an inbox, or has
// answered lately, looks every [sweepEvery] at the two next ones that live, in the order of
// their names, and at the dead before them. A look is a receive that hides nothing, as the
// attribute VisibilityTimeout of an inbox is 0. An empty inbox gets a ping, which its owner
// deletes. An inbox with a message that has been lying there for [deadAfter], by the clock of
// the queue service, has no owner that receives: after a second look it is deleted. No clock
// of a process takes part, and an owner that idles does nothing. An owner that was suspended
// for longer finds its inbox gone, ends its questions with [ErrInboxLost] and makes another.
//
// # Protocol
//
// All messages are of the package; users call [Addresses.Ask] and [Addresses.Post]. Any
// message of another type is answered with *actors.Unhandled.
//
// # Ownership and concurrency
//
// The actor owns the questions that wait, the inbox and the notices that still hold. What
// asks the queue runs in goroutines of its own, and comes back as a message. No lock is held
// over a question. What must outlive a restart of the actor is in core. All methods of
// Addresses are safe from any goroutine.
//
// # Debugging and testing
//
// [Addresses.Stats] has what was asked, answered, dropped and swept. Tests run several of these
// on one embedded queue in a testing/synctest bubble.
package addresses
