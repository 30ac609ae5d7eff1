// Package poller is the conversation with one SQS queue: it receives what its
// subscriber has room for, keeps every lease, and deletes or releases what was
// settled. Nothing else touches a receipt handle.
//
//	url, err := poller.EnsureQueue(ctx, client, "mailer-tasks", poller.EnsureOptions{Create: true})
//	...
//	p, err := poller.New(poller.Config{Client: client, QueueURL: url, Logger: logger})
//	...
//	pid := system.Root.Spawn(p.Props())
//	system.Root.Send(pid, &poller.Subscribe{To: self})
//	system.Root.Send(pid, &poller.Want{Credits: 100})
//
// The subscriber then gets a [Delivered] for each message and answers it with
// a [Settle], and that with a [Settled]. [Sender] sends, to any queue.
//
// # What it promises
//
//   - It receives no more than is wanted, with several receives under way
//     while they come back full, one long poll while there is nothing to do,
//     and none while nothing is wanted.
//   - A receive that is under way is never aborted: SQS would hide its messages
//     from all consumers. A [Drain] lets it end.
//   - A lease is extended in good time, at 5/8 of its length or earlier if a
//     request for others has room, until it is settled. If that fails it is
//     tried again, faster as the end comes near; a lease that cannot be kept is
//     [LeaseLost] a little before it ends. A message with too little of its lease
//     left to start on is extended before it is handed over.
//   - Deletes and releases share requests; entries that fail are tried again,
//     one by one, as long as the lease holds.
//   - It survives every error of the queue, with back-off and jitter.
//
// # Protocol
//
// To a poller, as pointers or as values. The answer is a pointer, and goes to the
// sender of a request, or to the subscriber if it has none:
//
//	message        answer      when
//	Subscribe      *Delivered  for each credit, as messages come
//	Want           -
//	Settle         *Settled    the queue has answered, or it was given up; to the subscriber
//	Lengthen       -
//	Pause          -
//	Resume         -
//	Drain          *Drained    no receive is under way
//	Count          *Counted    the queue has answered
//	Look           *QueueRead  the queue's attributes were read, or have changed; to the subscriber
//	Flush          *Flushed    what was settled before is done
//	Inspect        *Stats      at once
//	InspectLeases  on Reply    at once
//	others         *actors.Unhandled
//
// The subscriber also gets *LeaseLost, *LeaseExpiring and *Slept.
//
// # State
//
// The actor alone owns the leases, the demand and the requests that are under
// way. The pure parts are ledger (leases), settlement (how one ends), demand
// (receives) and batch (who shares a request); they know neither time nor network.
// Requests run in goroutines, have copies of what they need, and come back as
// messages. Neither a drain nor a stop of the subscriber cancels their ctx.
// All of it survives a restart of the actor and, with [Config.Permanent], a stop
// before its Drain.
//
// # Several goroutines
//
// [Poller.Stats] and all of [Sender] are safe for use from several goroutines;
// everything else is a message.
//
// # Debugging
//
// [Poller.Stats], or [Inspect] by message, shows the counts, the demand, the
// leases, the oldest of them and the last error. A lease that is lost and a
// request that failed are logged at WARN.
//
// # Testing
//
// Use the embedded queue: its HTTP client, given to sqsclient.New, makes the
// same client that production has. The package's own tests put faults into
// that HTTP client and run in synctest's simulated time.
package poller
