package chassis

import (
	"context"
	"iter"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/actors/schedules"
	"github.com/sambatech/chassis/actors/shares"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// Handle registers handler for the tasks of definition def. Registering a name again replaces it, with a warning. A
// mistake in the definition is an error of [System.Start], or is logged at once if the system has started.
func Handle[A any](s *System, def *task.Definition[A], handler task.Handler[A]) {
	s.tasks.Register(&dispatcher.Register{Spec: def.Spec(), Handler: task.Erase(handler)})
}

// Register registers a task that is run by an actor of the caller's own: for each attempt an actor is spawned from
// props, on a goroutine of its own. It receives a *dispatcher.Execute, may ask other actors and spawn children, and
// ends the attempt with Respond(dispatcher.Done{}), with an error, or by a panic. It is stopped when its attempt has
// ended, however that was.
//
// Give the task a task.Deadline. Without one an attempt ends when its actor has been silent for
// dispatcher.SilenceLimit, 15 minutes: it has not answered, gets no message and has no children. Props that cannot be
// spawned as a child are a mistake.
func (s *System) Register(name string, props *actor.Props, policies ...task.Policy) {
	s.tasks.Register(&dispatcher.Register{Spec: task.NewSpec(name, policies...), Props: props})
}

// Send sends the task of definition def with args and returns its exec_id. With the ctx of a handler, the task
// belongs to the handler's job. See [System.Send] for errors.
func Send[A any](ctx context.Context, s *System, def *task.Definition[A], args A, o ...task.Option) (string, error) {
	return pools.Send(ctx, s.tasks, def, args, o...)
}

// SendMany sends one task of def for each of args, all with opts. [System.SendMany] takes options for each task.
func SendMany[A any](ctx context.Context, s *System, def *task.Definition[A], args []A, opts ...task.Option) (
	[]Sent, error) {
	return pools.SendMany(ctx, s.tasks, def, args, opts...)
}

// Send sends a task by name; args are anything that encoding/json takes. It goes to the pool of its definition, or to
// tasks.task_pool. To a pool of the system's own the name must be registered ([ErrUnregistered]), to one of task.Pool
// any name goes. A FIFO pool takes no task due later than its queue keeps a message ([dispatcher.ErrNotKept]). It
// returns once the queue has the message.
func (s *System) Send(ctx context.Context, name string, args any, opts ...task.Option) (execID string, err error) {
	return s.tasks.Send(ctx, name, args, opts...)
}

// Ask sends the task of definition def with args, and waits until ctx ends for what its handler returns by
// task.Return. A task that is given up is a [*task.FailedError]. See docs/addresses.md.
func Ask[R, A any](ctx context.Context, s *System, def *task.Definition[A], args A, opts ...task.Option) (R, error) {
	return pools.Ask[R](ctx, s.tasks, def, args, opts...)
}

// Cancel ends an execution for good, wherever it is: here, in the fleet, else by a notice to all that have the setting
// tasks.notices. Its message is deleted; neither its on_fail task is sent nor a dead letter. Its ctx ends by
// [task.ErrCancelled]. The result says what is known. See docs/addresses.md.
func (s *System) Cancel(ctx context.Context, execID string) (Cancelled, error) {
	return s.tasks.Cancel(ctx, execID)
}

// SendMany sends tasks in batches of ten, or 1 MiB, and returns the result of each, in their order. Its error is not
// nil if any was not sent.
func (s *System) SendMany(ctx context.Context, tasks []Task) ([]Sent, error) {
	return s.tasks.SendMany(ctx, tasks)
}

// Every sends the task of definition def with args at the times of expr: five fields of crontab, @daily, "@every 15m".
// Each process of a fleet sends each tick, and SQS takes the first. The settings' section schedules can change and
// pause it. Mistakes are errors of [System.Start]. See package task/cron and docs/schedules.md.
func Every[A any](s *System, def *task.Definition[A], args A, expr string, opts ...cron.Option) {
	pools.Every(s.tasks, def, args, expr, opts...)
}

// Schedules are those of [Every] and of the settings, as this process sees them.
func (s *System) Schedules() []schedules.Status { return s.tasks.Schedules() }

// DeadLetters goes through the dead letters of all pools. Each is hidden from others for 30 seconds; what the loop
// body neither sends back nor deletes is made visible again at the end. See [pools.Pools.DeadLetters].
func (s *System) DeadLetters(ctx context.Context) iter.Seq2[*DeadLetter, error] {
	return s.tasks.DeadLetters(ctx)
}

// Pools are the task pools of the system, that of tasks.task_pool first.
func (s *System) Pools() []Pool { return s.tasks.Each() }

// Tasks is what can be seen of the tasks of all pools without asking an actor: status, numbers, names, events.
func (s *System) Tasks() *dispatcher.Monitor { return s.tasks.Tasks() }

// Control is the typed way to pause, resume, inspect, cancel and snooze tasks of this process. It is nil before
// [System.Start] and in a system without tasks.
func (s *System) Control() *dispatcher.Client { return s.tasks.Control() }

// Shares is what each pool has of this process's executions, if there are several pools or tasks.total_workers is set.
func (s *System) Shares() *shares.Stats { return s.tasks.Shares() }

// Ready says whether tasks flow, and what the last runs of the checks were. It returns within two seconds.
func (s *System) Ready(ctx context.Context) Readiness { return s.console.Ready(ctx) }
