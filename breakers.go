package chassis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/task"
)

// breakers holds the breakers of a system, one a service.
type breakers struct {
	mu   sync.Mutex                  // guards the map; a breaker's state is its actor's
	each map[string]*breaker.Breaker // by [breaker.Breaker.Service]
}

// Breaker returns the breaker of a remote service, scheme://host[:port], and
// spawns it at the first call; opts count at the first call only. Its limits
// are those of the settings' section circuit_breaker for this service. It works before [System.Start].
//
// A service that is no such URL is a mistake in the program and panics, as
// does a call after [System.Stop]; use [breaker.Spawn] to get an error instead.
func (s *System) Breaker(service string, opts ...breaker.Option) *breaker.Breaker {
	s.breakers.mu.Lock()
	defer s.breakers.mu.Unlock()
	if s.breakers.each == nil {
		panic(fmt.Sprintf("chassis: Breaker(%q) after the system has stopped", service))
	}
	if b, ok := s.breakers.each[service]; ok {
		return b
	}
	name, err := breaker.ParseService(service)
	if err != nil {
		panic(fmt.Sprintf("chassis: Breaker(%q): %v", service, err))
	}
	if b, ok := s.breakers.each[name]; ok { // the same, written in another way
		return b
	}
	own := []breaker.Option{breaker.WithLogger(s.Logger("actors/breaker")), breaker.WithAmbientDeadline(attemptEnd)}
	if s.tracer != nil {
		own = append(own, breaker.WithTracer(s.tracer))
	}
	opts = append(own, opts...)
	b, err := breaker.Spawn(s.actors.system, name, s.Settings().CircuitBreaker.Of(name), opts...)
	if err != nil {
		panic(fmt.Sprintf("chassis: Breaker(%q): %v", service, err))
	}
	s.breakers.each[name] = b
	return b
}

// attemptEnd returns the end of the task's attempt that ctx belongs to. It is no
// deadline of a call: a task may run for hours, and request_timeout holds in it.
func attemptEnd(ctx context.Context) time.Time {
	if job := task.JobFrom(ctx); job != nil {
		return job.Deadline
	}
	return time.Time{}
}

// Breakers returns all breakers, by service.
func (s *System) Breakers() []*breaker.Breaker {
	s.breakers.mu.Lock()
	defer s.breakers.mu.Unlock()
	all := make([]*breaker.Breaker, 0, len(s.breakers.each))
	for _, b := range s.breakers.each {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b *breaker.Breaker) int {
		return strings.Compare(a.Service(), b.Service())
	})
	return all
}

func (s *System) stopBreakers(ctx context.Context) error {
	s.breakers.mu.Lock()
	all := s.breakers.each
	s.breakers.each = nil // from here on none is made
	s.breakers.mu.Unlock()
	var errs []error
	for _, b := range all {
		if err := b.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("breaker %s: %w", b.Service(), err))
		}
	}
	return errors.Join(errs...)
}
