package breaker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/breaker"
)

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
	if !ok || !errors.Is(p, errBoom) || !bytes.Contains(p.Stack, []byte("messages_test")) {
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
