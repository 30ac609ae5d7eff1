package breaker_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

func TestTheEndOfAForcedStateIsLogged(t *testing.T) {
	for _, to := range []breaker.State{breaker.ForcedOpen, breaker.ForcedClosed, breaker.MetricsOnly} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			b := newBreaker(t, breaker.Settings{}, breaker.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
			force := map[breaker.State]func(string, time.Duration) error{breaker.ForcedOpen: b.ForceOpen,
				breaker.ForcedClosed: b.ForceClosed, breaker.MetricsOnly: b.MetricsOnly}[to]
			if err := force("/v1", 5*time.Minute); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5*time.Minute + time.Second)
			synctest.Wait()
			if log := out.String(); strings.Count(log, "\n") != 2 || !strings.Contains(log, "the operator's time is over") {
				t.Errorf("%v:\n%s", to, log)
			}
		})
	}
}
