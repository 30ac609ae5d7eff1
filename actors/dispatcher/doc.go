// Package dispatcher runs the tasks of one pool: it takes the messages that the
// pool's poller delivers, runs each in a supervised child actor of its own, and
// tells the poller how each is to be settled.
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
// from them silent ends: deliveries that ended without a word. On a standard pool
// a message is given back in one way only, by a fresh copy that carries both; it
// is hidden only while it is postponed and has not run. So a receive beyond the
// first of a copy that is due is a silent end, as far as the time that has passed
// allows one. The pure rules are decide (budget.go), schedule (schedule.go),
// silentEnds and suspect (suspects.go) and CheckKept (limits.go).
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
// handler that hangs or calls runtime.Goexit leaves its actor able to stop. A
// user's own actor receives [*Execute] as a request and answers with [Done] or
// an error, itself or through another actor; a panic is a failure as well, after
// which it is restarted and asked anew.
//
// # Ownership and concurrency
//
// The dispatcher actor owns the registry, the slots and all executions; leases
// belong to the poller. [Monitor] and [Client] are safe from any goroutine, and
// reading a monitor costs the actor nothing. A restart of the dispatcher keeps
// the registry and subscribes anew, upon which the poller releases what was held.
//
// # Debugging and testing
//
// [Monitor.Stats] has the numbers, [Client.Inspect] what is held now,
// [Monitor.Events] tells all that happens in order. An abandoned handler's stack
// is in the log. In tests give an attempt's ctx by task.WithInfo; for a dispatcher
// in a synctest bubble see this package's own tests, which script the poller.
package dispatcher
