package pools

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/shares"
)

// The parts of [Settings] that other packages declare.
type (
	PollerSettings     = poller.Settings
	DispatcherSettings = dispatcher.Settings
	Limits             = dispatcher.Limits
)

// Settings is the section tasks: the pool and its leases, the workers and
// their rules.
type Settings struct {
	TaskPool     string `key:"task_pool" rule:"lower" doc:"name of the queue, all lower case; with SQS required, with the embedded queue the service's name and -tasks"`
	MissingQueue string `key:"missing_queue" rule:"oneof=create|error" doc:"what to do if a queue is not there: create it, or error; default create"`
	PollerSettings
	DispatcherSettings

	TotalWorkers int    `key:"total_workers" rule:"min=0" doc:"executions at once in this process over all pools, shared by their weights; default 0: no limit but each pool's workers"`
	Notices      bool   `key:"notices" doc:"take cancels and snoozes from other processes, by a queue of this process's own that is polled; default false"`
	Weight       int    `key:"weight" rule:"optional,min=1,max=1000" doc:"part of total_workers of the pool task_pool in proportion to the other pools', default 1"`
	Priority     int    `key:"priority" rule:"min=-1000,max=1000" doc:"pools of a higher one are served first, whatever the weights; default 0"`
	KeyFile      string `key:"key_file" rule:"optional,nonempty" doc:"file of the keys that arguments are encrypted with, see docs/arguments.md"`
	ClaimFolder  string `key:"claim_folder" rule:"optional,nonempty" doc:"folder for arguments that are too large for the queue; every process needs the same"`
	Sealing
	Pools map[string]PoolSettings `key:"pools" doc:"further pools that this process works on, by the names of their queues"`
}

// PoolSettings is one pool of tasks.pools. What is left out is as in the section
// tasks, but for weight, priority and limits, which have their own defaults, and
// the dead-letter pool: each pool has its own.
type PoolSettings struct {
	Workers        int           `key:"workers" rule:"optional,min=1" live:"true" doc:"executions at once of this pool, default as in tasks"`
	MaxWorkers     int           `key:"max_workers" rule:"optional,min=1" live:"true" doc:"that scaling may go up to, default as in tasks"`
	ScaleFactor    int           `key:"scale_factor" rule:"optional,min=1" live:"true" doc:"waiting messages for each worker before one is added, default as in tasks"`
	TaskTimeout    time.Duration `key:"task_timeout" rule:"optional,min=1s,max=12h" doc:"length of a lease, default as in tasks"`
	Weight         int           `key:"weight" rule:"optional,min=1,max=1000" doc:"part of total_workers in proportion to the other pools', default 1"`
	Priority       int           `key:"priority" rule:"min=-1000,max=1000" doc:"pools of a higher one are served first, whatever the weights; default 0"`
	DeadLetterPool string        `key:"dead_letter_pool" rule:"optional,nonempty" doc:"queue of what cannot be run, default the pool's name with _dead"`
	Limits         Limits        `key:"limits"`
	Sealing
}

// Sealing is what the envelopes of all tasks do that are sent to a pool, in addition to
// what their definitions say. What the section tasks sets is set for all pools.
type Sealing struct {
	EncryptArguments  bool `key:"encrypt_arguments" doc:"arguments of all tasks that are sent are encrypted; needs key_file"`
	CompressArguments bool `key:"compress_arguments" doc:"arguments are compressed by zstd where they are large"`
	ClaimArguments    bool `key:"claim_arguments" doc:"arguments that are too large for the queue go into claim_folder"`
}

func (s Sealing) or(o Sealing) Sealing {
	return Sealing{s.EncryptArguments || o.EncryptArguments, s.CompressArguments || o.CompressArguments,
		s.ClaimArguments || o.ClaimArguments}
}

// DefaultSettings returns the settings with every default filled in.
func DefaultSettings() Settings {
	return Settings{MissingQueue: "create", PollerSettings: poller.DefaultSettings(),
		DispatcherSettings: dispatcher.DefaultSettings()}
}

// embeddedWait is the longest long poll of the embedded queue. A stop waits
// for one that is under way, and here an empty one costs next to nothing.
const embeddedWait = time.Second

// For returns the section tasks as it is with that kind of queue.
func (t Settings) For(embedded bool) Settings {
	if !embedded {
		return t
	}
	if t.ReceiveWait == 0 || t.ReceiveWait > embeddedWait {
		t.ReceiveWait = embeddedWait
	}
	return t
}

// EachPool returns the settings of each pool with those of the section tasks
// filled in: first the pool task_pool, then those of pools by their names.
func (t Settings) EachPool() []Settings {
	all := []Settings{t}
	all[0].Pools = nil
	for _, name := range slices.Sorted(maps.Keys(t.Pools)) {
		own, s := t.Pools[name], all[0]
		s.TaskPool, s.DeadLetterPool, s.Weight, s.Priority = name, own.DeadLetterPool, own.Weight, own.Priority
		s.Limits = own.Limits
		s.Workers, s.MaxWorkers = cmp.Or(own.Workers, s.Workers), cmp.Or(own.MaxWorkers, s.MaxWorkers)
		s.Sealing = s.Sealing.or(own.Sealing)
		s.ScaleFactor, s.TaskTimeout = cmp.Or(own.ScaleFactor, s.ScaleFactor), cmp.Or(own.TaskTimeout, s.TaskTimeout)
		all = append(all, s)
	}
	return all
}

// OnlyPool returns the section tasks as it is for one pool, configured or not.
func (t Settings) OnlyPool(name string) Settings {
	for _, p := range t.EachPool() {
		if p.TaskPool == name {
			return p
		}
	}
	t.TaskPool, t.Pools, t.Limits = name, nil, Limits{}
	return t
}

func (t Settings) share() shares.Share {
	return shares.Share{Weight: t.Weight, Priority: t.Priority}
}

// DeadPool returns the name of the queue of the pool's dead letters.
func (t Settings) DeadPool() string {
	return cmp.Or(t.DeadLetterPool, dispatcher.DeadLetterPool(t.TaskPool))
}

// Check is [Settings.Validate] once the service's name has given a pool to the
// embedded queue.
func (t Settings) Check() error {
	err := t.Validate()
	if t.TaskPool == "" && len(t.Pools) > 0 {
		err = errors.Join(err, errors.New("tasks.pools is set, but tasks.task_pool is not: name the pool that tasks "+
			"are sent to if they name none"))
	}
	return err
}

// Validate returns what is wrong with the section tasks: with each pool by itself,
// and with all of them together.
func (t Settings) Validate() error {
	errs := []error{t.PollerSettings.Validate(), t.DispatcherSettings.Validate()}
	if t.TotalWorkers < 0 {
		errs = append(errs, fmt.Errorf("tasks.total_workers is %d: must be 0 (no limit but the pools' own) or more",
			t.TotalWorkers))
	}
	if t.TaskPool != "" {
		if err := poller.CheckQueueName(t.TaskPool); err != nil {
			errs = append(errs, fmt.Errorf("tasks.task_pool: %w", err))
		}
	}
	role := map[string]string{}
	claim := func(queue, what string) {
		if was, taken := role[queue]; taken {
			errs = append(errs, fmt.Errorf("the queue %q is %s and %s: give each a name of its own", queue, was, what))
		}
		role[queue] = what
	}
	for i, p := range t.EachPool() {
		where := "tasks"
		if i > 0 {
			where = "tasks.pools." + p.TaskPool
			if err := errors.Join(checkName(p.TaskPool), p.PollerSettings.Validate(),
				p.DispatcherSettings.Validate()); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", where, err))
			}
		}
		if err := p.share().Check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
		}
		if err := p.Limits.Check(where, p.TaskPool); err != nil {
			errs = append(errs, err)
		}
		if p.TaskPool != "" {
			if err := poller.CheckQueueName(p.DeadPool()); err != nil && poller.CheckQueueName(p.TaskPool) == nil {
				errs = append(errs, fmt.Errorf("%s: the queue of its dead letters cannot be: %w: give the pool a "+
					"shorter name, or set dead_letter_pool", where, err))
			}
			claim(p.TaskPool, where+" itself")
			claim(p.DeadPool(), "the dead letters of "+where)
		}
	}
	return errors.Join(errs...)
}

func checkName(name string) error {
	if name != strings.ToLower(name) {
		return fmt.Errorf("the name %q is not all lower case", name)
	}
	return poller.CheckQueueName(name)
}
