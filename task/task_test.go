package task_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
)

type jobCtx = context.Context

// get_delay(n) of the contract, n = 0, 1, 2, 3.
func TestWaitProgressions(t *testing.T) {
	const w = 10 * time.Second
	cases := []struct {
		p    task.Progression
		want [4]time.Duration
	}{
		{task.None, [4]time.Duration{0, w, w, w}},
		{task.Arithmetic, [4]time.Duration{0, w, 2 * w, 3 * w}},
		{task.Geometric, [4]time.Duration{0, w, 4 * w, 9 * w}},
		{task.Exponential, [4]time.Duration{0, w, 2 * w, 4 * w}}, // not of the contract
	}
	for _, c := range cases {
		b := task.Backoff{Base: w, Progression: c.p}
		for n, want := range c.want {
			if got := b.Delay(n); got != want {
				t.Errorf("%v: Delay(%d) = %v, want %v", c.p, n, got, want)
			}
		}
	}
	b := task.Backoff{Base: w, Progression: task.Random}
	if b.Delay(0) != 0 {
		t.Error("RANDOM: Delay(0) is not 0")
	}
	for u, want := range map[float64]time.Duration{0: w / 2, 0.5: 12500 * time.Millisecond, 1: 2 * w} {
		if got := b.DelayWith(5, func() float64 { return u }); got != want {
			t.Errorf("RANDOM at U %v: %v, want %v", u, got, want)
		}
	}
}

func TestWaitCapJitterAndHugeNumbers(t *testing.T) {
	b := task.Backoff{Base: time.Minute, Progression: task.Geometric, Cap: time.Hour, Jitter: 0.5}
	if got := b.DelayWith(100, func() float64 { return 0.5 }); got != time.Hour {
		t.Errorf("capped: %v", got)
	}
	if got := b.DelayWith(100, func() float64 { return 0 }); got != 30*time.Minute {
		t.Errorf("low end of the jitter: %v", got)
	}
	huge := task.Backoff{Base: 1 << 62, Progression: task.Geometric}
	if got := huge.Delay(1 << 30); got <= 0 {
		t.Errorf("overflow: %v", got)
	}
	if got := b.Delay(-1); got != 0 {
		t.Errorf("negative n: %v", got)
	}
	huge.Progression = task.Exponential
	if got := huge.Delay(1 << 30); got <= 0 {
		t.Errorf("overflow: %v", got)
	}
}

func TestExponentialHasJitterUnlessItIsSet(t *testing.T) {
	for _, c := range []struct {
		policies []task.Policy
		want     float64
	}{
		{[]task.Policy{task.Wait(time.Second, task.Exponential)}, task.DefaultJitter},
		{[]task.Policy{task.Jitter(0), task.Wait(time.Second, task.Exponential)}, 0},
		{[]task.Policy{task.Wait(time.Second, task.Exponential), task.Jitter(0.1)}, 0.1},
		{[]task.Policy{task.Wait(time.Second, task.Geometric)}, 0},
		{nil, 0},
	} {
		if got := task.NewSpec("t", c.policies...).Wait.Jitter; got != c.want {
			t.Errorf("the jitter is %v, want %v", got, c.want)
		}
	}
	b := task.NewSpec("t", task.Wait(time.Second, task.Exponential)).Wait
	for u, want := range map[float64]time.Duration{0: 2 * time.Second, 0.5: 4 * time.Second} {
		if got := b.DelayWith(3, func() float64 { return u }); got != want {
			t.Errorf("the third pause at U %v is %v, want %v", u, got, want)
		}
	}
}

func TestWaitFuncIsAskedOnceByDefine(t *testing.T) {
	var asked []int
	spec := task.NewSpec("t", task.WaitFunc(func(n int) time.Duration {
		asked = append(asked, n)
		return time.Duration(n) * time.Hour
	}), task.WaitCap(150*time.Minute), task.MaxFailures(4)) // the fourth failure has no pause
	if spec.Err() != nil || !slices.Equal(asked, []int{1, 2, 3}) {
		t.Fatalf("asked %v, error %v", asked, spec.Err())
	}
	for n, want := range []time.Duration{0, time.Hour, 2 * time.Hour, 150 * time.Minute, 150 * time.Minute} {
		if got := spec.Wait.Delay(n); got != want {
			t.Errorf("Delay(%d) = %v, want %v", n, got, want)
		}
	}
	if len(asked) != 3 {
		t.Errorf("asked while the task runs: %v", asked)
	}
	if s := task.NewSpec("t", task.WaitFunc(func(int) time.Duration { return 0 }), task.Wait(time.Minute, task.None)); s.Wait.Delay(1) != time.Minute {
		t.Error("a later Wait does not take the place of WaitFunc")
	}
	if s := task.NewSpec("t", task.MaxFailures(1<<30), task.WaitFunc(func(int) time.Duration { return time.Second })); len(s.Wait.Steps) != 1000 {
		t.Errorf("asked %d times", len(s.Wait.Steps))
	}
}

func TestMistakesOfAWaitFuncAreErrorsOfTheDefinition(t *testing.T) {
	for want, f := range map[string]func(int) time.Duration{
		"panicked for 2 failures: odd": func(n int) time.Duration {
			return []func() time.Duration{nil, func() time.Duration { return 1 }, func() time.Duration { panic("odd") }}[n]()
		},
		"returned -1s for 1 failures":   func(int) time.Duration { return -time.Second },
		"WaitFunc: the function is nil": nil,
	} {
		if err := task.NewSpec("t", task.WaitFunc(f)).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestDefineDefaultsAndPolicies(t *testing.T) {
	s := task.Define[int]("t").Spec()
	if s.MaxFailures != 10 || s.Wait.Base != 10*time.Second || s.Wait.Progression != task.None || s.OnFail.Name != "" || s.Err() != nil {
		t.Errorf("defaults %+v", s)
	}
	s = task.Define[int]("t", task.MaxFailures(1), task.Wait(0, task.Random), task.WaitCap(time.Minute), task.Jitter(0.1),
		task.Deadline(time.Second), task.Lease(30*time.Second), task.OnFailIn("p", "f"), task.Window(0), task.Concurrency(2),
		task.Priority(-1), task.SpendOnOpenBreaker(true)).Spec()
	if s.MaxFailures != 1 || s.Wait.Base != 0 || s.Wait.Cap != time.Minute || s.Wait.Jitter != 0.1 || s.Deadline != time.Second ||
		s.Lease != 30*time.Second || s.OnFail != (task.Target{Pool: "p", Name: "f"}) || *s.WhenWindow != 0 || s.Concurrency != 2 ||
		s.Priority != -1 || !*s.BreakerSpend || s.Err() != nil {
		t.Errorf("policies %+v: %v", s, s.Err())
	}
}

func TestWrongPoliciesAreToldTogether(t *testing.T) {
	d := task.Define[int]("", task.MaxFailures(0), task.Wait(-1, 9), task.WaitCap(-1), task.Jitter(2), task.Deadline(0),
		task.Lease(time.Millisecond), task.OnFail(""), task.Window(-1), task.Concurrency(0))
	err := d.Spec().Err()
	for _, want := range []string{"name is empty", "MaxFailures", "Wait(", "progression", "WaitCap", "Jitter", "Deadline", "Lease", "OnFail", "Window", "Concurrency"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in: %v", want, err)
		}
	}
	if _, err := d.Encode(time.Now(), 1); err == nil {
		t.Error("a wrong definition sends")
	}
}

func TestErrorTextTravels(t *testing.T) {
	long := task.ErrorText(strings.Repeat("東", 5000) + "\x00")
	if len(long) > task.MaxErrorText || !strings.HasSuffix(long, "…") {
		t.Errorf("%d bytes, end %q", len(long), long[len(long)-6:])
	}
	if got := task.ErrorText("a\x00b\nc"); got != "a\ufffdb\nc" {
		t.Errorf("%q", got)
	}
}

func TestOutcomesWrapTheirErrors(t *testing.T) {
	base := errors.New("base")
	for _, err := range []error{task.Cancel(base), task.RetryAfter(base, time.Second)} {
		if !errors.Is(err, base) {
			t.Errorf("%v does not wrap", err)
		}
	}
	var s *task.SnoozeError
	if !errors.As(task.Snooze(-1), &s) || s.For != 0 {
		t.Error("a negative snooze is not 0")
	}
}

func TestJobIsCarriedOn(t *testing.T) {
	ctx := task.WithInfo(t.Context(), &task.Info{JobID: "j", JobName: "n"})
	out, err := task.Encode("t", nil, time.Now(), task.FromContext(ctx))
	if err != nil || *out.Attributes["job_id"].StringValue != "j" || *out.Attributes["job_name"].StringValue != "n" {
		t.Errorf("%+v, %v", out, err)
	}
	if task.FromContext(context.Background()) != nil {
		t.Error("an option outside a task")
	}
}

func TestProgressIsSeen(t *testing.T) {
	info := &task.Info{}
	task.Report(task.WithInfo(t.Context(), info), 3, 10, "third")
	task.Report(t.Context(), 1, 1, "nowhere")
	if p := info.Progress(); p == nil || p.Done != 3 || p.Total != 10 || p.Note != "third" || p.At.IsZero() {
		t.Errorf("%+v", p)
	}
}
