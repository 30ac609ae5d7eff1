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
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/task"
)

// maxBreakers bounds the breakers of a system: a service that makes one for each
// host that a stranger names must not be filled up by it.
const maxBreakers = 10_000

// beyondLimit is the service of the breaker that stands for all beyond
// maxBreakers. It guards nothing: it admits every call, and requests to other
// services pass through it.
const beyondLimit = "https://beyond-the-limit-of-breakers.invalid"

// breakers holds the breakers of a system, one a service.
type breakers struct {
	mu   sync.Mutex                  // guards the map; a breaker's state is its actor's
	each map[string]*breaker.Breaker // by [breaker.Breaker.Service]
	most int                         // maxBreakers
}

// Breaker returns the breaker of a remote service, scheme://host[:port], and
// spawns it at the first call; opts count at the first call only. Its limits
// are those of the settings' section circuit_breaker for this service. It works
// before [System.Start]. A system has at most 10 000 breakers: what is beyond is
// logged and not guarded. A redirect that a breaker's client follows to another
// service is guarded by that service's breaker, if there is one.
//
// A service that is no such URL is a mistake in the program and panics, as
// does a call after [System.Stop]; use [breaker.Spawn] to get an error instead.
func (s *System) Breaker(service string, opts ...breaker.Option) *breaker.Breaker {
	b, first := s.breaker(service, opts)
	if !first {
		return b
	}
	if err := b.ForceClosed("", 0); err != nil && !errors.Is(err, breaker.ErrStopped) {
		panic(fmt.Sprintf("chassis: Breaker(%q): %v", service, err))
	}
	s.Logger("chassis").Error("the service has too many breakers: calls to further services are not guarded",
		"most", s.breakers.most, "service", clip.ID(service))
	return b
}

// breaker returns the breaker of a service, and whether it is the first one that
// is beyond the limit.
func (s *System) breaker(service string, opts []breaker.Option) (b *breaker.Breaker, first bool) {
	s.breakers.mu.Lock()
	defer s.breakers.mu.Unlock()
	if s.breakers.each == nil {
		panic(fmt.Sprintf("chassis: Breaker(%q) after the system has stopped", service))
	}
	if b, ok := s.breakers.each[service]; ok {
		return b, false
	}
	name, err := breaker.ParseService(service)
	if err != nil {
		panic(fmt.Sprintf("chassis: Breaker(%q): %v", service, err))
	}
	if b, ok := s.breakers.each[name]; ok { // the same, written in another way
		return b, false
	}
	if len(s.breakers.each) >= s.breakers.most {
		if b, ok := s.breakers.each[beyondLimit]; ok {
			return b, false
		}
		name, opts, first = beyondLimit, nil, true
	}
	if b, err = s.spawnBreaker(name, opts); err != nil {
		panic(fmt.Sprintf("chassis: Breaker(%q): %v", service, err))
	}
	return b, first
}

// find returns the breaker of a service, or nil.
func (s *System) find(service string) *breaker.Breaker {
	s.breakers.mu.Lock()
	defer s.breakers.mu.Unlock()
	return s.breakers.each[service]
}

// spawnBreaker is called with the lock held.
func (s *System) spawnBreaker(name string, opts []breaker.Option) (*breaker.Breaker, error) {
	own := []breaker.Option{
		breaker.WithLogger(s.Logger("actors/breaker")), breaker.WithFinder(s.find), breaker.WithAmbientDeadline(attemptEnd),
	}
	if s.tracer != nil {
		own = append(own, breaker.WithTracer(s.tracer))
	}
	opts = append(own, opts...) // own options first: the caller's go over them
	b, err := breaker.Spawn(s.Actors(), name, s.Settings().CircuitBreaker.Of(name), opts...)
	if err != nil {
		return nil, err
	}
	s.breakers.each[name] = b
	return b, nil
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
