package breakertest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// cases are the basic rules first, the ten situations after.
var cases = append(basics, tortures...)

var (
	twoProbes = Config{Successes: 2, Probes: 2}
	shortOpen = Config{OpenFor: time.Millisecond}
)

var basics = []testCase{
	{name: "a new breaker is closed and passes results through", run: func(b *bench) error {
		if err := b.is("closed", "at first"); err != nil {
			return err
		}
		if err := b.succeed(); err != nil {
			return fmt.Errorf("a success came back as %w", err)
		}
		if err := b.fail(); !errors.Is(err, errService) {
			return fmt.Errorf("a failure came back as %v", err)
		}
		return b.is("closed", "after one failure of %d", b.FailLimit)
	}},
	{name: "it opens at the limit and not before", run: func(b *bench) error {
		for range b.FailLimit - 1 {
			_ = b.fail()
		}
		if err := b.is("closed", "one failure before the limit"); err != nil {
			return err
		}
		_ = b.fail()
		return b.is("open", "at the limit")
	}},
	{name: "a success clears the failures", run: func(b *bench) error {
		for range 5 {
			for range b.FailLimit - 1 {
				_ = b.fail()
			}
			_ = b.succeed()
		}
		return b.is("closed", "after failures with successes among them")
	}},
	{name: "open refuses without a call", run: func(b *bench) error {
		if err := b.trip(); err != nil {
			return err
		}
		called := false
		err := b.Do(b.ctx, func(context.Context) error { called = true; return nil })
		if called || !b.Refused(err) {
			return fmt.Errorf("called: %v, error: %v; want a refusal without a call", called, err)
		}
		return nil
	}},
	{name: "open lasts for the whole time", run: func(b *bench) error {
		if err := b.trip(); err != nil {
			return err
		}
		b.wait(b.OpenFor - time.Nanosecond)
		if err := b.succeed(); !b.Refused(err) {
			return fmt.Errorf("1ns before the end: got %v, want a refusal", err)
		}
		b.wait(time.Millisecond)
		if err := b.succeed(); err != nil {
			return fmt.Errorf("1ms after the end: got %w, want a call", err)
		}
		return nil
	}},
	{name: "refused calls do not lengthen the open time", run: func(b *bench) error {
		if err := b.trip(); err != nil {
			return err
		}
		for range 10 {
			_ = b.fail()
			b.wait(b.OpenFor / 10)
		}
		b.wait(time.Millisecond)
		if err := b.succeed(); err != nil {
			return fmt.Errorf("after the open time: got %w, want a call", err)
		}
		return nil
	}},
	{name: "half-open closes after its successes", config: Config{Successes: 3, Probes: 3}, run: func(b *bench) error {
		if err := b.half(); err != nil {
			return err
		}
		for i := range b.Successes {
			if i > 0 && b.State() != "half-open" {
				return fmt.Errorf("after %d successes of %d the state is %s", i, b.Successes, b.State())
			}
			if err := b.succeed(); err != nil {
				return fmt.Errorf("probe %d: %w", i+1, err)
			}
		}
		return b.is("closed", "after %d successes", b.Successes)
	}},
	{name: "a failing probe opens for a whole time again", run: func(b *bench) error {
		if err := b.half(); err != nil {
			return err
		}
		_ = b.fail()
		if err := b.is("open", "after a probe that failed"); err != nil {
			return err
		}
		b.wait(b.OpenFor - 2*time.Millisecond)
		if err := b.succeed(); !b.Refused(err) {
			return fmt.Errorf("before the end of the second time: got %v, want a refusal", err)
		}
		b.wait(3 * time.Millisecond)
		if err := b.succeed(); err != nil {
			return fmt.Errorf("after the second time: got %w, want a call", err)
		}
		return nil
	}},
	{name: "closed again starts from no failures", run: func(b *bench) error {
		if err := b.half(); err != nil {
			return err
		}
		_ = b.succeed()
		for range b.FailLimit - 1 {
			_ = b.fail()
		}
		return b.is("closed", "after fewer failures than the limit")
	}},
}

var tortures = []testCase{
	{name: "half-open stampede", torture: true, config: Config{Probes: 2, Successes: 2}, run: func(b *bench) error {
		if err := b.half(); err != nil {
			return err
		}
		var running, most atomic.Int64
		free := make(chan struct{})
		for range 100 {
			go func() {
				_ = b.Do(b.ctx, func(context.Context) error {
					now := running.Add(1)
					defer running.Add(-1)
					for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
					}
					<-free
					return nil
				})
			}()
		}
		synctest.Wait()
		close(free)
		synctest.Wait()
		if got := most.Load(); got > int64(b.Probes) || got == 0 {
			return fmt.Errorf("%d of 100 calls were in flight at once, want at most %d and some", got, b.Probes)
		}
		return nil
	}},
	{name: "a probe that hangs", torture: true, run: func(b *bench) error {
		if err := b.half(); err != nil {
			return err
		}
		release := b.started(nil)
		err := b.recovers("with a probe that hangs")
		_ = release()
		return err
	}},
	{name: "a probe that ends its goroutine", torture: true, run: func(b *bench) error {
		if err := b.half(); err != nil {
			return err
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = b.Do(b.ctx, func(context.Context) error { runtime.Goexit(); return nil })
		}()
		<-done
		return b.recovers("after a probe that ended its goroutine")
	}},
	{name: "a probe that panics", torture: true, run: func(b *bench) error {
		if err := b.half(); err != nil {
			return err
		}
		if got := b.panics("probe"); got != "probe" {
			return fmt.Errorf("the panic came out as %v, want it as it was", got)
		}
		return b.recovers("after a probe that panicked")
	}},
	{name: "panics that never trip", torture: true, run: func(b *bench) error {
		for range b.FailLimit {
			b.panics("again")
		}
		return b.is("open", "after %d panics", b.FailLimit)
	}},
	{name: "a success of an earlier state arrives in half-open",
		torture: true, config: twoProbes, run: func(b *bench) error {
			release := b.started(nil)
			if err := b.half(); err != nil {
				_ = release()
				return err
			}
			if err := b.succeed(); err != nil { // half-open now, also for a breaker that notices the time late
				_ = release()
				return fmt.Errorf("the first probe: %w", err)
			}
			_ = release()
			return b.is("half-open", "after 1 probe of %d and a late success", b.Successes)
		}},
	{name: "a failure of an earlier state arrives in half-open",
		torture: true, config: twoProbes, run: func(b *bench) error {
			release := b.started(errService)
			if err := b.half(); err != nil {
				_ = release()
				return err
			}
			if err := b.succeed(); err != nil { // half-open now, also for a breaker that notices the time late
				_ = release()
				return fmt.Errorf("the first probe: %w", err)
			}
			_ = release()
			if err := b.is("half-open", "after the late failure"); err != nil {
				return err
			}
			if err := b.succeed(); err != nil {
				return fmt.Errorf("the second probe, after the late failure: %w", err)
			}
			return b.is("closed", "after %d probes that succeeded", b.Successes)
		}},
	{name: "a success of an earlier state arrives in open", torture: true, run: func(b *bench) error {
		release := b.started(nil)
		if err := b.trip(); err != nil {
			_ = release()
			return err
		}
		_ = release()
		if err := b.is("open", "after the late success"); err != nil {
			return err
		}
		if err := b.succeed(); !b.Refused(err) {
			return fmt.Errorf("a call after the late success: got %v, want a refusal", err)
		}
		return nil
	}},
	{name: "a caller's cancellation counted as failure", torture: true, run: func(b *bench) error {
		for range 3 * b.FailLimit {
			ctx, cancel := context.WithCancel(b.ctx)
			_ = b.Do(ctx, func(ctx context.Context) error {
				cancel()
				<-ctx.Done()
				return ctx.Err()
			})
		}
		return b.is("closed", "after %d calls that their callers cancelled", 3*b.FailLimit)
	}},
	{name: "reading the state inside a listener",
		torture: true, listener: true, config: shortOpen, run: func(b *bench) error {
			for range b.FailLimit {
				_ = b.fail()
			}
			if err := b.is("open", "after %d failures", b.FailLimit); err != nil && b.State() != "half-open" {
				return err
			}
			return nil
		}},
}

// panics makes a call that panics with value and returns what it recovered.
func (b *bench) panics(value any) (got any) {
	defer func() { got = recover() }()
	_ = b.Do(b.ctx, func(context.Context) error { panic(value) })
	return nil
}
