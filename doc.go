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
//	schedules actor    the timers of all schedules, how far each is decided
//	addresses actor    the inbox of a process, questions that wait for answers, cancels that hold
//	keeper of shares   how many executions each pool may start, if there are several pools
//	lifecycle actor    crashes, restarts and dead letters of all actors, as events
//	System             the order of start and stop
//
// Nothing else touches what an owner owns. A decision is a pure function of state,
// event and time; the actor around it owns the timer and performs the effects.
//
// # Where things are, and what they import
//
// Imports go one way: each package imports, of ours, only what stands behind its
// arrow. A test in internal/house checks this.
//
//	internal           clip: cleans text of strangers; random: numbers; limit: calls in flight; recent: values for a time; skew: clocks; spelling
//	internal/life      starts actors under a guardian, stops them and waits
//	actors             a typed question to an actor, and the answer to an unknown message
//	health, parts      checks of dependencies; servers, loops and clean-ups, started and stopped in order ─► clip
//	settings           typed layouts over files, the environment and stores; watch: one that follows its files ─► spelling
//	queue/localsqs     the embedded SQS; it knows nothing of tasks
//	queue/sqsclient    the one place where the AWS client is made
//	queue              opens a queue: AWS or embedded ─► localsqs, sqsclient, settings
//	task               wire form, definition, waits, outcomes, steps, the job in a ctx; cron: times of schedules ─► clip
//	actors/internal    inline: a mailbox that runs on its poster's goroutine; crew: kept goroutines
//	actors/breaker     the circuit breaker, retries, limits ─► actors, inline, clip, limit, settings
//	actors/logger      the slog handler and the actor behind it ─► actors, life, task, clip
//	actors/lifecycle   crashes, restarts and dead letters of all actors ─► actors, life, logger, clip
//	actors/shares      what several pools run at once, by weight ─► actors, life
//	actors/poller      the conversation with a queue, and the sender ─► actors, crew, life, skew, sqsclient, task
//	actors/schedules   the ticks of all schedules, without a leader ─► actors, life, skew, sqsclient, task, cron
//	actors/dispatcher  executions under supervision ─► actors, crew, inline, life, poller, recent, shares, spelling, task
//	actors/addresses   the inbox of a process: answers, notices, orphans ─► actors, life, clip, recent, sqsclient, task
//	actors/pools       the pools at work ─► the actors of tasks, breaker, life, random, recent, queue, task, envelope
//	admin              probes, metrics, the API and the live page ─► the leaves that it shows
//	admin/console      a system as the page sees it ─► admin and the leaves
//	chassis            this package: the order of start and stop ─► all of these
//	cmd  examples  chassistest  systemtest ─► chassis
//	server  telemetry  settings/awssource  task/outbox  task/flow  fleet   next to the core, which does not import them
//
// # Glossary
//
// One thing has one word, in code, settings, counters, events, errors and documents:
//
//	task         a piece of work, sent as one message
//	pool         a queue of tasks, with the executions that a process runs of it
//	schedule     times at which a task is sent; each of them is a tick
//	tenant       the customer or user that a task is done for
//	question     a task with an asker that waits for its result
//	inbox        a queue of one process, for answers to its questions and notices about executions
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
//	part         what runs next to the tasks: intake (a server) stops before they drain, support after
//
// # Goroutines, debugging and tests
//
// All methods of a [System] are safe for several goroutines. Each handler runs in its own.
// [System.Ready] says whether tasks flow, and why not. Each actor answers a question for its
// Stats. To test a service, use package chassistest: the whole system with the embedded
// queue, inside a testing/synctest bubble.
package chassis
