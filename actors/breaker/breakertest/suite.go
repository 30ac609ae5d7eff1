package breakertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// Config is what a case asks of the breaker that it tests.
type Config struct {
	FailLimit int           // failures in a row that open it
	OpenFor   time.Duration // time for which it stays open
	Probes    int           // most calls in flight while half-open
	Successes int           // successes that close it
	// OnChange is called with every change of state, from wherever the breaker
	// calls its listeners; nil if the case wants none.
	OnChange func()
}

// Subject is a breaker under test. Functions that it lacks may be nil where
// that is said; what then cannot be tested is skipped.
type Subject struct {
	// Do calls fn under the breaker's protection and returns its error, or a refusal.
	Do func(ctx context.Context, fn func(ctx context.Context) error) error
	// State returns "closed", "open" or "half-open".
	State func() string
	// Refused says whether an error of Do is a refusal.
	Refused func(error) bool
	// NoListener says that the breaker has no listeners, so that the case about them is skipped.
	NoListener bool
	// Close gives the breaker up; nil if there is nothing to do.
	Close func()
}

// Factory makes a breaker for one case. It is called within the case's bubble.
type Factory func(t *testing.T, c Config) Subject

// Result is the outcome of one case.
type Result struct {
	Case    string
	Torture bool  // one of the ten
	Skipped bool  // the breaker has nothing that the case is about
	Err     error // how the breaker failed; nil if it did not
}

// Run puts the breakers that make makes through all cases, each a subtest.
func Run(t *testing.T, make Factory) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := c.check(t, make)
			if r.Skipped {
				t.Skip("the breaker has nothing that this case is about")
			}
			if r.Err != nil {
				t.Error(r.Err)
			}
		})
	}
}

// Check puts the breakers that make makes through all cases and returns how
// they did. It fails t only where the suite itself cannot go on.
func Check(t *testing.T, make Factory) []Result {
	var results []Result
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { results = append(results, c.check(t, make)) })
	}
	return results
}

// testCase is one situation.
type testCase struct {
	name     string
	torture  bool
	listener bool // runs outside a bubble, with a listener
	config   Config
	run      func(b *bench) error
}

// bench is a case under way.
type bench struct {
	Subject
	Config
	ctx context.Context
}

func (c testCase) check(t *testing.T, make Factory) Result {
	r := Result{Case: c.name, Torture: c.torture}
	body := func(t *testing.T) {
		config := c.config.filled()
		b := &bench{Config: config, ctx: context.Background()}
		if c.listener {
			config.OnChange = func() { b.State() }
		}
		b.Subject = make(t, config)
		if c.listener && b.NoListener {
			r.Skipped = true
			return
		}
		if c.listener {
			r.Err = within(2*time.Second, func() error { return c.run(b) })
		} else {
			r.Err = c.run(b)
		}
		if b.Close != nil && (r.Err == nil || !c.listener) {
			b.Close()
		}
	}
	if c.listener {
		body(t)
	} else {
		synctest.Test(t, body)
	}
	return r
}

func within(d time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(d):
		return fmt.Errorf("deadlock: the call has not returned for %v", d)
	}
}

func (c Config) filled() Config {
	if c.FailLimit == 0 {
		c.FailLimit = 3
	}
	if c.OpenFor == 0 {
		c.OpenFor = 10 * time.Second
	}
	if c.Probes == 0 {
		c.Probes = 1
	}
	if c.Successes == 0 {
		c.Successes = 1
	}
	return c
}

// errService is the failure of the service behind the breaker.
var errService = errors.New("the service failed")

func (b *bench) fail() error {
	return b.Do(b.ctx, func(context.Context) error { return errService })
}

func (b *bench) succeed() error {
	return b.Do(b.ctx, func(context.Context) error { return nil })
}

// trip opens the breaker by failures.
func (b *bench) trip() error {
	for i := range b.FailLimit {
		if err := b.fail(); !errors.Is(err, errService) {
			return fmt.Errorf("failing call %d of %d: got %v, want the function's own error", i+1, b.FailLimit, err)
		}
	}
	return b.is("open", "after %d failures", b.FailLimit)
}

// half opens the breaker and waits until it lets a probe through.
func (b *bench) half() error {
	if err := b.trip(); err != nil {
		return err
	}
	b.wait(b.OpenFor + time.Millisecond)
	return nil
}

// wait lets time pass, and whatever is due then happen.
func (b *bench) wait(d time.Duration) {
	time.Sleep(d)
	if b.OnChange == nil {
		synctest.Wait()
	}
}

func (b *bench) is(want, format string, args ...any) error {
	if got := b.State(); got != want {
		return fmt.Errorf("%s the state is %s, want %s", fmt.Sprintf(format, args...), got, want)
	}
	return nil
}

// recovers checks that the breaker closes within some open times, by calls that
// succeed: that whatever happened before has not made it stick.
func (b *bench) recovers(after string) error {
	for range 20 {
		b.wait(b.OpenFor)
		for range b.Successes {
			_ = b.succeed()
		}
		if b.State() == "closed" {
			return nil
		}
	}
	return fmt.Errorf("%s it never closes again: still %s after %v of healthy calls", after, b.State(), 20*b.OpenFor)
}

// started runs a call that blocks until release is called, and returns when it
// runs, or was refused.
func (b *bench) started(result error) (release func() error) {
	running, free, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- b.Do(b.ctx, func(context.Context) error {
			close(running)
			<-free
			return result
		})
	}()
	var early error
	returned := false
	select {
	case <-running:
	case early = <-done:
		returned = true
	}
	return func() error {
		close(free)
		if returned {
			return early
		}
		return <-done
	}
}
