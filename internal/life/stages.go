package life

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// StopTimeout is what a stage of a stop gets, or an actor, once there is nothing more
// to wait for.
const StopTimeout = 5 * time.Second

// hurry is the least that a stage of a stop gets, however late it is.
const hurry = 500 * time.Millisecond

// Stage is one step of a start or of a stop.
type Stage struct {
	Name string
	Work func(context.Context) error // nil: there is nothing to do
}

// Locked returns the work of a stage that holds a lock.
func Locked(lock sync.Locker, work func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		lock.Lock()
		defer lock.Unlock()
		return work(ctx)
	}
}

// Steps runs the stages of a start one after the other, until the first error, which it
// returns with what and the name of the stage.
func Steps(ctx context.Context, what string, stages ...Stage) error {
	for _, stage := range stages {
		if err := stage.Work(ctx); err != nil {
			return fmt.Errorf("%s %s: %w", what, stage.Name, err)
		}
	}
	return nil
}

// Stages runs the stages of a stop.
type Stages struct {
	drain context.Context
	log   *slog.Logger
	cutAt atomic.Pointer[time.Time] // when the drain was cut short
}

// NewStages returns the stages of a stop that is to be cut short when drain ends.
func NewStages(drain context.Context, log *slog.Logger) *Stages {
	s := &Stages{drain: drain, log: log}
	context.AfterFunc(drain, func() { now := time.Now(); s.cutAt.Store(&now) })
	return s
}

// Run runs stages one after the other, each to its end or to that of its time, and
// returns their errors with their names.
func (s *Stages) Run(stages ...Stage) error {
	var errs []error
	for _, stage := range stages {
		if stage.Work == nil {
			continue
		}
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.drain), stageLimit(s.cutAt.Load(), begun))
		if err := stage.Work(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", stage.Name, err))
		}
		cancel()
		s.log.Debug("stage of the stop is over", "stage", stage.Name, "took", time.Since(begun))
	}
	return errors.Join(errs...)
}

// stageLimit is how long a stage of a stop after the drain may take. Once the drain
// was cut short all stages share one StopTimeout.
func stageLimit(cut *time.Time, now time.Time) time.Duration {
	if cut == nil {
		return StopTimeout
	}
	return max(cut.Add(StopTimeout).Sub(now), hurry)
}
