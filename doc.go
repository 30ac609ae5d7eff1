// Package chassis is a microservice chassis on the actor model: circuit
// breakers for the services you call, background tasks over SQS, settings and
// logs, as one runtime on Proto.Actor.
//
//	var Welcome = task.Define[WelcomeArgs]("welcome", task.MaxFailures(5))
//
//	func main() {
//		sys := chassis.MustNew("mailer")
//		mail := sys.Breaker("https://mail.internal")
//		chassis.Handle(sys, Welcome, func(ctx context.Context, job task.Job[WelcomeArgs]) error {
//			res, err := mail.Client().Post(...)
//			if err != nil {
//				return err // counts as one failure, unless the breaker was open
//			}
//			defer res.Body.Close()
//			return check(res) // a status of 500 is no error of an http.Client
//		})
//		if err := sys.Run(context.Background()); err != nil { // serves until SIGTERM, drains, stops
//			os.Exit(1)
//		}
//	}
//
// With `go run` and nothing else the tasks travel through an embedded SQS in
// memory; with queue.path set it is durable, and with queue.region or
// queue.endpoint set the same program talks to AWS SQS.
//
// # The road
//
//	caller ── http.Client ── breaker.Transport ──┐
//	caller ── breaker.Do ────────────────────────┴─► breaker actor, one a remote service
//
//	Send ──► sender ──► SQS: AWS, or the embedded one ──► poller actor ── Delivered ─► dispatcher actor ── Execute ─► one child a task
//	                             ▲                           │   ▲                        │   ▲                          │
//	                             └ delete, extend, release ──┘   └───── Want, Settle ─────┘   └── Done / failure, supervised
//	everything ── slog ──► handler (encodes) ──► ring ──► logger actor ──► stdout
//
// # Who owns what
//
//	breaker actor      the states of one remote service and its paths, their timers
//	poller actor       the conversation with one queue: receives under way, every lease, batches
//	dispatcher actor   the task registry, the worker slots, the executions and their failure budgets
//	task child         one execution
//	logger actor       the output descriptor
//	keeper of shares   which pool may start how many executions, if there are several pools
//	lifecycle actor    who hears of crashes, restarts and dead letters
//	System             the order of start and stop
//
// # Where things are
//
//	settings           typed layouts over yaml, toml, json and the environment
//	task               the wire form of a task, its definition, waits, outcomes, the job in a ctx
//	localsqs           the embedded SQS; knows nothing of tasks
//	sqsclient          the one place where the AWS client is built
//	actors             a typed question to an actor, and the answer to a message it does not know
//	actors/breaker     the circuit breaker
//	actors/poller      the conversation with a queue, and the sender
//	actors/dispatcher  executions under supervision
//	actors/shares      what several pools of a process may run at once, by weight
//	actors/lifecycle   crashes, restarts and dead letters of all actors
//	actors/logger      the slog handler and the actor behind it
//	admin              probes, metrics, the API and the live page
//	internal/clip      bounds and cleans text that strangers wrote
//	internal/systemtest  the tests of the whole runtime from outside
//	actors/internal/supervision  keeps the chassis' actors at work, whatever stops them
//
// Imports go one way: settings, localsqs, sqsclient, internal/clip, actors and
// actors/internal/supervision import nothing of ours; task imports internal/clip;
// actors/breaker imports actors; so do actors/logger, which imports task too, and
// actors/lifecycle, which imports actors/logger; these four import internal/clip as
// well. actors/shares, actors/poller and actors/dispatcher import actors and
// actors/internal/supervision, the second sqsclient too, the third actors/poller,
// actors/shares and task; admin imports internal/clip and settings; this package
// imports them all; cmd, examples and
// chassistest import this package. A test holds the code to it.
//
// # Goroutines
//
// All methods of a [System] may be called from several goroutines. Handlers
// run concurrently, each in the goroutine of its task's child actor.
//
// # Debugging and tests
//
// [System.Ready] says whether tasks flow and why not; each actor answers a
// question for its Stats. To test a service, use package chassistest: the whole
// system with the embedded queue, inside a testing/synctest bubble.
package chassis
