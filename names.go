package chassis

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
)

// The parts of [Settings] that other packages declare.
type (
	BreakerSettings    = breaker.GroupSettings
	ServiceLimits      = breaker.ServiceLimits
	PollerSettings     = poller.Settings
	DispatcherSettings = dispatcher.Settings
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

// ErrStopped says that the system has stopped, or is about to.
var ErrStopped = life.ErrStopped

// SpawnOption changes how [System.Spawn] supervises an actor.
type SpawnOption = life.SpawnOption

// SupervisedBy supervises the actor by a strategy of the service's own. A
// strategy that panics or escalates, which would end the process, stops the
// actor.
func SupervisedBy(strategy actor.SupervisorStrategy) SpawnOption { return life.SupervisedBy(strategy) }

// LiveSettings is a service's own settings in force: see [Live].
type LiveSettings[T any] = watch.Live[T]

// CheckSettingsFlag is the first argument by which a service checks its settings.
const CheckSettingsFlag = settings.CheckFlag
