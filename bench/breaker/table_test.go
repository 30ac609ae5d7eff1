package breaker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"text/tabwriter"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/breaker/breakertest"
)

// factories adapt ours and the peers to the conformance suite, each with its
// defaults where the suite asks for nothing. hystrix-go has neither half-open
// counts nor listeners, and goroutines without an end, and is left out.
var factories = []struct {
	name string
	make breakertest.Factory
}{
	{"ours", func(t *testing.T, c breakertest.Config) breakertest.Subject {
		b, err := breaker.Spawn(newSystem(t), "http://mail.internal", breaker.Settings{ClosedFailLimit: c.FailLimit,
			OpenTimeout: c.OpenFor, HalfProbeLimit: c.Probes, HalfSuccessLimit: c.Successes})
		if err != nil {
			t.Fatal(err)
		}
		if c.OnChange != nil {
			if _, err := b.Listen(func(breaker.Transition) { c.OnChange() }); err != nil {
				t.Fatal(err)
			}
		}
		return breakertest.Subject{
			Do:      func(ctx context.Context, fn func(context.Context) error) error { return b.Do(ctx, "", fn) },
			State:   func() string { return b.State().String() },
			Refused: func(err error) bool { return errors.Is(err, breaker.ErrOpen) },
			Close:   func() { _ = b.Stop(context.Background()) },
		}
	}},
	{"gobreaker", func(t *testing.T, c breakertest.Config) breakertest.Subject {
		s := gobreaker.Settings{Timeout: c.OpenFor, MaxRequests: uint32(max(c.Probes, c.Successes)),
			ReadyToTrip: func(n gobreaker.Counts) bool { return int(n.ConsecutiveFailures) >= c.FailLimit }}
		if c.OnChange != nil {
			s.OnStateChange = func(string, gobreaker.State, gobreaker.State) { c.OnChange() }
		}
		b := gobreaker.NewCircuitBreaker[struct{}](s)
		return breakertest.Subject{
			Do: func(ctx context.Context, fn func(context.Context) error) error {
				_, err := b.Execute(func() (struct{}, error) { return struct{}{}, fn(ctx) })
				return err
			},
			State: func() string { return b.State().String() },
			Refused: func(err error) bool {
				return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
			},
		}
	}},
	{"failsafe-go", func(t *testing.T, c breakertest.Config) breakertest.Subject {
		builder := circuitbreaker.NewBuilder[any]().WithFailureThreshold(uint(c.FailLimit)).WithDelay(c.OpenFor).
			WithSuccessThreshold(uint(c.Successes))
		if c.OnChange != nil {
			builder.OnStateChanged(func(circuitbreaker.StateChangedEvent) { c.OnChange() })
		}
		b := builder.Build()
		return breakertest.Subject{
			Do: func(ctx context.Context, fn func(context.Context) error) error {
				return failsafe.With(b).WithContext(ctx).RunWithExecution(func(e failsafe.Execution[any]) error { return fn(e.Context()) })
			},
			State:   func() string { return b.State().String() },
			Refused: func(err error) bool { return errors.Is(err, circuitbreaker.ErrOpen) },
		}
	}},
}

func TestConformanceTable(t *testing.T) {
	results := make([][]breakertest.Result, len(factories))
	for i, f := range factories {
		t.Run(f.name, func(t *testing.T) { results[i] = breakertest.Check(t, f.make) })
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	fmt.Fprint(w, "case")
	for _, f := range factories {
		fmt.Fprint(w, "\t", f.name)
	}
	fmt.Fprintln(w)
	passed := make([]int, len(factories))
	for c, r := range results[0] {
		mark := ""
		if r.Torture {
			mark = "* "
		}
		fmt.Fprint(w, mark, r.Case)
		for i := range factories {
			switch r := results[i][c]; {
			case r.Skipped:
				fmt.Fprint(w, "\t-")
			case r.Err != nil:
				fmt.Fprint(w, "\tFAIL")
				t.Logf("%s: %s: %v", factories[i].name, r.Case, r.Err)
			default:
				fmt.Fprint(w, "\tok")
				if r.Torture {
					passed[i]++
				}
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "of the ten (*)")
	for i := range factories {
		fmt.Fprintf(w, "\t%d", passed[i])
	}
	fmt.Fprintln(w)
	if passed[0] != 10 {
		t.Errorf("ours passes %d of 10", passed[0])
	}
}
