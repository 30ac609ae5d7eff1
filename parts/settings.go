package parts

import (
	"errors"
	"fmt"
	"time"
)

// Settings are the times of a stop and the rule of readiness, in the section lifecycle. A zero ServerTimeout or
// PartTimeout means its default.
type Settings struct {
	StopDelay     time.Duration `key:"stop_delay" rule:"min=0,max=10m" live:"true" doc:"time at a stop between readiness saying no and the servers accepting no more, for load balancers that lag; default 0"`
	ServerTimeout time.Duration `key:"server_timeout" rule:"optional,min=1ms,max=1h" live:"true" doc:"time that requests get at a stop; then their ctx is cancelled, and their connections are closed; default 20s"`
	PartTimeout   time.Duration `key:"part_timeout" rule:"optional,min=1ms,max=1h" live:"true" doc:"time that any other part gets to stop, and each OnStop; default 5s"`
	ReadyWithout  []string      `key:"ready_without" rule:"unique" live:"true" doc:"what does not make /readyz say no: task_queues, task_consumer, or names of checks; default none"`
}

// Defaults and bounds of [Settings].
const (
	defaultServerTimeout = 20 * time.Second
	defaultPartTimeout   = 5 * time.Second
	maxStopDelay         = 10 * time.Minute
	maxTimeout           = time.Hour
)

// DefaultSettings returns the settings with every default filled in.
func DefaultSettings() Settings {
	return Settings{ServerTimeout: defaultServerTimeout, PartTimeout: defaultPartTimeout}
}

// Validate returns everything that is wrong, joined.
func (s Settings) Validate() error {
	var errs []error
	for _, v := range []struct {
		key       string
		value, to time.Duration
	}{
		{"stop_delay", s.StopDelay, maxStopDelay},
		{"server_timeout", s.ServerTimeout, maxTimeout},
		{"part_timeout", s.PartTimeout, maxTimeout},
	} {
		if v.value < 0 || v.value > v.to {
			errs = append(errs, fmt.Errorf("%s is %v: must be from 0 to %v", v.key, v.value, v.to))
		}
	}
	return errors.Join(errs...)
}
