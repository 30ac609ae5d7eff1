// Package dispatcher runs the tasks of one pool. It takes the messages that the
// pool's poller delivers, runs each in a supervised child actor of its own, and
// settles it at the poller.
//
//	mon := dispatcher.NewMonitor()
//	props, err := dispatcher.New(dispatcher.Config{
//		Pool: "mailer", Poller: pollerPID, Settings: settings, Logger: log, Monitor: mon,
//	})
//	pid := system.Root.Spawn(props)
//	client := dispatcher.NewClient(system, pid)
//	_, err = client.Register(ctx, Welcome.Spec(), task.Erase(welcome))
//	...
//	_, err = client.Drain(ctx, time.Now().Add(20*time.Second))
//
// # A message's way
//
//	Delivered → decode → its time come? → slot → child: Execute → answer
//	     done                        → deleted
//	     failure, budget left        → waits in place (30 s or less), or is given back
//	     failure, budget spent       → on_fail task or dead letter, then deleted
//	     snooze, open breaker, drain → as after a failure, but nothing is spent
//
// The failure budget counts failures, which are written on the message, and apart
// from them silent ends: deliveries that ended without an answer. On a standard pool
// a message is given back in one way only, by a fresh copy that carries both; it
// is hidden only while it is postponed and has not run. Therefore a receive beyond the
// first of a copy that is due is a silent end, as far as the time that has passed
// allows one. The pure rules are decide (budget.go), schedule (schedule.go),
// silentEnds and suspect (suspects.go) and CheckKept (queues.go).
//
// On FIFO pools there are no copies, for they would change the order: a failing
// head waits in place with its lease kept, or hidden; what SQS cannot hide or keep
// for so long becomes a dead letter, and its group goes on behind it.
//
// Words: hold (wait in place), hide (by the visibility time-out), copy, postpone
// (before its time), renew (a copy marked due), give up, silent end, suspect (two
// silent ends in a row), isolated (with no other suspect in the process).
//
// # Task actors
//
// A function is run by an actor of ours, in a goroutine of its own, so that a
// handler that hangs or calls runtime.Goexit leaves its actor able to stop. It has no
// state: it ends with a failure, and serves the next attempt after any other answer. A
// user's own actor is spawned from its props, and lives for one attempt:
//
//	spawned ── Started ── Execute ── … ── answer, panic, Stop, Deadline ── Stopping ── Stopped
//	        the attempt is under way                                   it is over
//
// When the attempt ends, its actor and its children are stopped at once. The next
// attempt, after its wait, has an actor of its own, with a new PID and
// fresh state. No actor of an execution lives while it waits.
//
// All that the props bring along runs away from the dispatcher: the producer, a
// mailbox, a spawn function, Proto.Actor's dispatcher, middleware. A panic in any
// message before the answer is one failure, with its stack. One while the actor
// stops is logged and goes no further. What has not ended abandon_after after its
// Stop is abandoned: nothing waits for it.
//
// An Execute of an attempt that is over does nothing when it comes back: from a
// stash, by a forward, or sent again. A task actor that neither answers nor gets
// a message nor has children counts as stalled after a minute, and without a
// Deadline its attempt ends after [SilenceLimit].
//
// # Protocol
//
// To a task actor, and from it:
//
//	message   from            answer
//	*Execute  the dispatcher  Done, *Done: it is done
//	                          Failed, *Failed, an error: how it ended, as of a function's error
//	                          anything else: one failure
//
// The answer may come from any actor that has the Execute; the first one counts,
// and goes to its sender. Without an answer the attempt ends by a panic, the end of
// the actor, or its ctx.
//
// To a dispatcher, as pointers or as values. The answer is a pointer, and goes to
// the sender of a request:
//
//	message          answer        when
//	Register         *Registered   its middleware is built and the task is known
//	Pause            *Controlled   at once
//	Resume           *Controlled   at once
//	Resize           *Controlled   at once
//	CancelExecution  *Controlled   at once; what runs has its ctx cancelled
//	SnoozeExecution  *Controlled   at once; what runs has its ctx cancelled
//	Inspect          *Executions   at once
//	GetStats         *Stats        at once
//	Subscribe        *Controlled   at once; then an *Event for each credit
//	Unsubscribe      *Controlled   at once
//	Drain            *Drained      all is settled, and no task actor stops any more
//	others           *actors.Unhandled
//
// From the poller it takes Delivered, Settled, LeaseLost, LeaseExpiring, Counted,
// Drained and Flushed; from the keeper of shares Granted, Reserved and Claimed.
//
// A slow subscriber costs the dispatcher nothing: without a credit an event is
// dropped, and the next one says how many were Missed.
//
// # Ownership and concurrency
//
// The dispatcher actor owns the registry, the slots and all executions; leases
// belong to the poller. [Monitor] and [Client] are safe from any goroutine, and
// reading a monitor costs the actor nothing. A restart of the dispatcher keeps
// the registry and subscribes again. The poller then releases what was held, and the
// task actors under way are stopped. With [Config.Permanent] it also comes back
// when it is stopped before its Drain.
//
// # Files
//
//	the actor          dispatcher (Receive, restarts), config, messages, client, registration,
//	                   control (an operator's commands), drain, errors, settings
//	a message arrives  deliver, schedule (its time), suspects, memory (it came back),
//	                   unknown (its task is not here), fifo (its group)
//	its turn           start (the queue for slots), parking and throttle (limited or paused tasks),
//	                   demand and turnover (what the poller is asked for), shares (other pools)
//	an attempt         execution, attempt, child, taskactor, crew, departures (actors that stop),
//	                   interrupt (deadlines and abandonment), stall
//	its end            outcome, conclude, budget, settle, giveback, queues (what they keep and take),
//	                   steps (what a copy carries of them)
//	what can be seen   events, subscriber, monitor, stats, histogram, spans
//
// # Debugging and testing
//
// [Monitor.Stats] has the numbers, [Client.Inspect] what is held now,
// [Monitor.Events] delivers all that happens in order. An abandoned handler's stack
// is in the log. In tests give an attempt's ctx by task.WithInfo; for a dispatcher
// in a synctest bubble see this package's own tests, which script the poller.
package dispatcher
