package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// Option says how a check runs and what it counts for.
type Option func(*check)

// Defaults of a check.
const (
	DefaultInterval = 10 * time.Second
	DefaultTimeout  = 5 * time.Second
)

// Every sets the time between two runs; at least 10 ms, by default 10 s.
func Every(d time.Duration) Option { return func(c *check) { c.every = max(d, 10*time.Millisecond) } }

// Within sets the time of one run; at least 1 ms, by default 5 s.
func Within(d time.Duration) Option { return func(c *check) { c.within = max(d, time.Millisecond) } }

// FailAfter sets the failures in a row from which the check fails, by default 1. Until
// its first success each failure counts.
func FailAfter(n int) Option { return func(c *check) { c.failAfter = max(n, 1) } }

// ForReadiness has /readyz say no while the check fails, which is the default where no
// option says what a check counts for.
func ForReadiness() Option { return func(c *check) { c.counts, c.readiness = true, true } }

// ForTasks pauses the tasks of all pools while the check fails.
func ForTasks() Option { return func(c *check) { c.counts, c.tasks = true, true } }

// ForInformation shows the check, and nothing else.
func ForInformation() Option { return func(c *check) { c.counts = true } }

// check is one check. Its goroutine owns its runs.
type check struct {
	name                     string
	run                      func(context.Context) error
	every, within            time.Duration
	failAfter                int
	counts, readiness, tasks bool
	log                      *slog.Logger
	changed                  func(name string, up bool)

	asked chan struct{} // has a value when a run is wanted at once
	first chan struct{} // closed after the first result

	mu       sync.Mutex // guards what follows
	status   Status
	streak   int           // failures in a row
	begun    time.Time     // of the last run
	finished chan struct{} // closed and replaced after each result
	returned chan struct{} // closed once the function of the service has returned; nil before the first run
}

// Status is the last result of a check.
type Status struct {
	Name      string    `json:"name"`
	Up        bool      `json:"up"`
	Known     bool      `json:"known"` // false: the first run is under way
	Readiness bool      `json:"readiness"`
	Tasks     bool      `json:"tasks"`
	Took      float64   `json:"took_seconds"` // of the last run
	At        time.Time `json:"at,omitzero"`
	Since     time.Time `json:"since,omitzero"` // of Up
	Failures  int       `json:"failures,omitempty"`
	Error     string    `json:"error,omitempty"`
}

func (c *check) now() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// loop runs the check until ctx ends.
func (c *check) loop(ctx context.Context) {
	for c.once(ctx) {
		wait := time.NewTimer(jittered(c.every))
		select {
		case <-wait.C:
		case <-c.asked:
		case <-ctx.Done():
		}
		wait.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// jittered returns d, give or take a tenth.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d/5)+1))
}

// once runs the check and waits until its function has returned, so that there are
// never two. It reports false if ctx has ended before.
func (c *check) once(ctx context.Context) bool {
	run, cancel := context.WithTimeout(ctx, c.within)
	defer cancel()
	begun, returned := time.Now(), make(chan struct{})
	c.mu.Lock()
	c.begun, c.returned = begun, returned
	c.mu.Unlock()
	var err error // once it has returned
	go func() {
		defer close(returned)
		err = errGoexit
		err = protected(run, c.run)
	}()
	select {
	case <-returned:
		if ctx.Err() == nil {
			c.note(err, time.Since(begun))
		}
		return true
	case <-run.Done():
	}
	if ctx.Err() != nil {
		return false
	}
	c.note(fmt.Errorf("no answer within %v", c.within), time.Since(begun))
	select {
	case <-returned:
		return true
	case <-ctx.Done():
		return false
	}
}

// ends waits until no function of the check runs any more, and reports false if ctx
// ends before. The loop has ended.
func (c *check) ends(ctx context.Context) bool {
	c.mu.Lock()
	returned := c.returned
	c.mu.Unlock()
	if returned == nil {
		return true
	}
	select {
	case <-returned:
		return true
	default:
	}
	select {
	case <-returned:
		return true
	case <-ctx.Done():
		return false
	}
}

// errGoexit is the result of a check that ended its goroutine.
var errGoexit = errors.New("the check ended its goroutine (runtime.Goexit)")

// protected runs a function of the service.
func protected(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the check panicked: %s\n%s", clip.Panic(v), debug.Stack())
		}
	}()
	return run(ctx)
}

// note keeps a result.
func (c *check) note(err error, took time.Duration) {
	c.mu.Lock()
	s := &c.status
	was, known := s.Up, s.Known
	if err == nil {
		c.streak, s.Error = 0, ""
	} else {
		c.streak++
		s.Error = clip.Cut(err.Error(), clip.Text) // a service may answer anything
	}
	s.Known, s.At, s.Took, s.Failures = true, time.Now().UTC(), took.Seconds(), c.streak
	s.Up = err == nil || known && was && c.streak < c.failAfter
	edge := !known || was != s.Up
	if edge {
		s.Since = s.At
	}
	up := s.Up
	close(c.finished)
	c.finished = make(chan struct{})
	c.mu.Unlock()
	switch {
	case edge && !up:
		c.log.Warn("a check fails", "check", c.name, "error", err, "counts_for", c.purpose())
	case edge && known:
		c.log.Info("a check passes again", "check", c.name)
	}
	if edge && c.tasks && c.changed != nil {
		c.changed(c.name, up)
	}
	if !known {
		close(c.first)
	}
}

func (c *check) purpose() string {
	switch {
	case c.readiness && c.tasks:
		return "readiness, tasks"
	case c.tasks:
		return "tasks"
	case c.readiness:
		return "readiness"
	}
	return "information"
}

// pace is the least time between two runs that were asked for.
const pace = 100 * time.Millisecond

// settle is the time from a failure to the run that judges it: an outage does not reach
// all connections to the dependency at once.
const settle = 50 * time.Millisecond

// fresh returns the result of a run that began after the call, or the last result if
// ctx ends before there is one.
func (c *check) fresh(ctx context.Context) Status {
	asked := time.Now().Add(settle)
	for {
		c.mu.Lock()
		s, begun, finished := c.status, c.begun, c.finished
		c.mu.Unlock()
		if s.Known && !s.Up {
			return s // one more run would say no more
		}
		if begun.After(asked) && !s.At.Before(begun) {
			return s
		}
		wait := time.NewTimer(settle + time.Millisecond)
		if now := time.Now(); now.Sub(begun) >= pace && now.After(asked) {
			select {
			case c.asked <- struct{}{}:
			default:
			}
		}
		select {
		case <-finished:
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return c.now()
		}
		wait.Stop()
	}
}
