package chassis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/task"
)

func (s *System) newBreakers() *breaker.Group {
	opts := []breaker.Option{breaker.WithLogger(s.Logger("actors/breaker")), breaker.WithAmbientDeadline(attemptEnd)}
	if s.tracer != nil {
		opts = append(opts, breaker.WithTracer(s.tracer))
	}
	return breaker.NewGroup(breaker.GroupConfig{
		System: s.Actors(), Settings: s.settings.CircuitBreaker, Options: opts, Logger: s.Logger("chassis"),
	})
}

// attemptEnd returns the end of the task's attempt that ctx belongs to. It is no
// deadline of a call: a task may run for hours, and request_timeout holds in it.
func attemptEnd(ctx context.Context) time.Time {
	if job := task.JobFrom(ctx); job != nil {
		return job.Deadline
	}
	return time.Time{}
}

// Breaker returns the breaker of a remote service, scheme://host[:port], and
// spawns it at the first call; opts count at the first call only. Its limits
// are those of the settings' section circuit_breaker for this service. It works
// before [System.Start]. A system has at most 10 000 breakers: what is beyond is
// logged and not guarded. A redirect that a breaker's client follows to another
// service is guarded by that service's breaker, if there is one.
//
// Breaker panics if service is not a URL of this form, and after [System.Stop];
// [breaker.Spawn] returns an error instead.
func (s *System) Breaker(service string, opts ...breaker.Option) *breaker.Breaker {
	b, err := s.breakers.Breaker(service, opts...)
	if errors.Is(err, breaker.ErrStopped) {
		panic(fmt.Sprintf("chassis: Breaker(%q) after the system has stopped", service))
	}
	if err != nil {
		panic(fmt.Sprintf("chassis: Breaker(%q): %v", service, err))
	}
	return b
}

// Breakers returns all breakers, by service.
func (s *System) Breakers() []*breaker.Breaker { return s.breakers.Breakers() }
