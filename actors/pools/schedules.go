package pools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/schedules"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// planned is a schedule of the code.
type planned struct {
	task string
	args any
	expr string
	opts []cron.Option
	name string
}

// timetable is the schedules of a process: see package schedules.
type timetable struct {
	code    []planned // guarded by Pools.mu, as wrong is
	wrong   []error   // of Every, before the start
	lane    *lane     // of the ticks; nil without schedules
	running *schedules.Schedules
}

// cronSuffix is what the queue of ticks has behind the name of the pool.
const cronSuffix = "-cron.fifo"

// Every sends the task of definition def with args at the times of expr. What is wrong
// with it is an error of the start, or is logged if that has been.
func Every[A any](p *Pools, def *task.Definition[A], args A, expr string, opts ...cron.Option) {
	s, err := cron.New(def.Name(), expr, opts...)
	p.every(planned{def.Name(), args, expr, opts, s.Name()}, errors.Join(def.Spec().Err(), err))
}

func (p *Pools) every(s planned, err error) {
	p.mu.Lock()
	begun := p.begun.Load() != nil
	switch {
	case err == nil:
		p.times.code = append(p.times.code, s)
	case !begun:
		p.times.wrong = append(p.times.wrong, err)
	}
	p.mu.Unlock()
	if err == nil && begun {
		if err = p.reschedule(); err != nil {
			p.mu.Lock()
			p.times.code = slices.DeleteFunc(p.times.code, func(o planned) bool { return o.name == s.name })
			p.mu.Unlock()
		}
	}
	if err != nil && begun {
		p.log().Error("a schedule is not taken", "schedule", s.name, "error", err)
	}
}

// jobs are the schedules of the code and of the settings in force.
func (p *Pools) jobs() ([]schedules.Job, error) {
	p.mu.Lock()
	code, errs := slices.Clone(p.times.code), slices.Clone(p.times.wrong)
	p.mu.Unlock()
	var table cron.Table
	if p.cfg.Schedules != nil {
		table = maps.Clone(p.cfg.Schedules())
	}
	var jobs []schedules.Job
	add := func(s planned, set cron.Settings, source string) {
		own, err := set.Options()
		if err == nil && set.Args != "" {
			err = json.Unmarshal([]byte(set.Args), &s.args)
		}
		job := schedules.Job{Task: cmp.Or(set.Task, s.task), Args: s.args, Source: source}
		if err == nil {
			opts := append(slices.Clone(s.opts), cron.Name(s.name))
			job.Schedule, err = cron.New(job.Task, cmp.Or(set.Every, s.expr), append(opts, own...)...)
		}
		if _, known := p.spec(job.Task); err == nil && !known {
			err = fmt.Errorf("schedule %q: the task %q is not registered in this system: register it with "+
				"chassis.Handle", s.name, job.Task)
		}
		if err != nil {
			errs = append(errs, err)
			return
		}
		jobs = append(jobs, job)
	}
	for _, s := range code {
		set, both := table[s.name]
		delete(table, s.name)
		if both {
			s.args = anyOf(s.args, set.Args)
			add(s, set, "code and settings")
		} else {
			add(s, set, "code")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if set := table[name]; set.Task == "" || set.Every == "" {
			errs = append(errs, fmt.Errorf("schedules.%s: the code has no schedule of this name: for a new "+
				"one set task and every", name))
		} else {
			add(planned{name: name, args: map[string]any{}}, set, "settings")
		}
	}
	return jobs, errors.Join(errs...)
}

// anyOf is nothing where the settings give arguments, so that they do not mix with those
// of the code.
func anyOf(args any, set string) any {
	if set != "" {
		return nil
	}
	return args
}

// openTimes opens the lane of ticks, if there are schedules.
func (p *Pools) openTimes() ([]schedules.Job, error) {
	jobs, err := p.jobs()
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	if p.main().name() == "" {
		return nil, errors.New("there are schedules, but tasks.task_pool is not set: the queue of their ticks has " +
			"its name and " + cronSuffix)
	}
	name := strings.TrimSuffix(p.main().name(), ".fifo") + cronSuffix
	if l := p.lane(name); l != nil { // it is among tasks.pools, for its own workers
		p.times.lane = l
		return jobs, nil
	}
	err = errors.Join(poller.CheckQueueName(name), poller.CheckQueueName(dispatcher.DeadLetterPool(name)))
	if err != nil {
		return nil, fmt.Errorf("the queue of ticks: %w: give tasks.task_pool a shorter name", err)
	}
	set := p.cfg.Settings.OnlyPool(name)
	set.DeadLetterPool, set.Weight, set.Priority = "", 0, 0
	l := &lane{pools: p, settings: set, monitor: dispatcher.NewMonitor()}
	p.monitor.Join(l.monitor)
	lanes := append(slices.Clone(p.lanes()), l)
	p.open.Store(&lanes)
	p.times.lane = l
	return jobs, nil
}

// makeTimes makes the schedules, before the dispatchers: theirs runs the ticks.
func (p *Pools) makeTimes(jobs []schedules.Job, urls []string) error {
	if p.times.lane == nil {
		return nil
	}
	made, err := schedules.New(schedules.Config{
		Pool: p.times.lane.name(), URL: urls[slices.Index(p.lanes(), p.times.lane)], Client: p.cfg.Queue.Client,
		Logger: p.cfg.Logger("actors/schedules"), Jobs: jobs, Over: p.timesOver.Load,
		Sealer: &p.envelopes, Span: p.tickSpan(p.times.lane.name()),
	})
	if err == nil {
		p.times.running = made
	}
	return err
}

// startTimes starts the actor, once the pools take tasks.
func (p *Pools) startTimes() (err error) {
	if p.times.running != nil {
		p.timesPID, err = p.actors.Spawn(p.times.running.Props(), "schedules")
	}
	return err
}

// stopTimes stops the actor: from here on others send the ticks.
func (p *Pools) stopTimes(ctx context.Context) error {
	if p.timesPID == nil {
		return nil
	}
	p.timesOver.Store(true)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), life.StopTimeout)
	defer cancel()
	return p.actors.Stop(end, p.timesPID)
}

// reschedule puts the schedules of the settings in force into effect.
func (p *Pools) reschedule() error {
	if p.begun.Load() == nil {
		return nil // the start does
	}
	jobs, err := p.jobs()
	switch {
	case err != nil:
		return err
	case p.timesPID != nil:
		p.actors.Send(p.timesPID, &schedules.Set{Jobs: jobs})
	case len(jobs) > 0:
		return errors.New("the first schedule of a service needs a restart: it opens the queue of ticks")
	}
	return nil
}

// ErrNoSchedules says that a process has no schedules.
var ErrNoSchedules = errors.New("chassis: this service has no schedules")

// Schedules returns the schedules of the process, as it sees them.
func (p *Pools) Schedules() []schedules.Status {
	if p.begun.Load() == nil || p.times.running == nil {
		return nil
	}
	return p.times.running.Status()
}

// SendNow sends the task of a schedule now, and returns its exec_id.
func (p *Pools) SendNow(ctx context.Context, name string) (execID string, err error) {
	if p.begun.Load() == nil || p.timesPID == nil {
		return "", ErrNoSchedules
	}
	return p.times.running.Send(ctx, p.actors.System(), p.timesPID, name)
}

// PauseSchedule pauses a schedule in the whole fleet, or ends that.
func (p *Pools) PauseSchedule(ctx context.Context, name string, on bool) error {
	if p.begun.Load() == nil || p.timesPID == nil {
		return ErrNoSchedules
	}
	return p.times.running.Pause(ctx, p.actors.System(), p.timesPID, name, on)
}
