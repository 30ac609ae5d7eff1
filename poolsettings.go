package chassis

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

// PoolSettings is one pool of tasks.pools. What is left out is as in the section
// tasks, but for weight and priority, which have their own defaults, and the
// dead-letter pool, of which each has its own.
type PoolSettings struct {
	Workers        int           `key:"workers" rule:"optional,min=1" live:"true" doc:"executions at once of this pool, default as in tasks"`
	MaxWorkers     int           `key:"max_workers" rule:"optional,min=1" live:"true" doc:"that scaling may go up to, default as in tasks"`
	ScaleFactor    int           `key:"scale_factor" rule:"optional,min=1" live:"true" doc:"waiting messages for each worker before one is added, default as in tasks"`
	TaskTimeout    time.Duration `key:"task_timeout" rule:"optional,min=1s,max=12h" doc:"length of a lease, default as in tasks"`
	Weight         int           `key:"weight" rule:"optional,min=1,max=1000" doc:"part of total_workers in proportion to the other pools', default 1"`
	Priority       int           `key:"priority" rule:"min=-1000,max=1000" doc:"pools of a higher one are served first, whatever the weights; default 0"`
	DeadLetterPool string        `key:"dead_letter_pool" rule:"optional,nonempty" doc:"queue of what cannot be run, default the pool's name with _dead"`
}

// EachPool returns the settings of each pool with those of the section tasks
// filled in: first the pool task_pool, then those of pools by their names.
func (t TaskSettings) EachPool() []TaskSettings {
	all := []TaskSettings{t}
	all[0].Pools = nil
	for _, name := range slices.Sorted(maps.Keys(t.Pools)) {
		own, s := t.Pools[name], all[0]
		s.TaskPool, s.DeadLetterPool, s.Weight, s.Priority = name, own.DeadLetterPool, own.Weight, own.Priority
		override(&s.Workers, own.Workers)
		override(&s.MaxWorkers, own.MaxWorkers)
		override(&s.ScaleFactor, own.ScaleFactor)
		override(&s.TaskTimeout, own.TaskTimeout)
		all = append(all, s)
	}
	return all
}

func override[T comparable](into *T, v T) {
	var none T
	if v != none {
		*into = v
	}
}

func (t TaskSettings) share() shares.Share {
	return shares.Share{Weight: t.Weight, Priority: t.Priority}
}

func (t TaskSettings) deadPool() string {
	return cmp.Or(t.DeadLetterPool, dispatcher.DeadLetterPool(t.TaskPool))
}

// check is Validate once the service's name has given a pool to the embedded queue.
func (t TaskSettings) check() error {
	err := t.Validate()
	if t.TaskPool == "" && len(t.Pools) > 0 {
		err = errors.Join(err, errors.New("tasks.pools is set, but tasks.task_pool is not: name the pool that tasks are sent to if they name none"))
	}
	return err
}

// Validate tells what is wrong with the section tasks, each pool for itself and
// all of them together.
func (t TaskSettings) Validate() error {
	errs := []error{t.PollerSettings.Validate(), t.DispatcherSettings.Validate()}
	if t.TotalWorkers < 0 {
		errs = append(errs, fmt.Errorf("tasks.total_workers is %d: must be 0 (no limit but the pools' own) or more", t.TotalWorkers))
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
			if err := errors.Join(checkPoolName(p.TaskPool), p.PollerSettings.Validate(), p.DispatcherSettings.Validate()); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", where, err))
			}
		}
		if err := p.share().Check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
		}
		if p.TaskPool != "" {
			if err := poller.CheckQueueName(p.deadPool()); err != nil && poller.CheckQueueName(p.TaskPool) == nil {
				errs = append(errs, fmt.Errorf("%s: the queue of its dead letters cannot be: %w: give the pool a shorter name, or set dead_letter_pool", where, err))
			}
			claim(p.TaskPool, where+" itself")
			claim(p.deadPool(), "the dead letters of "+where)
		}
	}
	return errors.Join(errs...)
}

func checkPoolName(name string) error {
	if name != strings.ToLower(name) {
		return fmt.Errorf("the name %q is not all lower case", name)
	}
	return poller.CheckQueueName(name)
}
