package breaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// HedgePolicy says when a client sends a request a second time while the first is still
// without an answer. The zero value of each field means its default. See [Hedge].
type HedgePolicy struct {
	// Quantile is the share of calls that are faster than the time that the second request waits:
	// 0.5 to 0.999, default 0.95. At most the rest of the calls is hedged.
	Quantile float64
	// Least is the shortest wait for the second request. Default 1 ms.
	Least time.Duration
}

// Hedge lets a client send a safe request again if it has no headers after the time within
// which 95 % of the calls of the service had theirs. The first good answer is the caller's;
// the other request is cancelled, and its body closed. The breaker counts a cancelled one as nothing.
//
// Hedged are GET, HEAD, OPTIONS and TRACE, with no body or one that GetBody gives again.
// Two writes at once are another thing than two in turn, also with an idempotency key:
// services answer the second with a conflict, and that may come first. At most one call in
// twenty is hedged, whatever the service does, and each hedge is one of the budget of
// [WithRetryBudget]. It begins after fifty calls that are measured, and is not made while
// the breaker is open or half-open for the path.
func Hedge() HedgePolicy { return HedgePolicy{} }

// The defaults of a HedgePolicy: "The Tail at Scale" (Dean and Barroso, 2013) advises the
// 95th percentile.
const (
	hedgeQuantile = 0.95
	hedgeLeast    = time.Millisecond
)

func (h HedgePolicy) plan(p *clientPlan) error {
	h.Quantile, h.Least = cmp.Or(h.Quantile, hedgeQuantile), cmp.Or(h.Least, hedgeLeast)
	if !(h.Quantile >= 0.5 && h.Quantile <= 0.999) {
		return fmt.Errorf("breaker: Hedge: Quantile must be 0.5 to 0.999, got %v", h.Quantile)
	}
	if h.Least < 0 || h.Least > maxTime {
		return fmt.Errorf("breaker: Hedge: Least must be 0 to %v, got %v", maxTime, h.Least)
	}
	p.hedge = h
	return nil
}

// errHedged is the cause of the end of a request when the other one was faster.
var errHedged = errors.New("circuit breaker: the hedge of the request was faster")

// hedged sends the request, and once more if there is no answer after the quantile.
func (c *repetition) hedged(body io.ReadCloser) (*http.Response, error) {
	begun := time.Now()
	r := &hedgeRace{repetition: c, ended: make(chan struct{})}
	delay := c.shared.times.quantile(c.hedge.Quantile)
	if delay > 0 {
		timer := time.AfterFunc(max(delay, c.hedge.Least), r.second)
		defer timer.Stop()
	}
	returned := false
	defer func() {
		if !returned { // the base panicked
			r.abandon()
		}
	}()
	res, err := c.once(body, r.starts(&r.cancelFirst))
	returned = true
	took := time.Since(begun)
	res, err, own := r.decide(res, err)
	if !own || err == nil && res.StatusCode < http.StatusInternalServerError {
		c.shared.times.add(took) // of a cancelled one: at least this
	}
	return res, err
}

// hedgeRace is a request and its hedge.
type hedgeRace struct {
	*repetition
	ended chan struct{} // closed when the hedge has ended, or was not made

	mu           sync.Mutex
	over         bool // the first has an answer, or has lost
	running      bool // the hedge is, or was, under way
	lost         bool // the first has lost
	cancelFirst  context.CancelCauseFunc
	cancelSecond context.CancelCauseFunc
	wanted       bool           // the first has failed, and waits for the hedge
	res          *http.Response // of the hedge
}

// starts returns a function that keeps the cancellation of an attempt.
func (r *hedgeRace) starts(at *context.CancelCauseFunc) func(context.CancelCauseFunc) {
	return func(cancel context.CancelCauseFunc) {
		r.mu.Lock()
		defer r.mu.Unlock()
		*at = cancel
		if at == &r.cancelSecond && r.over {
			cancel(errHedged)
		}
	}
}

// abandon ends the hedge of a request without an answer.
func (r *hedgeRace) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if r.cancelSecond != nil {
		r.cancelSecond(errHedged)
	}
	if r.res != nil {
		closeBody(r.res)
	}
}

// second is the hedge, on a goroutine of its own.
func (r *hedgeRace) second() {
	r.mu.Lock()
	if r.over || r.cancelFirst == nil || !r.t.b.takesRetry(pathOf(r.req.URL)) {
		r.mu.Unlock()
		return
	}
	if !r.shared.budget.hedge(r.t.b.now()) {
		r.mu.Unlock()
		r.t.b.spent(r.shared)
		return
	}
	r.running = true
	r.mu.Unlock()
	defer close(r.ended)
	res, err := r.sendSecond()
	r.mu.Lock()
	defer r.mu.Unlock()
	good := err == nil && !r.bad(res, nil)
	switch {
	case err != nil:
	case r.over && !r.wanted:
		closeBody(res)
	default:
		r.res = res
		if good && !r.over {
			r.over, r.lost = true, true
			r.cancelFirst(errHedged)
		}
	}
}

// sendSecond makes the hedge. A panic of the base is an error here: the goroutine is ours.
func (r *hedgeRace) sendSecond() (res *http.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			res, err = nil, errors.New("circuit breaker: the base transport panicked in a hedge")
		}
	}()
	body := r.req.Body
	if body != nil && body != http.NoBody {
		if body, err = r.req.GetBody(); err != nil {
			return nil, err
		}
	}
	r.shared.hedges.Add(1)
	return r.once(body, r.starts(&r.cancelSecond))
}

// await waits for the hedge, for as long as the request may take: a base that ignores its
// ctx holds up no answer.
func (r *hedgeRace) await() {
	timer := time.NewTimer(time.Until(r.until))
	defer timer.Stop()
	select {
	case <-r.ended:
	case <-r.req.Context().Done():
	case <-timer.C:
	}
}

// decide returns the answer of the two for the caller, and whether it is the first's.
func (r *hedgeRace) decide(res *http.Response, err error) (_ *http.Response, _ error, own bool) {
	bad := r.bad(res, err)
	r.mu.Lock()
	if !r.running {
		r.over = true
		r.mu.Unlock()
		return res, err, true
	}
	if !r.over {
		r.over = true
		if bad {
			r.wanted = true // the hedge is the retry that is made already
		} else if r.cancelSecond != nil {
			r.cancelSecond(errHedged)
		}
	}
	lost := r.lost
	r.mu.Unlock()
	if bad || lost {
		r.await()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = false // one that ends later is closed
	if r.res != nil && (lost || bad && !r.bad(r.res, nil)) {
		if res != nil {
			closeBody(res)
		}
		return r.res, nil, false
	}
	if r.res != nil {
		closeBody(r.res)
		r.res = nil
	}
	return res, err, true
}
