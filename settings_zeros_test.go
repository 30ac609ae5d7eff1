package chassis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
)

// yaml is a file of settings.
func yaml(text string) settings.Option {
	return settings.Bytes("chassis.yaml", settings.YAML, []byte(text))
}

// A file says 0 where 0 means nothing: the file is refused.
func TestAZeroForABreakersLimitIsAMistake(t *testing.T) {
	for _, key := range []string{
		"request_timeout", "open_timeout", "closed_fail_limit", "closed_success_limit", "half_fail_limit", "half_success_limit",
		"half_probe_limit", "max_entries", "max_depth", "log_size", "open_max", "health_interval", "forget_after", "failure_rate", "slow_rate", "min_calls",
		"probe_timeout", "hang_time", "window",
	} {
		for _, text := range []string{"circuit_breaker: {" + key + ": 0}\n", "circuit_breaker: {services: {https://a.internal: {" + key + ": 0}}}\n"} {
			if _, err := chassis.LoadSettings(yaml(text)); err == nil || !strings.Contains(err.Error(), key) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	for _, text := range []string{"request_timeout: 7, open_timeout: 1s, closed_fail_limit: 1, ramp: 0, hang_limit: 0", "slow_call: 0, open_jitter: 0, window_calls: 0", "open_timeout: 600"} {
		if _, err := chassis.LoadSettings(yaml("circuit_breaker: {" + text + "}\n")); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The same of the other sections.
func TestAZeroOfASectionIsAMistake(t *testing.T) {
	for _, text := range []string{
		"tasks: {task_timeout: 0}", "tasks: {receive_wait: 0}", "tasks: {max_receives: 0}", "tasks: {max_requests: 0}", "tasks: {settle_linger: 0}",
		"tasks: {queue_request_timeout: 0}", "tasks: {lease_notice: 0}", "tasks: {hold_limit: 0}", "tasks: {weight: 0}", `tasks: {dead_letter_pool: ""}`,
		"tasks: {workers: 0}", "tasks: {unknown_tasks_delay: 0}", "queue: {max_attempts: 0}", "queue: {max_backoff: 0}", "queue: {idle_connections: 0}",
		"tasks: {pools: {p: {workers: 0}}}", "tasks: {pools: {p: {max_workers: 0}}}", "tasks: {pools: {p: {scale_factor: 0}}}", "tasks: {pools: {p: {task_timeout: 0}}}",
		"tasks: {pools: {p: {weight: 0}}}", `tasks: {pools: {p: {dead_letter_pool: ""}}}`, `circuit_breaker: {fail_status: ""}`, `circuit_breaker: {trip: ""}`,
	} {
		if _, err := chassis.LoadSettings(yaml(text)); err == nil || !strings.Contains(err.Error(), "leave it out") && !strings.Contains(err.Error(), "at least 1") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"tasks: {when_window: 0, priority: 0, total_workers: 0, settle_linger: -1s, unknown_tasks_delay: 3600, pools: {p: {priority: 0}}}", "tasks: {}"} {
		if _, err := chassis.LoadSettings(yaml(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A service sets false, 0s, 0 and "" over what the section gives for all.
func TestAServiceSetsALimitBackToZero(t *testing.T) {
	const file = `circuit_breaker:
  bound_calls: true
  ramp: 30s
  hang_limit: 5
  open_jitter: 0.5
  health_url: /health
  services:
    https://a.internal: {bound_calls: false, ramp: 0s, hang_limit: 0, open_jitter: 0, health_url: ""}
    https://b.internal: {request_timeout: 30s}
`
	s, err := chassis.LoadSettings(yaml(file))
	if err != nil {
		t.Fatal(err)
	}
	if a := s.CircuitBreaker.Of("https://a.internal"); a.BoundCalls || a.Ramp != 0 || a.HangLimit != 0 || a.OpenJitter != 0 || a.HealthURL != "" || a.Zeros != "" {
		t.Errorf(`bound_calls %v, ramp %v, hang_limit %d, open_jitter %v, health_url %q; want false, 0s, 0, 0 and ""`, a.BoundCalls, a.Ramp, a.HangLimit, a.OpenJitter, a.HealthURL)
	}
	if b := s.CircuitBreaker.Of("https://b.internal"); !b.BoundCalls || b.HangLimit != 5 || b.HealthURL != "/health" {
		t.Errorf("a service that leaves them out: %+v, want what is given for all", b)
	}
	code := chassis.BreakerSettings{Settings: s.CircuitBreaker.Settings, Services: map[string]chassis.ServiceLimits{"https://c.internal": {Zeros: "ramp"}}}
	if c := code.Of("https://c.internal"); c.Ramp != 0 || c.HangLimit != 5 {
		t.Errorf("from code: %+v", c)
	}

	// A zero that comes while the system runs is a change, and is in force.
	without, err := chassis.LoadSettings(yaml(strings.Replace(file, "bound_calls: false, ", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	sys, _ := newSystem(t, func(into *chassis.Settings) { *into = without })
	a := sys.Breaker("https://a.internal")
	if !a.Settings().BoundCalls {
		t.Fatal("bound_calls is not as for all")
	}
	changes, err := sys.Apply(t.Context(), s)
	if err != nil || len(changes) != 1 || changes[0].Path != `circuit_breaker.services."https://a.internal".bound_calls` || changes[0].New != "false" || a.Settings().BoundCalls {
		t.Errorf("changes %+v, %v; in force %v", changes, err, a.Settings().BoundCalls)
	}
}

// A service is added to circuit_breaker.services while the system runs.
func TestAnAddedServiceIsAChangeOfEachOfItsLimits(t *testing.T) {
	before, after := chassis.DefaultSettings(), chassis.DefaultSettings()
	after.CircuitBreaker.Services = map[string]chassis.ServiceLimits{"https://a.internal": {RequestTimeout: 30 * time.Second}}
	got := fmt.Sprint(settings.Diff(before, after))
	if want := `[{circuit_breaker.services."https://a.internal".request_timeout  30s true}]`; got != want {
		t.Errorf("the change is %s, want %s", got, want)
	}
}
