package breaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"
)

// ClientOption gives a client of [Breaker.Client] or a transport of [Breaker.Transport]
// more to do: see [Retry].
type ClientOption interface {
	// plan adds the option to the plan of a client, or returns what is wrong with it.
	plan(p *clientPlan) error
}

// clientPlan is what the options of one client ask for.
type clientPlan struct {
	retry    RetryPolicy    // Most is 0 without retries
	hedge    HedgePolicy    // Quantile is 0 without hedges
	statuses *statusSet     // of RetryPolicy.Status
	outliers *OutlierPolicy // nil: requests are not spread over addresses
}

// RetryPolicy says how a client tries again. The zero value of each field but Most means
// its default. See [Retry].
type RetryPolicy struct {
	// Most is the number of retries of a request: 0 to 100. With 3 it is sent four times
	// at most.
	Most int
	// Status lists the statuses that are tried again, written like fail_status. Default
	// "429,500,502,503,504".
	Status string
	// Base and Cap bound the random wait before a retry: it is up to Base before the first
	// one, and up to twice as much before each further one, until Cap. Default 50 ms and 2 s.
	Base, Cap time.Duration
	// Attempt is how long the service may keep one attempt waiting: the time that
	// request_timeout is without it. Default: the settings' limit of the path.
	Attempt time.Duration
	// Total is the time from the start of the request within which the headers of the last
	// attempt must have come. Default 30 s. The deadline of the request's ctx holds as well.
	Total time.Duration
}

// Retry lets a client send a request again that has failed, up to most times, with the
// defaults of [RetryPolicy].
//
// A request is tried again if its method is GET, HEAD, OPTIONS, TRACE, PUT or DELETE, or
// if it has a header Idempotency-Key or X-Idempotency-Key; and if its body can be read
// again: it has none, or GetBody is set, as http.NewRequest does for bytes and strings.
// Others pass as without the option. What is tried again is an error of the connection,
// a wait that was too long, and a status of RetryPolicy.Status. A body that breaks off
// after good headers is not: the caller may have used a part of it.
//
// The breaker counts each attempt as it counts a call. There is no retry while it refuses
// the path or is half-open, none that would begin after RetryPolicy.Total or the deadline
// of ctx, and none beyond the budget of the service: see [WithRetryBudget]. Where a retry
// is not made the caller gets the last answer, be it a response with its body or an error.
// A header Retry-After is obeyed: if it asks for more time than there is, the caller gets
// that response at once. Bodies of responses that are not returned are read up to 16 KiB and for
// up to 100 ms, so that their connections are used again, and closed.
//
// In a task leave the long waits to the task: its retries survive the process, and a
// refusal of the breaker costs them nothing. Retries of a client are for what is gone in
// a second. A client has none unless it is given this option.
func Retry(most int) RetryPolicy { return RetryPolicy{Most: most} }

// The defaults of a RetryPolicy. A retry is for what is gone within seconds; 50 ms is
// about a round trip around the world and some.
const (
	retryStatuses = "429,500,502,503,504"
	retryBase     = 50 * time.Millisecond
	retryCap      = 2 * time.Second
	retryTotal    = 30 * time.Second
	mostRetries   = 100
)

func (r RetryPolicy) plan(p *clientPlan) error {
	var errs []error
	if r.Most < 0 || r.Most > mostRetries {
		errs = append(errs, fmt.Errorf("the number of retries must be 0 to %d, got %d", mostRetries, r.Most))
	}
	r.Status = cmp.Or(r.Status, retryStatuses)
	r.Base, r.Total = cmp.Or(r.Base, retryBase), cmp.Or(r.Total, retryTotal)
	r.Cap = cmp.Or(r.Cap, max(retryCap, r.Base))
	for _, d := range []struct {
		name string
		v    time.Duration
		low  time.Duration
	}{{"Base", r.Base, 1}, {"Cap", r.Cap, r.Base}, {"Attempt", r.Attempt, 0}, {"Total", r.Total, 1}} {
		if d.v < d.low || d.v > maxTime {
			errs = append(errs, fmt.Errorf("%s must be %v to %v, got %v", d.name, d.low, maxTime, d.v))
		}
	}
	set, err := parseStatuses(r.Status)
	if err != nil {
		errs = append(errs, fmt.Errorf("the list Status: %w", err))
	}
	p.retry, p.statuses = r, set
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("breaker: Retry: %w", err)
	}
	return nil
}

// withOptions returns the transport with what the options ask for.
func (t *transport) withOptions(opts []ClientOption) http.RoundTripper {
	if len(opts) == 0 {
		return t
	}
	r := &repeater{t: t}
	_ = Retry(0).plan(&r.clientPlan) // the times of hedges
	for _, opt := range opts {
		if opt == nil {
			return unusable{errors.New("breaker: an option of a client is nil"), t}
		}
		if err := opt.plan(&r.clientPlan); err != nil {
			return unusable{err, t}
		}
	}
	if r.outliers != nil {
		g, err := t.b.balance(t.base, *r.outliers)
		if err != nil {
			return unusable{err, t}
		}
		t.base, t.conns = g, &connLimit{max: math.MaxInt32} // each address has the limit of the base
	}
	if r.retry.Most == 0 && r.hedge.Quantile == 0 {
		return t
	}
	return r
}

// unusable is a transport with options that are wrong: each request says so.
type unusable struct {
	err error
	*transport
}

// RoundTrip implements http.RoundTripper.
func (u unusable) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, u.err
}

// attemptLimit is the value of a ctx under patienceKey for an attempt of a client that
// retries: the limit of each wait, or 0 for the settings'. A later deadline of the caller
// does not take its place, for the attempt is not all that the caller has.
type attemptLimit time.Duration

// attempting returns the ctx of one attempt, unless the caller has set a patience.
func attempting(ctx context.Context, limit time.Duration) context.Context {
	if ctx.Value(patienceKey{}) != nil {
		return ctx
	}
	return context.WithValue(ctx, patienceKey{}, attemptLimit(limit))
}
