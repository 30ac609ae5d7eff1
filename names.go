package chassis

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/admin"
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

// Errors of a System's life: of a second [System.Start], and after [System.Stop].
var (
	ErrStarted = life.ErrStarted
	ErrStopped = life.ErrStopped
)

// SpawnOption changes how [System.Spawn] supervises an actor.
type SpawnOption = life.SpawnOption

// SupervisedBy supervises the actor by a strategy of the service's own. One that panics or escalates, which would
// end the process, stops the actor.
func SupervisedBy(strategy actor.SupervisorStrategy) SpawnOption { return life.SupervisedBy(strategy) }

// Names of actors/pools: Task is one task for [System.SendMany], and Sent its result. Pool is one of the task
// pools of a system, and Readiness what [System.Ready] returns. DeadLetter is a message of the dead-letter pool: a
// task that was given up, or a message that never was a task.
type (
	Task       = pools.Task
	Sent       = pools.Sent
	Cancelled  = pools.Cancelled // says what is known of a cancel
	Pool       = pools.Pool
	Readiness  = admin.Readiness
	DeadLetter = pools.DeadLetter
)

// Errors of [System.Send], of a task that nothing here could run, and of [System.DeadLetters].
var (
	ErrUnregistered    = pools.ErrUnregistered
	ErrMoreDeadLetters = pools.ErrMoreDeadLetters
)

// source is the settings in force. Explain and Set are called under System.applying.
type source = watch.Source[Settings]

// LiveSettings is a service's own settings in force: see [Live].
type LiveSettings[T any] = watch.Live[T]

// CheckSettingsFlag is the first argument by which a service checks its settings.
const CheckSettingsFlag = settings.CheckFlag
