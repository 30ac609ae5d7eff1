package dispatcher

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sambatech/chassis/task"
)

// Settings of the dispatcher, in the section tasks, as the poller's. A zero
// field is its default.
type Settings struct {
	Workers     int `key:"workers" rule:"min=1" live:"true" doc:"executions at once, default 3"`
	MaxWorkers  int `key:"max_workers" rule:"min=1" live:"true" doc:"executions at once that scaling may go up to, default 6; not more than workers: no scaling"`
	ScaleFactor int `key:"scale_factor" rule:"min=1" live:"true" doc:"waiting messages for each worker before one is added, default 100"`

	UnknownTasksRetries int           `key:"unknown_tasks_retries" rule:"min=1" doc:"how many times unknown_tasks_delay a message with an unknown task name waits before it is dead-lettered, default 50"`
	UnknownTasksDelay   time.Duration `key:"unknown_tasks_delay" rule:"min=1s,max=12h" doc:"its first pause, default 10s; the next ones are up to six times as long, and 15 minutes at most"`
	WhenWindow          time.Duration `key:"when_window" rule:"min=0s" doc:"how early a scheduled task may run, default 0: never early; a task's own Window goes before"`

	HoldLimit time.Duration `key:"hold_limit" rule:"optional,positive,max=1h" doc:"longest wait that is spent in place with the lease kept, default 30s; after a longer one a copy runs"`
	MaxHeld   int           `key:"max_held" rule:"min=1" doc:"messages that may wait in place at once, default 1000; beyond it every wait gives the message back"`

	DeadLetterPool string `key:"dead_letter_pool" rule:"optional,nonempty" doc:"queue of what cannot be run, default the pool's name with _dead"`
	Exhausted      string `key:"exhausted" rule:"oneof=dead_letter|finish" doc:"what becomes of a failed task without an on_fail: dead_letter (default), or finish: logged and deleted"`

	DrainTimeout      time.Duration  `key:"drain_timeout" rule:"min=1s" doc:"time that running tasks get at a stop, default 20s"`
	AbandonAfter      time.Duration  `key:"abandon_after" rule:"min=100ms" doc:"time that a handler gets to end after its ctx was cancelled, default 5s; then it is abandoned"`
	CrashSuspects     string         `key:"crash_suspects" rule:"oneof=alone|together" doc:"how messages run after two deliveries in a row that ended without a result: one at a time in a process, while healthy work goes on (alone, default), or together"`
	OpenBreakerSpends bool           `key:"open_breaker_spends" doc:"whether an attempt refused by an open breaker spends a failure, default false"`
	PostponedShare    float64        `key:"postponed_share" rule:"min=0.01,max=1" doc:"share of the 120 000 messages in flight that SQS allows above which nothing is hidden and waits are spent by delayed copies, default 0.5"`
	RetentionPeriod   time.Duration  `key:"retention_period" rule:"min=60s,max=336h" doc:"how long the queue keeps a message, default 96h as of SQS; a scheduled one is renewed before"`
	Limits            Limits         `key:"limits"`
	TenantWeights     map[string]int `key:"tenant_weights" doc:"turns of a tenant among those whose messages wait in this process, by its key, 1 to 1000; default 1 each"`
	MaxAbandoned      int            `key:"max_abandoned" rule:"min=1" doc:"abandoned handlers still running above which no new tasks are taken, default 1000"`
}

// DefaultSettings returns all defaults. Those that the Python chassis has are
// the same there.
func DefaultSettings() Settings { return Settings{}.withDefaults() }

func (s Settings) withDefaults() Settings {
	def(&s.Workers, 3)
	def(&s.MaxWorkers, 6)
	def(&s.ScaleFactor, 100)
	def(&s.UnknownTasksRetries, 50)
	def(&s.UnknownTasksDelay, 10*time.Second)
	def(&s.HoldLimit, 30*time.Second)
	def(&s.MaxHeld, 1000)
	def(&s.Exhausted, "dead_letter")
	def(&s.DrainTimeout, 20*time.Second)
	def(&s.AbandonAfter, 5*time.Second)
	def(&s.CrashSuspects, "alone")
	def(&s.PostponedShare, 0.5)
	def(&s.RetentionPeriod, 96*time.Hour)
	def(&s.MaxAbandoned, 1000)
	return s
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Validate returns an error for every value that is out of its range, joined. Zero
// values are in range.
func (s Settings) Validate() error {
	s = s.withDefaults()
	var errs []error
	check := func(ok bool, key string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("tasks.%s is %v: must be %s", key, value, want))
		}
	}
	check(s.Workers > 0, "workers", s.Workers, "more than 0")
	check(s.MaxWorkers > 0, "max_workers", s.MaxWorkers, "more than 0")
	check(s.ScaleFactor > 0, "scale_factor", s.ScaleFactor, "more than 0")
	check(s.UnknownTasksRetries > 0, "unknown_tasks_retries", s.UnknownTasksRetries, "more than 0")
	check(s.UnknownTasksDelay >= time.Second && s.UnknownTasksDelay <= 12*time.Hour, "unknown_tasks_delay",
		s.UnknownTasksDelay, "1s to 12h")
	check(s.WhenWindow >= 0, "when_window", s.WhenWindow, "0 or more")
	check(s.HoldLimit > 0 && s.HoldLimit <= time.Hour, "hold_limit", s.HoldLimit, "more than 0, at most 1h")
	check(s.MaxHeld > 0, "max_held", s.MaxHeld, "more than 0")
	check(s.Exhausted == "dead_letter" || s.Exhausted == "finish", "exhausted", s.Exhausted, "dead_letter or finish")
	check(s.DrainTimeout > 0, "drain_timeout", s.DrainTimeout, "more than 0")
	check(s.AbandonAfter > 0, "abandon_after", s.AbandonAfter, "more than 0")
	check(s.CrashSuspects == "alone" || s.CrashSuspects == "together", "crash_suspects", s.CrashSuspects,
		"alone or together")
	check(s.PostponedShare > 0 && s.PostponedShare <= 1, "postponed_share", s.PostponedShare, "more than 0, at most 1")
	check(s.RetentionPeriod >= time.Minute && s.RetentionPeriod <= 14*24*time.Hour, "retention_period",
		s.RetentionPeriod, "60s to 336h, what SQS takes")
	check(s.MaxAbandoned > 0, "max_abandoned", s.MaxAbandoned, "more than 0")
	for tenant, weight := range s.TenantWeights {
		if err := task.CheckTenant(tenant); err != nil {
			errs = append(errs, fmt.Errorf("tasks.tenant_weights: %w", err))
		}
		check(weight >= 1 && weight <= 1000, "tenant_weights."+tenant, weight, "1 to 1000")
	}
	return errors.Join(errs...)
}

// DeadLetterPool is the queue for what pool's dispatcher cannot run. A FIFO
// queue's is a FIFO queue.
func DeadLetterPool(pool string) string {
	if base, ok := strings.CutSuffix(pool, ".fifo"); ok {
		return base + "_dead.fifo"
	}
	return pool + "_dead"
}
