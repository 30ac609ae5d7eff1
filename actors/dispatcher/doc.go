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
// The failure budget counts, for one message, the failures that it carries, the
// earlier receives of this copy, each of which ended in a failure or in a crash,
// and the failures of this delivery. It is given back by its visibility time-out
// after the first and only failure of a delivery, for then SQS's receive count
// says the truth, and by a fresh copy that carries the count in all other cases.
// decide in budget.go is the whole rule.
//
// On FIFO pools there are no copies, for they would change the order: a failing
// head waits in place with its lease kept, at whatever length SQS allows, and is
// hidden where it cannot (a drain). There a drain may therefore cost a message
// one failure.
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
