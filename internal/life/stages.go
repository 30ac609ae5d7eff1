package life

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// hurry is the least that a stage of a stop gets, however late it is.
const hurry = 500 * time.Millisecond

// Stages runs the stages of a stop, one after the other. Each may take
// [StopTimeout]. Once the drain was cut short all of them share one StopTimeout.
// What does not end by then is named in the error and left.
type Stages struct {
	drain context.Context
	log   *slog.Logger
	cut   atomic.Pointer[time.Time] // when the drain was cut short
	uncut func() bool
	errs  []error
}

// NewStages returns stages with a drain that is cut short when its ctx ends.
func NewStages(drain context.Context, log *slog.Logger) *Stages {
	s := &Stages{drain: drain, log: log}
	s.uncut = context.AfterFunc(drain, func() { now := time.Now(); s.cut.Store(&now) })
	return s
}

// Do runs one stage. Its ctx ends with the time of the stage.
func (s *Stages) Do(name string, work func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.drain), stageLimit(s.cut.Load(), time.Now()))
	defer cancel()
	begun := time.Now()
	if err := work(ctx); err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", name, err))
	}
	s.log.Debug("stage of the stop is over", "stage", name, "took", time.Since(begun))
}

// Err returns the errors of the stages so far.
func (s *Stages) Err() error { return errors.Join(s.errs...) }

// Close ends the watch of the drain.
func (s *Stages) Close() { s.uncut() }

// stageLimit is how long a stage may take.
func stageLimit(cut *time.Time, now time.Time) time.Duration {
	if cut == nil {
		return StopTimeout
	}
	return max(cut.Add(StopTimeout).Sub(now), hurry)
}
