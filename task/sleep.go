package task

import (
	"context"
	"fmt"
	"time"
)

// SleepError is returned by [Sleep] while it is not over. The handler returns it.
type SleepError struct {
	Step  string
	Until time.Time
	*SnoozeError
}

func (e *SleepError) Error() string {
	return fmt.Sprintf("step %q sleeps until %s", cut(e.Step), e.Until.Format(time.RFC3339))
}

// Unwrap returns the [*SnoozeError] that makes the task wait.
func (e *SleepError) Unwrap() error { return e.SnoozeError }

// Sleep is a step that is done d after an attempt has first come to it. Until then it
// returns a [*SleepError], which the handler returns: the task waits without a worker
// and without a failure, in place or on the queue as after a [Snooze], and Sleep
// returns nil in the attempt that follows.
//
//	if err := task.Sleep(ctx, "cooling-off", 14*24*time.Hour); err != nil {
//		return err
//	}
//
// No step of the lane begins before the end of its sleep, so that a handler that goes on
// in spite of the error does nothing too early.
func Sleep(ctx context.Context, name string, d time.Duration) error {
	var p Place
	if err := p.begin(ctx, name, kindSleep); err != nil {
		return err
	}
	if !p.known {
		p.until = time.Now().Add(max(d, 0)).UTC() // without the monotonic clock: other processes read it
		if err := p.keep(entry{name: name, kind: kindSleep, until: p.until}); err != nil {
			return err
		}
	}
	rest := time.Until(p.until)
	if rest <= 0 {
		return nil
	}
	err := &SleepError{Step: name, Until: p.until, SnoozeError: &SnoozeError{For: rest}}
	p.journal.mu.Lock()
	defer p.journal.mu.Unlock()
	p.journal.lane(p.lane).sleeping = err
	return err
}
