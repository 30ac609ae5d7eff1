package breaker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/breaker"
)

func TestOperators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Settings{ClosedFailLimit: 1})
		check := func(what string, want map[string]bool) {
			t.Helper()
			for path, admitted := range want {
				err := b.Do(t.Context(), path, succeed)
				if (err == nil) != admitted || (b.Check(path) == nil) != admitted {
					t.Errorf("%s: %q: %v, %v; want admitted %v", what, path, err, b.Check(path), admitted)
				}
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(b.ForceOpen("/v1/", 0))
		check("open /v1", map[string]bool{"": true, "/v2": true, "/v1": false, "/v1/send": false, "/v10": true})
		must(b.ForceClosed("/v1/health", 0))
		check("but for /v1/health", map[string]bool{"/v1": false, "/v1/health": true, "/v1/health/deep": true})
		must(b.Reset("/v1"))
		check("reset", map[string]bool{"/v1": true, "/v1/health": true})

		must(b.ForceOpen("", time.Minute))
		check("all for a minute", map[string]bool{"": false, "/v1": false})
		if open, ok := errors.AsType[*breaker.OpenError](b.Check("")); !ok || open.State != breaker.ForcedOpen || open.RetryAfter() != time.Minute {
			t.Error(b.Check(""))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		check("the minute is over", map[string]bool{"": true, "/v1": true})

		must(b.ForceClosed("", time.Minute))
		for range 20 {
			_ = b.Do(t.Context(), "/v1", fail)
		}
		check("forced closed counts nothing", map[string]bool{"": true, "/v1": true})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := len(b.Snapshot().Entries); got != 1 {
			t.Errorf("%d entries after forced closed: %+v", got, b.Snapshot().Entries)
		}

		must(b.MetricsOnly("", 0))
		_ = b.Do(t.Context(), "", fail)
		check("metrics only", map[string]bool{"": true, "/v1": true})
		if s := b.Snapshot().Entries[0]; s.State != breaker.MetricsOnly || s.Own != breaker.Open {
			t.Errorf("metrics only: %+v", s)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for range 10 {
			_ = b.Do(t.Context(), "", succeed)
		}
		if s := b.Snapshot().Entries[0]; s.State != breaker.MetricsOnly || s.Own != breaker.Closed {
			t.Errorf("metrics only, recovered: %+v", s)
		}
		shadows := 0
		for _, tr := range b.Transitions(0) {
			if tr.Shadow {
				shadows++
			}
		}
		if shadows != 3 {
			t.Errorf("%d shadow transitions, want open, half-open, closed: %v", shadows, b.Transitions(0))
		}
		must(b.Reset(""))

		if err := b.ForceOpen("/a", -1); err == nil {
			t.Error("a negative time was taken")
		}
		if err := b.ForceOpen(strings.Repeat("/a", 100), 0); err == nil || !strings.Contains(err.Error(), "max_depth") {
			t.Errorf("too deep: %v", err)
		}
		states := breaker.Replay(b.Transitions(0))
		for _, e := range b.Snapshot().Entries {
			if states[e.Entry] != e.State {
				t.Errorf("%q is %v, the log leads to %v", e.Entry, e.State, states[e.Entry])
			}
		}
	})
}

func TestLiveSettingsKeepStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Settings{})
		for range 5 {
			_ = b.Do(t.Context(), "/a", fail)
		}
		if err := b.SetSettings(breaker.Settings{ClosedFailLimit: 6, OpenTimeout: time.Minute}); err != nil {
			t.Fatal(err)
		}
		_ = b.Do(t.Context(), "/a", fail)
		if b.State() != breaker.Open {
			t.Fatal("the count of failures was lost")
		}
		if err := b.SetSettings(breaker.Settings{OpenTimeout: time.Second}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		if b.State() != breaker.Open {
			t.Fatal("an open time that had begun was changed")
		}
		before := b.Settings()
		err := b.SetSettings(breaker.Settings{OpenTimeout: -1, FailureRate: 2, Trip: "sometimes", FailStatus: "5xxx"})
		if err == nil || b.Settings() != before {
			t.Fatal("wrong settings were taken")
		}
		for _, key := range []string{"open_timeout", "failure_rate", "trip", "fail_status"} {
			if !strings.Contains(err.Error(), key) {
				t.Errorf("%s is missing in: %v", key, err)
			}
		}
	})
}

func TestSpawnRefusesGarbage(t *testing.T) {
	system := newSystem(t)
	for _, service := range []string{"", "mail", "mail.internal", "://x", "http://", "http://a/b", "http://a?x", "http://u@a", "http:a", "http://[::1", "http://a:b:c"} {
		if b, err := breaker.Spawn(system, service, breaker.Settings{}); err == nil {
			t.Errorf("%q was taken as %s", service, b.Service())
			_ = b.Stop(t.Context())
		} else if !strings.Contains(err.Error(), fmt.Sprintf("%q", service)) {
			t.Errorf("%q: the error does not say which: %v", service, err)
		}
	}
	for service, want := range map[string]string{"HTTP://Mail.Internal:80/": "http://mail.internal", "https://a:443": "https://a", "https://a:8443": "https://a:8443", "http://[::1]:80": "http://[::1]"} {
		b, err := breaker.Spawn(system, service, breaker.Settings{})
		if err != nil {
			t.Errorf("%s: %v", service, err)
			continue
		}
		if b.Service() != want {
			t.Errorf("%s became %s, want %s", service, b.Service(), want)
		}
		_ = b.Stop(t.Context())
	}
	if _, err := breaker.Spawn(nil, "http://a", breaker.Settings{}); err == nil {
		t.Error("no system was taken")
	}
	for name, opt := range map[string]breaker.Option{"logger": breaker.WithLogger(nil), "classifier": breaker.WithClassifier(nil), "health": breaker.WithHealth(nil)} {
		if _, err := breaker.Spawn(system, "http://a", breaker.Settings{}, opt); err == nil {
			t.Errorf("a nil %s was taken", name)
		}
	}
	if d := breaker.DefaultSettings(); d.RequestTimeout != 5*time.Second || d.OpenTimeout != 10*time.Second || d.ClosedFailLimit != 10 ||
		d.ClosedSuccessLimit != 1 || d.HalfFailLimit != 1 || d.HalfSuccessLimit != 10 {
		t.Errorf("the defaults are not those of the Python chassis: %+v", d)
	}
}

func TestListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBreaker(t, breaker.Settings{ClosedFailLimit: 1, LogSize: 8}, breaker.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
		var seen []uint64
		slow := make(chan struct{})
		listen := func(f func(breaker.Transition)) func() {
			stop, err := b.Listen(f)
			if err != nil {
				t.Fatal(err)
			}
			return stop
		}
		stop := listen(func(tr breaker.Transition) { seen = append(seen, tr.Seq); _ = b.Snapshot(); _ = b.Transitions(0) })
		listen(func(breaker.Transition) { panic("listener") })
		listen(func(breaker.Transition) { runtime.Goexit() })
		listen(func(breaker.Transition) { <-slow })
		for range 3 {
			_ = b.Do(t.Context(), "", fail)
			if err := b.Reset(""); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if !slices.Equal(seen, []uint64{1, 2, 3, 4, 5, 6}) {
			t.Errorf("seen %v", seen)
		}
		stop()
		_ = b.Do(t.Context(), "", fail)
		synctest.Wait()
		if len(seen) != 6 {
			t.Error("a stopped listener was called")
		}
		for range 20 {
			_ = b.Reset("")
			_ = b.Do(t.Context(), "", fail)
		}
		close(slow)
		synctest.Wait()
		log := b.Transitions(0)
		if len(log) < 8 || len(log) > 12 || log[len(log)-1].Seq != b.Snapshot().Seq {
			t.Errorf("%d transitions kept of log_size 8", len(log))
		}
		if got := b.Transitions(log[len(log)-3].Seq); len(got) != 2 {
			t.Errorf("%d transitions since the third last", len(got))
		}
		if got := b.Transitions(1 << 40); len(got) != 0 {
			t.Errorf("%d transitions from the future", len(got))
		}
		if text := out.String(); !strings.Contains(text, "transition.to=open") || !strings.Contains(text, "a listener of a circuit breaker panicked") {
			t.Errorf("log: %s", text)
		}
		if _, err := b.Listen(nil); err == nil {
			t.Error("a nil listener was taken")
		}
	})
}

func TestMessages(t *testing.T) {
	b := newBreaker(t, breaker.Settings{ClosedFailLimit: 1})
	root := b.System().Root
	ask := func(m any) any {
		t.Helper()
		res, err := root.RequestFuture(b.PID(), m, 5*time.Second).Result()
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		return res
	}
	events := make(chan breaker.Transition, 10)
	watcher := root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if tr, ok := c.Message().(*breaker.Transition); ok {
			events <- *tr
		}
	}))
	ask(&breaker.Subscribe{To: watcher})

	if res := ask(&breaker.Call{Path: "/a", Fn: succeed}).(*breaker.CallResult); res.Err != nil {
		t.Error(res.Err)
	}
	if res := ask(&breaker.Call{Path: "/a"}).(*breaker.CallResult); res.Err == nil {
		t.Error("a Call without Fn was taken")
	}
	if res := ask(&breaker.Call{Path: "/a", Fn: func(context.Context) error { runtime.Goexit(); return nil }}).(*breaker.CallResult); res.Err == nil {
		t.Error("a Goexit came back as nothing")
	}
	if tr := <-events; tr.To != breaker.Open {
		t.Errorf("%+v", tr)
	}
	<-events
	ask(&breaker.Reset{})
	ask(&breaker.Reset{})
	p, ok := errors.AsType[*breaker.PanicError](ask(&breaker.Call{Path: "/a", Fn: func(context.Context) error { panic(errBoom) }}).(*breaker.CallResult).Err)
	if !ok || !errors.Is(p, errBoom) || !bytes.Contains(p.Stack, []byte("operator_test")) {
		t.Errorf("%v", p)
	}
	if res := ask(&breaker.Call{Path: "/a", Fn: succeed}).(*breaker.CallResult); !errors.Is(res.Err, breaker.ErrOpen) {
		t.Error(res.Err)
	}
	if res := ask(&breaker.Admit{Path: "/a"}).(*breaker.Admitted); !errors.Is(res.Err, breaker.ErrOpen) {
		t.Error(res.Err)
	}
	ask(&breaker.Reset{})
	ask(&breaker.Change{Settings: breaker.Settings{ClosedFailLimit: 2}})
	if res := ask(&breaker.Change{Settings: breaker.Settings{OpenTimeout: -1}}).(*breaker.Done); res.Err == nil {
		t.Error("wrong settings were taken")
	}
	admitted := ask(&breaker.Admit{Path: "/a"}).(*breaker.Admitted)
	if admitted.Err != nil {
		t.Fatal(admitted.Err)
	}
	for range 2 { // the second one is settled already
		root.Send(b.PID(), &breaker.Report{Permit: admitted.Permit, Verdict: breaker.Failure})
	}
	s := ask(&breaker.GetSnapshot{}).(*breaker.Snapshot)
	if s.Entries[0].Failures != 1 {
		t.Errorf("a permit that was settled twice counts %d times", s.Entries[0].Failures)
	}
	if s.Settings.ClosedFailLimit != 2 || s.Service != b.Service() {
		t.Errorf("%+v", s)
	}
	if text, err := json.Marshal(s); err != nil || !bytes.Contains(text, []byte(`"state":"`)) {
		t.Errorf("%s %v", text, err)
	}
	ask(&breaker.Reset{})
	if res := ask(&breaker.Force{Path: "/a", To: breaker.ForcedOpen}).(*breaker.Done); res.Err != nil || b.StateOf("/a") != breaker.ForcedOpen {
		t.Error(res.Err)
	}
	if res := ask(&breaker.Force{Path: "/a", To: breaker.HalfOpen}).(*breaker.Done); res.Err == nil {
		t.Error("forced half-open was taken")
	}
	if log := ask(&breaker.GetTransitions{}).(*breaker.Transitions).Log; len(log) == 0 {
		t.Error("no log")
	}
	ask(&breaker.Unsubscribe{To: watcher})
	for _, m := range []any{"garbage", 42, &actor.PID{}} {
		if unknown, ok := ask(m).(*actors.Unhandled); !ok || unknown.Message != m || !strings.Contains(unknown.Error(), "package breaker") {
			t.Errorf("%T was answered with %v", m, unknown)
		}
	}
	root.Send(b.PID(), "garbage")
	root.Send(b.PID(), 42)
	root.Send(b.PID(), &breaker.Report{})
	root.Send(b.PID(), &breaker.Call{})
	if s := ask(&breaker.GetSnapshot{}).(*breaker.Snapshot); s.Restarts != 0 {
		t.Errorf("garbage restarted it %d times", s.Restarts)
	}
	root.Stop(watcher)
}

// TestMessagesAreTakenAsValues too, and what has several answers under way knows
// which is which.
func TestMessagesAreTakenAsValues(t *testing.T) {
	b := newBreaker(t, breaker.Settings{ClosedFailLimit: 1})
	ask := func(m any) any {
		t.Helper()
		res, err := b.System().Root.RequestFuture(b.PID(), m, 5*time.Second).Result()
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		return res
	}
	watcher := b.System().Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	defer b.System().Root.Stop(watcher)
	for _, m := range []any{
		breaker.Force{Path: "/f", To: breaker.ForcedOpen, Tag: 7}, breaker.Reset{Path: "/f", Tag: 7}, breaker.Change{Settings: breaker.Settings{ClosedFailLimit: 1}, Tag: 7},
		breaker.Subscribe{To: watcher, Tag: 7}, breaker.Unsubscribe{To: watcher, Tag: 7},
	} {
		if done, ok := ask(m).(*breaker.Done); !ok || done.Tag != 7 || done.Err != nil {
			t.Errorf("%T was answered with %+v", m, done)
		}
	}
	if s, ok := ask(breaker.GetSnapshot{}).(*breaker.Snapshot); !ok || s.Service != b.Service() {
		t.Errorf("%+v", s)
	}
	if log, ok := ask(breaker.GetTransitions{Tag: 7}).(*breaker.Transitions); !ok || log.Tag != 7 || len(log.Log) != 2 {
		t.Errorf("%+v", log)
	}
	value := ask(breaker.Call{Path: "/v", Tag: 7, Get: func(context.Context) (any, error) { return 42, nil }}).(*breaker.CallResult)
	if value.Value != 42 || value.Err != nil || value.Tag != 7 || value.Path != "/v" {
		t.Errorf("%+v", value)
	}
	if both := ask(breaker.Call{Fn: succeed, Get: func(context.Context) (any, error) { return 1, nil }}).(*breaker.CallResult); both.Err == nil {
		t.Error("a Call with Fn and Get was taken")
	}
	admitted := ask(breaker.Admit{Path: "/a", Tag: 7}).(*breaker.Admitted)
	if admitted.Err != nil || admitted.Tag != 7 || admitted.Path != "/a" {
		t.Fatalf("%+v", admitted)
	}
	b.System().Root.Send(b.PID(), breaker.Report{Permit: admitted.Permit, Verdict: breaker.Failure})
	refused := ask(breaker.Admit{Path: "/a"}).(*breaker.Admitted)
	open, ok := refused.Err.(*breaker.OpenError)
	if !ok || b.State() != breaker.Open {
		t.Fatalf("%+v", refused)
	}
	open.Service = "mine"
	if again, _ := errors.AsType[*breaker.OpenError](b.Check("/a")); again.Service != b.Service() {
		t.Error("what one actor was given changed what others see")
	}
}

// TestACallCarriesItsContext: job and trace come with it, and its end ends the Call.
func TestACallCarriesItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Settings{})
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "job 7"))
		results := make(chan *breaker.CallResult, 2)
		root := b.System().Root
		asker := root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				for _, tag := range []string{"slow", "quick"} {
					c.Request(b.PID(), &breaker.Call{Path: "/a", Ctx: ctx, Tag: tag, Get: func(ctx context.Context) (any, error) {
						if tag == "slow" {
							<-ctx.Done()
						}
						return ctx.Value(key{}), ctx.Err()
					}})
				}
			case *breaker.CallResult:
				results <- m
			}
		}))
		defer root.Stop(asker)
		if r := <-results; r.Tag != "quick" || r.Value != "job 7" || r.Err != nil {
			t.Errorf("%+v", r)
		}
		cancel()
		if r := <-results; r.Tag != "slow" || !errors.Is(r.Err, context.Canceled) {
			t.Errorf("%+v", r)
		}
		if failures(b) != 0 {
			t.Error("the asker's cancellation was counted")
		}
		for name, call := range map[string]*breaker.Call{
			"request_timeout":  {Path: "/a"},
			"a later deadline": {Path: "/a"},
		} {
			want := 5 * time.Second
			if name == "a later deadline" {
				ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
				defer cancel()
				call.Ctx, want = ctx, 8*time.Second
			}
			call.Fn = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			begun := time.Now()
			if _, err := root.RequestFuture(b.PID(), call, time.Minute).Result(); err != nil || time.Since(begun) != want {
				t.Errorf("%s: ended after %v, want %v (%v)", name, time.Since(begun), want, err)
			}
		}
	})
}

func TestDoGuardsItsCaller(t *testing.T) {
	b := newBreaker(t, breaker.Settings{})
	if v, err := breaker.Execute(t.Context(), b, "/a", func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Error(v, err)
	}
	if v, err := breaker.Execute(t.Context(), b, "/a", func(context.Context) (int, error) { return 8, errBoom }); v != 8 || err != errBoom {
		t.Error(v, err)
	}
	if failures(b) != 1 {
		t.Error(failures(b))
	}
	_ = b.Do(t.Context(), "/a", func(context.Context) error { return breaker.Ignore(errBoom) })
	if failures(b) != 1 {
		t.Error("an ignored error was counted")
	}
	if err := b.Do(t.Context(), "/a", func(context.Context) error { return breaker.Succeed(errBoom) }); !errors.Is(err, errBoom) || failures(b) != 0 {
		t.Error(err, failures(b))
	}
	p, err := b.Acquire("/a")
	if err != nil {
		t.Fatal(err)
	}
	p.Done(t.Context(), errBoom)
	p.Done(t.Context(), errBoom) // is settled
	(&breaker.Permit{}).Settle(breaker.Failure)
	if failures(b) != 1 {
		t.Error(failures(b))
	}
	if breaker.Ignore(nil) != nil || breaker.Succeed(nil) != nil || breaker.After(nil, 1) != nil {
		t.Error("no error was marked")
	}
}
