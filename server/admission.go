package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis/server/internal/register"
)

// Admission is a place of a [Limiter], for work that is no HTTP request: a call of gRPC,
// a message of a broker. The zero value is no place, and its End does nothing.
//
//	class := limiter.NewClass() // once, for each kind of work
//
//	place, ok := limiter.Admit(ctx, server.Normal, class)
//	if !ok {
//		return errBusy // try again after limiter.RetryAfter()
//	}
//	err := work(ctx)
//	place.End(err == nil)
type Admission struct {
	limiter *Limiter
	class   int
	since   time.Time
}

// NewClass returns the number of a new class of work: its members take about the same
// time. A limiter keeps all of its classes, so there should be few.
func (l *Limiter) NewClass() int { return l.newClass() }

// Admit returns a place, at once or after a short wait. It reports false if the work is
// shed. Where it reports true, [Admission.End] must follow. [Probe] needs no place.
func (l *Limiter) Admit(ctx context.Context, p Priority, class int) (Admission, bool) {
	if p == Probe {
		return Admission{}, true
	}
	ok, _ := l.acquire(ctx, p)
	if !ok {
		return Admission{}, false
	}
	return Admission{l, class, time.Now()}, true
}

// End gives the place back, the first time that it is called. learn says whether the
// time of the work says something of the load: that of an error or a stream does not.
func (a *Admission) End(learn bool) {
	l := a.limiter
	if l == nil {
		return
	}
	a.limiter = nil
	now, took := time.Now(), time.Duration(0)
	if learn {
		took = max(now.Sub(a.since), 1)
	}
	l.release(a.class, took, now)
}

// RetryAfter returns the time after which work that was shed may be tried again, in
// whole seconds: Limits.RetryAfter, up to twice as long, and different at each call.
func (l *Limiter) RetryAfter() time.Duration {
	seconds := max(1, int64((l.limits.RetryAfter+time.Second-1)/time.Second))
	return time.Duration(seconds+rand.Int64N(seconds+1)) * time.Second
}

// Register registers the metrics of the limiter. It may be called again with the same
// registry; another limiter of the name there is an error.
func (l *Limiter) Register(registerer prometheus.Registerer) error {
	switch old, err := register.Shared(registerer, l); {
	case err != nil:
		return fmt.Errorf("server: register the metrics of limit %q: %w", l.limits.Name, err)
	case old != l:
		return fmt.Errorf("server: register the metrics of limit %q: another limit has this name; give Limits.Name",
			l.limits.Name)
	}
	return nil
}
