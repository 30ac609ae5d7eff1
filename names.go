package chassis

import (
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/queue"
)

// The parts of [Settings] that other packages declare.
type (
	PollerSettings     = poller.Settings
	DispatcherSettings = dispatcher.Settings
	QueueSettings      = queue.Settings
	QueueServer        = queue.ServerSettings
	SQSSettings        = queue.SQSSettings
)
