package chassis

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
)

// The parts of [Settings] that other packages declare.
type (
	BreakerSettings    = breaker.GroupSettings
	ServiceLimits      = breaker.ServiceLimits
	TaskSettings       = pools.Settings
	PoolSettings       = pools.PoolSettings
	PollerSettings     = pools.PollerSettings
	DispatcherSettings = pools.DispatcherSettings
	QueueSettings      = queue.Settings
	QueueServer        = queue.ServerSettings
	SQSSettings        = queue.SQSSettings
)

// State is where a System is in its life.
type State = life.State

// The states, in their order; there is no way back.
const (
	Created  = life.Created  // made: breakers, logs and Send work
	Starting = life.Starting // Start is under way
	Running  = life.Running  // tasks are taken
	Stopping = life.Stopping // the drain is under way
	Stopped  = life.Stopped
)

// Errors of a System's life: of a second [System.Start], and of what comes after
// [System.Stop] was called.
var (
	ErrStarted = life.ErrStarted
	ErrStopped = life.ErrStopped
)

// SpawnOption changes how [System.Spawn] supervises an actor.
type SpawnOption = life.SpawnOption

// SupervisedBy supervises the actor by a strategy of the service's own. A
// strategy that panics or escalates, which would end the process, stops the
// actor.
func SupervisedBy(strategy actor.SupervisorStrategy) SpawnOption { return life.SupervisedBy(strategy) }

// Task is one task for [System.SendMany], and Sent its result.
type (
	Task = pools.Task
	Sent = pools.Sent
)

// Pool is one of the task pools of a system.
type Pool = pools.Pool

// Readiness says whether tasks flow: TASK_QUEUES and TASK_CONSUMER, each OK or
// ERROR as the Python chassis has them, and the reasons of each ERROR. A reason
// with an OK is that no worker gets free.
type Readiness = pools.Readiness

// DeadLetter is a message of the dead-letter pool: a task that was given up,
// or a message that never was a task.
type DeadLetter = pools.DeadLetter

// ErrUnregistered says that a task was sent to the system's own pool under a
// name that is not registered here: nothing could run it.
var ErrUnregistered = pools.ErrUnregistered

// ErrMoreDeadLetters says that not all dead letters were listed: those of a FIFO
// group come ten at a time, the next ten after these are sent back or deleted,
// and what others look at is hidden for 30 seconds.
var ErrMoreDeadLetters = pools.ErrMoreDeadLetters

// LiveSettings is a service's own settings in force: see [Live].
type LiveSettings[T any] = watch.Live[T]

// CheckSettingsFlag is the first argument by which a service checks its settings.
const CheckSettingsFlag = settings.CheckFlag
