// Package lifecycle makes the crashes of actors visible: those of the service's
// own actors as well as those of the chassis. Proto.Actor reports them at INFO,
// without a stack, and does not say when an actor is stopped for good.
//
//	watch := lifecycle.New(lifecycle.Config{Logger: log})
//	config := actor.Configure(opts...)
//	config.LoggerFactory = watch.Factory(config.LoggerFactory)
//	system := actor.NewActorSystemWithConfig(config)
//	err := watch.Start(system)
//
// It counts, logs and publishes:
//
//	what happened                             event        logged at
//	an actor panics, or escalates a failure   *Failed      ERROR, a panic with its stack
//	its supervisor restarts it                *Restarted   DEBUG
//	its supervisor lets it go on              *Resumed     DEBUG
//	its supervisor stops it for good          *Stopped     ERROR
//	a message reaches no actor                *DeadLetter  WARN, a few a second
//
// Events go to the ActorSystem's EventStream and, as messages, to each actor
// that sent a [Subscribe] to the address "lifecycle". An actor that is made
// with [Watch.Props] also publishes a [Started] for each of its instances.
//
// # Protocol
//
// To the actor "lifecycle", as pointers or as values. The answer is a pointer, and
// goes to the sender of a request:
//
//	message      answer   when
//	Subscribe    -        then each event, a copy for each subscriber
//	Unsubscribe  -
//	GetCounts    *Counts  at once
//	others       *actors.Unhandled
//
// # How it works
//
// Proto.Actor calls its logger within the deferred function that recovers a
// panic, so the panic's stack is still there. [Watch.Factory] puts a handler in
// front of that logger, which takes the stack. It works for every actor, with any
// props; a receiver middleware would see only actors that have one.
// Decisions of a supervisor are taken from Proto.Actor's SupervisorEvent, which
// all its strategies publish. Your own strategies should publish it too.
//
// # Who owns what
//
// The actor "lifecycle" owns the subscribers, over restarts and stops by another, and calls the EventStream, for a
// handler there may panic or block. Counters are atomic. The goroutine of the crash
// logs at once, through a logger that must not wait.
//
// # Goroutines, debugging and tests
//
// All methods may be called from any goroutine. [Watch.Counts] has the numbers.
// In a test, read the events from an actor that has subscribed.
package lifecycle
