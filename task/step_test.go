package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// execution plays the attempts of one execution, as the dispatcher does.
type execution struct {
	journal *Journal
	ran     []string // the steps that ran, of all attempts
}

// attempt calls handler as the next attempt. With carried the journal goes through its
// wire form before, as by a copy.
func (x *execution) attempt(carried bool, handler func(ctx context.Context) error) error {
	info := &Info{Task: "order", ExecID: "e-1"}
	if x.journal != nil {
		if carried {
			x.journal = NewJournal(x.journal.Wire())
		}
		info.Resume(x.journal)
	}
	defer func() {
		if j := info.EndSteps(); j != nil {
			x.journal = j
		}
	}()
	return handler(WithInfo(context.Background(), info))
}

// step runs a step that returns its name, or fails.
func (x *execution) step(ctx context.Context, name string, fail error) (string, error) {
	return Step(ctx, name, func(context.Context) (string, error) {
		x.ran = append(x.ran, name)
		return name + " is done", fail
	})
}

var errDown = errors.New("down")

func TestAStepThatIsDoneIsNotRunAgain(t *testing.T) {
	for _, carried := range []bool{false, true} {
		x := &execution{}
		for i := range 5 {
			err := x.attempt(carried, func(ctx context.Context) error {
				for k := range 5 {
					var fail error
					if k == i && i < 4 {
						fail = errDown
					}
					got, err := x.step(ctx, fmt.Sprint("s", k), fail)
					if err != nil {
						return err
					}
					if want := fmt.Sprintf("s%d is done", k); got != want {
						t.Errorf("%q, want %q", got, want)
					}
				}
				return nil
			})
			if (err == nil) != (i == 4) {
				t.Fatal(i, err)
			}
		}
		want := []string{"s0", "s0", "s1", "s1", "s2", "s2", "s3", "s3", "s4"}
		if !slices.Equal(x.ran, want) {
			t.Errorf("carried %v: ran %v, want %v", carried, x.ran, want)
		}
	}
}

// TestAPollMayHaveOneName: a memory keyed by name alone gives the first result for ever.
func TestAPollMayHaveOneName(t *testing.T) {
	x, n := &execution{}, 0
	handler := func(ctx context.Context) error {
		for want := 1; want <= 3; want++ {
			got, err := Step(ctx, "poll", func(context.Context) (int, error) { n++; return n, nil })
			if err != nil {
				return err
			}
			if got != want {
				t.Errorf("poll %d gave %d", want, got)
			}
		}
		return errDown
	}
	for range 3 {
		_ = x.attempt(true, handler)
	}
	if n != 3 {
		t.Errorf("polled %d times", n)
	}
}

func TestTheFirstRunReturnsWhatLaterOnesWill(t *testing.T) {
	type secret struct {
		Shown  string
		hidden string
	}
	x := &execution{}
	for range 2 {
		_ = x.attempt(true, func(ctx context.Context) error {
			got, err := Step(ctx, "s", func(context.Context) (secret, error) { return secret{"a", "b"}, nil })
			if err != nil || got != (secret{Shown: "a"}) {
				t.Errorf("%+v, %v: a field that JSON drops was there in one run alone", got, err)
			}
			return errDown
		})
	}
}

// TestMistakesAreFoundAtTheStep: each names the step, and ends the task for good where
// no retry can change it.
func TestMistakesAreFoundAtTheStep(t *testing.T) {
	inJob := func(ctx context.Context) context.Context { return WithInfo(ctx, &Info{Task: "order", ExecID: "e"}) }
	noop := func(context.Context) error { return nil }
	for name, c := range map[string]struct {
		call func(ctx context.Context) error
		is   error
		text string
		ends bool
	}{
		"outside a task": {func(ctx context.Context) error { return Do(context.Background(), "charge", noop) }, ErrNoJob,
			`step "charge": its ctx belongs to no task`, false},
		"a sleep outside": {func(context.Context) error { return Sleep(context.Background(), "nap", 1) }, ErrNoJob, `step "nap"`, false},
		"nested": {func(ctx context.Context) error {
			return Do(ctx, "outer", func(ctx context.Context) error { return Do(ctx, "inner", noop) })
		}, ErrNestedStep, `step "inner" of task "order": a step does not run inside another: it begins inside step "outer"`, true},
		"nested through the handler's ctx": {func(ctx context.Context) error {
			return Do(ctx, "outer", func(context.Context) error { return Do(ctx, "inner", noop) })
		}, ErrStepsAtOnce, `step "outer" is under way`, true},
		"nested in a lane": {func(ctx context.Context) error {
			return Do(ctx, "outer", func(ctx context.Context) error { return Do(Lane(ctx, "l"), "inner", noop) })
		}, ErrNestedStep, `inside step "outer"`, true},
		"a sleep in a step": {func(ctx context.Context) error {
			return Do(ctx, "outer", func(ctx context.Context) error { return Sleep(ctx, "nap", time.Hour) })
		}, ErrNestedStep, `step "nap"`, true},
		"a cursor that moves in a step": {func(ctx context.Context) error {
			c, err := OpenCursor(ctx, "rows", 0)
			if err != nil {
				return err
			}
			return Do(ctx, "outer", func(context.Context) error { return c.Save(1) })
		}, ErrNestedStep, `step "rows"`, true},
		"no name":     {func(ctx context.Context) error { return Do(ctx, "", noop) }, ErrStepName, "has no name", true},
		"a long name": {func(ctx context.Context) error { return Do(ctx, strings.Repeat("x", 201), noop) }, ErrStepName, "201 bytes", true},
		"no UTF-8":    {func(ctx context.Context) error { return Do(ctx, "a\xff", noop) }, ErrStepName, "UTF-8", true},
		"a lane without a name": {func(ctx context.Context) error { return Do(Lane(ctx, ""), "s", noop) }, ErrStepName,
			"its lane has no name", true},
		"a channel": {func(ctx context.Context) error {
			_, err := Step(ctx, "open", func(context.Context) (chan int, error) { return nil, nil })
			return err
		}, ErrNotEncodable, `step "open" of task "order": the result is not kept by JSON: a chan int`, true},
		"an interface": {func(ctx context.Context) error {
			_, err := Step(ctx, "open", func(context.Context) (io.Reader, error) { return strings.NewReader("x"), nil })
			return err
		}, ErrNotEncodable, `a *strings.Reader`, true},
		"a position": {func(ctx context.Context) error {
			_, err := OpenCursor(ctx, "rows", func() {})
			return err
		}, ErrNotEncodable, `a position of type func()`, true},
		"too much": {func(ctx context.Context) error {
			_, err := Step(ctx, "load", func(context.Context) (string, error) { return strings.Repeat("x", MaxJournal), nil })
			return err
		}, ErrJournalFull, `step "load" of task "order": the results of the steps have more than 4194304 bytes`, true},
	} {
		err := c.call(inJob(t.Context()))
		var end *CancelError
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) || errors.As(err, &end) != c.ends {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARenamedOrReorderedStepIsAnErrorThatNamesBoth(t *testing.T) {
	for name, c := range map[string]struct {
		now  []string
		text string
	}{
		"renamed":   {[]string{"charge", "send", "mail"}, `step 2 is "send" now, and was "ship" in an earlier attempt`},
		"reordered": {[]string{"ship", "charge", "mail"}, `step 1 is "ship" now, and was "charge"`},
		"inserted":  {[]string{"charge", "check", "ship", "mail"}, `step 2 is "check" now, and was "ship"`},
		"removed":   {[]string{"charge", "mail"}, `step 2 is "mail" now, and was "ship"`},
	} {
		x := &execution{}
		_ = x.attempt(true, func(ctx context.Context) error {
			_, _ = x.step(ctx, "charge", nil)
			_, err := x.step(ctx, "ship", nil)
			return errors.Join(err, errDown)
		})
		x.ran = nil
		err := x.attempt(true, func(ctx context.Context) error {
			for _, step := range c.now {
				if _, err := x.step(ctx, step, nil); err != nil {
					return err
				}
			}
			return nil
		})
		var mismatch *StepMismatchError
		if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), c.text) || len(x.ran) != 0 {
			t.Errorf("%s: %v, ran %v", name, err, x.ran)
		}
		var end *CancelError
		if errors.As(err, &end) {
			t.Errorf("%s: it ends the task, which a process with the old code could run", name)
		}
		x.ran = nil // the old code goes on
		if err := x.attempt(true, func(ctx context.Context) error {
			for _, step := range []string{"charge", "ship", "mail"} {
				if _, err := x.step(ctx, step, nil); err != nil {
					return err
				}
			}
			return nil
		}); err != nil || !slices.Equal(x.ran, []string{"mail"}) {
			t.Errorf("%s: the old code: %v, ran %v", name, err, x.ran)
		}
	}
}

func TestAStepThatBecameASleepIsNamedWithItsKind(t *testing.T) {
	x := &execution{}
	_ = x.attempt(false, func(ctx context.Context) error { _, err := x.step(ctx, "wait", nil); return err })
	err := x.attempt(false, func(ctx context.Context) error { return Sleep(ctx, "wait", time.Hour) })
	if err == nil || !strings.Contains(err.Error(), `"wait (sleep)" now, and was "wait (step)"`) {
		t.Error(err)
	}
}

func TestAResultOfAnotherTypeNamesBoth(t *testing.T) {
	x := &execution{}
	_ = x.attempt(true, func(ctx context.Context) error { _, err := x.step(ctx, "s", nil); return err })
	err := x.attempt(true, func(ctx context.Context) error {
		_, err := Step(ctx, "s", func(context.Context) (int, error) { return 1, nil })
		return err
	})
	if err == nil || !strings.Contains(err.Error(), `"s is done", does not fit int`) {
		t.Error(err)
	}
}

// TestGoroutinesHaveLanes: the order in which they come to their steps is another one in
// each attempt.
func TestGoroutinesHaveLanes(t *testing.T) {
	x := &execution{}
	var mu sync.Mutex
	ran := map[string]int{}
	handler := func(order []string, fail bool) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			turn := make(chan struct{}, 1)
			done := make(chan error, len(order))
			for _, lane := range order { // one after the other, in another order each time
				turn <- struct{}{}
				go func() {
					ctx := Lane(ctx, lane)
					for _, step := range []string{"a", "b"} {
						got, err := Step(ctx, step, func(context.Context) (string, error) {
							mu.Lock()
							defer mu.Unlock()
							ran[lane+step]++
							return lane + step, nil
						})
						if err != nil || got != lane+step {
							done <- fmt.Errorf("%s%s: %q, %w", lane, step, got, err)
							return
						}
					}
					<-turn
					done <- nil
				}()
			}
			var errs []error
			for range order {
				errs = append(errs, <-done)
			}
			if fail {
				errs = append(errs, errDown)
			}
			return errors.Join(errs...)
		}
	}
	_ = x.attempt(true, handler([]string{"x", "y", "z"}, true))
	_ = x.attempt(true, handler([]string{"z", "y", "x"}, true))
	if err := x.attempt(true, handler([]string{"y", "x", "z"}, false)); err != nil {
		t.Error(err)
	}
	if len(ran) != 6 {
		t.Errorf("ran %v", ran)
	}
	for step, n := range ran {
		if n != 1 {
			t.Errorf("%s ran %d times", step, n)
		}
	}
}

func TestTwoGoroutinesWithoutLanesAreRefused(t *testing.T) {
	info := &Info{Task: "order"}
	ctx := WithInfo(t.Context(), info)
	err := Do(ctx, "one", func(context.Context) error {
		done := make(chan error)
		go func() { done <- Do(ctx, "two", func(context.Context) error { return nil }) }()
		return <-done
	})
	if !errors.Is(err, ErrStepsAtOnce) || !strings.Contains(err.Error(), `step "one" is under way`) {
		t.Error(err)
	}
}

// TestAFailedStepMayBeTriedAgainInTheAttempt: the attempts after it find the result.
func TestAFailedStepMayBeTriedAgainInTheAttempt(t *testing.T) {
	x := &execution{}
	for range 2 {
		_ = x.attempt(true, func(ctx context.Context) error {
			for _, fail := range []error{errDown, errDown, nil} {
				if got, err := x.step(ctx, "charge", fail); err == nil {
					if got != "charge is done" {
						t.Error(got)
					}
					break
				}
			}
			return errDown
		})
	}
	if len(x.ran) != 3 {
		t.Errorf("ran %v", x.ran)
	}
}

// TestAHandlerThatGoesOnAfterAFailedStepTakesTheSameWayAgain: else its later steps were
// compared with those of another way.
func TestAHandlerThatGoesOnAfterAFailedStepTakesTheSameWayAgain(t *testing.T) {
	x := &execution{}
	for i := range 3 {
		_ = x.attempt(true, func(ctx context.Context) error {
			_, err := x.step(ctx, "warm", errDown)
			var before *StepFailedError
			if i == 0 && !errors.Is(err, errDown) || i > 0 && (!errors.As(err, &before) || before.Text != "down") {
				t.Errorf("attempt %d: %v", i, err)
			}
			if _, err := x.step(ctx, "ship", nil); err != nil {
				t.Error(err)
			}
			return errDown
		})
	}
	if !slices.Equal(x.ran, []string{"warm", "ship"}) {
		t.Errorf("ran %v", x.ran)
	}
}

func TestAPanicInAStepIsNoResult(t *testing.T) {
	x := &execution{}
	for range 2 {
		_ = x.attempt(true, func(ctx context.Context) (err error) {
			defer func() { err = fmt.Errorf("%v", recover()) }()
			return Do(ctx, "s", func(context.Context) error { x.ran = append(x.ran, "s"); panic("no") })
		})
	}
	if len(x.ran) != 2 {
		t.Errorf("ran %v", x.ran)
	}
	if err := x.attempt(true, func(ctx context.Context) error { return Do(ctx, "other", func(context.Context) error { return nil }) }); err != nil {
		t.Error("a step that never was is in the way:", err)
	}
}

// TestNoStepBeginsAfterItsAttempt: a handler that was left does no more.
func TestNoStepBeginsAfterItsAttempt(t *testing.T) {
	info := &Info{Task: "order"}
	ctx := WithInfo(t.Context(), info)
	_ = Do(ctx, "one", func(context.Context) error { return nil })
	late := Do(ctx, "two", func(context.Context) error { info.EndSteps(); return nil })
	if !errors.Is(late, ErrAttemptOver) || !strings.Contains(late.Error(), "so the result is lost") {
		t.Error(late)
	}
	if err := Do(ctx, "three", func(context.Context) error { t.Error("it ran"); return nil }); !errors.Is(err, ErrAttemptOver) {
		t.Error(err)
	}
	ended, cancel := context.WithCancelCause(WithInfo(t.Context(), &Info{Task: "order"}))
	cancel(errDown)
	if err := Do(ended, "one", func(context.Context) error { t.Error("it ran"); return nil }); !errors.Is(err, errDown) {
		t.Error(err)
	}
}

func TestStepKeyIsTheSameInEachAttempt(t *testing.T) {
	x := &execution{}
	var keys []string
	for range 2 {
		_ = x.attempt(true, func(ctx context.Context) error {
			_ = Do(Lane(ctx, "l"), "s", func(ctx context.Context) error { keys = append(keys, StepKey(ctx)); return errDown })
			return Do(ctx, "s", func(ctx context.Context) error { keys = append(keys, StepKey(ctx)); return errDown })
		})
	}
	if want := []string{"e-1/l/1/s", "e-1/1/s", "e-1/l/1/s", "e-1/1/s"}; !slices.Equal(keys, want) {
		t.Errorf("%q", keys)
	}
	if StepKey(t.Context()) != "" || StepKey(WithInfo(t.Context(), &Info{ExecID: "e"})) != "e" {
		t.Error("outside of a step")
	}
}

func TestASleepIsCountedFromTheFirstAttemptThatCameToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &execution{}
		handler := func(ctx context.Context) error {
			if _, err := x.step(ctx, "before", nil); err != nil {
				return err
			}
			if err := Sleep(ctx, "nap", time.Hour); err != nil {
				if _, err := x.step(ctx, "after", nil); err == nil {
					t.Error("a handler that goes on is not kept from the next step")
				}
				return err
			}
			_, err := x.step(ctx, "after", nil)
			return err
		}
		for _, rest := range []time.Duration{time.Hour, 20 * time.Minute} {
			err := x.attempt(true, handler)
			var snooze *SnoozeError
			if !errors.As(err, &snooze) || snooze.For != rest {
				t.Errorf("%v, want a snooze of %v", err, rest)
			}
			time.Sleep(40 * time.Minute)
		}
		if err := x.attempt(true, handler); err != nil {
			t.Error(err)
		}
		if !slices.Equal(x.ran, []string{"before", "after"}) {
			t.Errorf("ran %v", x.ran)
		}
	})
}

// TestALoopGoesOnWhereItWas: also when a row fails, and with steps for each row.
func TestALoopGoesOnWhereItWas(t *testing.T) {
	x := &execution{}
	rows := 4
	handler := func(failAt int) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			c, err := OpenCursor(ctx, "rows", 0)
			if err != nil {
				return err
			}
			for !c.Over() {
				row := c.At() + 1
				if row > rows {
					if err := c.End(); err != nil {
						return err
					}
					break
				}
				if _, err := Step(ctx, "charge", func(context.Context) (int, error) {
					x.ran = append(x.ran, fmt.Sprint("charge", row))
					return row, nil
				}); err != nil {
					return err
				}
				var fail error
				if row == failAt {
					fail = errDown
				}
				if err := Do(ctx, "mail", func(context.Context) error { x.ran = append(x.ran, fmt.Sprint("mail", row)); return fail }); err != nil {
					return err
				}
				if err := c.Save(row); err != nil {
					return err
				}
			}
			if _, err := x.step(ctx, "report", nil); err != nil {
				return err
			}
			if failAt > 0 {
				return errDown
			}
			return nil
		}
	}
	_ = x.attempt(true, handler(3))
	_ = x.attempt(true, handler(9))
	rows = 9 // rows that came later are not of this loop
	if err := x.attempt(true, handler(0)); err != nil {
		t.Error(err)
	}
	want := []string{"charge1", "mail1", "charge2", "mail2", "charge3", "mail3", "mail3", "charge4", "mail4", "report"}
	if !slices.Equal(x.ran, want) {
		t.Errorf("ran %v", x.ran)
	}
}

// TestResultsKeptElsewhere is the way of a package that keeps them in a table.
func TestResultsKeptElsewhere(t *testing.T) {
	x := &execution{}
	table := map[string]string{}
	runs := 0
	handler := func(commit bool) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			p, err := BeginStep(Lane(ctx, "l"), "charge")
			if err != nil {
				return err
			}
			defer p.End()
			if _, ok := p.Result(); ok {
				t.Error("the journal has a result that it was not given")
			}
			key := fmt.Sprint(p.Info().ExecID, p.Lane(), p.Number(), p.Name())
			if _, done := table[key]; done != (p.Noted() && len(table) > 0) {
				t.Errorf("noted %v, in the table %v", p.Noted(), done)
			}
			if _, done := table[key]; !done {
				runs++
				if commit {
					table[key] = "ok"
				}
			}
			if err := p.Note(); err != nil {
				return err
			}
			return errDown
		}
	}
	_ = x.attempt(true, handler(false)) // noted, then rolled back
	_ = x.attempt(true, handler(true))
	_ = x.attempt(true, handler(true))
	if runs != 2 {
		t.Errorf("%d runs", runs)
	}
	if err := x.attempt(true, func(ctx context.Context) error { _, err := BeginStep(Lane(ctx, "l"), "other"); return err }); err == nil ||
		!strings.Contains(err.Error(), `in lane "l" is "other" now, and was "charge"`) {
		t.Error(err)
	}
}
