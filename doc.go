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
// With `go run` and nothing else, tasks travel through an embedded SQS in memory.
// With queue.path set it is durable. With queue.region or queue.endpoint set, the
// same program talks to AWS SQS.
//
// # The road
//
//	HTTP, gRPC ──► handlers ── http.Client ── breaker.Transport ──┐
//	                        └─ breaker.Do ────────────────────────┴─► breaker actor, one a remote service
//
//	Send ──► sender ──► SQS: AWS, or the embedded one ──► poller actor ── Delivered ─► dispatcher actor ── Execute ─► one child a task
//	                             ▲                          │   ▲                        │   ▲                          │
//	                             └─ delete, extend, copy ───┘   └───── Want, Settle ─────┘   └── Done / failure, supervised
//	everything ── slog ──► handler (encodes) ──► ring ──► logger actor ──► stdout, Stackdriver's form or plain
//
// # Who owns what
//
//	breaker actor      the states of one remote service and its paths, their timers
//	poller actor       the conversation with one queue: receives under way, every lease, batches
//	dispatcher actor   the task registry, the worker slots, the executions and their failure budgets
//	task child         one attempt of an execution
//	logger actor       the output
//	keeper of shares   how many executions each pool may start, if there are several pools
//	lifecycle actor    crashes, restarts and dead letters of all actors, as events
//	System             the order of start and stop
//
// Nothing else touches what an owner owns. A decision is a pure function of state,
// event and time; the actor around it owns the timer and performs the effects.
//
// # Where things are
//
//	actors               a typed question to an actor, and the answer to an unknown message
//	actors/breaker       the circuit breaker, and the breakers of a system
//	actors/poller        the conversation with a queue, and the sender
//	actors/dispatcher    executions under supervision
//	actors/shares        what several pools of a process run at once, by weight
//	actors/pools         the pools of a process at work: sending, readiness, dead letters, numbers
//	actors/lifecycle     crashes, restarts and dead letters of all actors
//	actors/logger        the slog handler and the actor behind it
//	queue                opens a queue: AWS or embedded
//	queue/localsqs       the embedded SQS; it knows nothing of tasks
//	queue/sqsclient      the one place where the AWS client is made
//	settings             typed layouts over files and the environment
//	settings/watch       a layout that follows its files
//	task                 the wire form of a task, its definition, waits, outcomes, the job in a ctx
//	admin                probes, metrics, the API and the live page
//	admin/console        what the page shows of a system
//	chassistest          a system for a test, in simulated time
//	internal/life        starts actors under a guardian, stops them and waits
//	internal/clip        bounds and cleans text that strangers wrote
//	internal/house       tests of words, line lengths and import directions
//	internal/systemtest  tests of the whole from outside
//
// # Imports
//
// Imports go one way; a test in internal/house checks them:
//
//	settings  queue/localsqs  queue/sqsclient  actors  internal/clip  internal/life   nothing of ours
//	actors/internal/crew  actors/internal/inline                                      nothing of ours
//	settings/watch     ─► settings
//	queue              ─► queue/localsqs  queue/sqsclient  settings
//	task               ─► internal/clip
//	actors/breaker     ─► actors  actors/internal/inline  internal/clip  settings
//	actors/logger      ─► actors  task  internal/clip
//	actors/lifecycle   ─► actors  actors/logger  internal/clip
//	actors/shares      ─► actors  internal/life
//	actors/poller      ─► actors  actors/internal/crew  internal/life  queue/sqsclient  task
//	actors/dispatcher  ─► actors  actors/internal/crew  actors/internal/inline  internal/life  actors/poller  actors/shares  task
//	actors/pools       ─► actors  actors/dispatcher  actors/poller  actors/shares  internal/life  queue  queue/sqsclient  task
//	admin              ─► the leaves that it shows
//	admin/console      ─► admin  and the leaves
//	chassis            ─► all of these
//	cmd  examples  chassistest  internal/systemtest ─► chassis
//
// # Glossary
//
// One thing has one word, in code, settings, counters, events, errors and documents:
//
//	task         a piece of work, sent as one message
//	pool         a queue of tasks, with the executions that a process runs of it
//	execution    one message in this process, from its delivery to its settlement
//	attempt      one run of an execution: a call of the handler, or a task actor's life
//	failure      an attempt that ended with an error or a panic; it spends the budget
//	silent end   a delivery that ended without a result: a crash, a lost lease, a lost answer
//	suspect      a message with two silent ends in a row; a process runs one at a time
//	lease        the time for which SQS hides a message from others; the poller extends it
//	settle       end a lease: delete the message, copy it, or let the queue show it again
//	hold         let an execution wait in place: its lease is kept, and no worker is used
//	hide         let a message wait on the queue by its visibility time-out
//	copy         a new message that takes the place of an old one, with its count and its wait
//	postpone     put a message that is not due yet back onto the queue, as a copy or hidden
//	give up      end a task for good: its on_fail task, or a dead letter
//	dead letter  a message that cannot be run, kept for 14 days with its reason
//	abandon      leave a handler that ignores its cancelled ctx; its goroutine goes on
//	stalled      an attempt without progress; an operator should look at it
//	drain        end the executions of a pool in order, and give the others back
//
// # Goroutines
//
// All methods of a [System] may be called from several goroutines. Handlers run
// concurrently, each in a goroutine of its own.
//
// # Debugging and tests
//
// [System.Ready] says whether tasks flow, and why not. Each actor answers a question
// for its Stats. To test a service, use package chassistest: the whole system with the
// embedded queue, inside a testing/synctest bubble.
package chassis
