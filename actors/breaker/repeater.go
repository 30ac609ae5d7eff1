package breaker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// repeater is a transport that sends a request more than once where it may. Each attempt
// is a call of the breaker.
type repeater struct {
	t *transport
	clientPlan
}

// repeats is what the clients of one breaker that repeat requests share.
type repeats struct {
	budget     *budget
	times      latencyCounts // of first attempts, to their headers
	hedges     atomic.Uint64
	retried    atomic.Uint64
	overBudget atomic.Uint64
	warned     atomic.Int64 // when that was logged last, ns; 0: never
}

// spent counts a retry or a hedge that the budget has refused.
func (b *Breaker) spent(r *repeats) {
	r.overBudget.Add(1)
	if b.scarce(&r.warned) {
		b.logger.Warn("the retry budget of a circuit breaker is spent: calls are not retried",
			slog.String("service", b.service), slog.Uint64("refused", r.overBudget.Load()))
	}
}

// repeated returns what the repeating clients of b share.
func (b *Breaker) repeated() *repeats {
	at := &b.counted().repeats
	for {
		if r := at.Load(); r != nil {
			return r
		}
		var share *budgetShare
		if b.rules != nil {
			share = b.rules.retryBudget
		}
		at.CompareAndSwap(nil, &repeats{budget: newBudget(share)})
	}
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the base.
func (r *repeater) CloseIdleConnections() { r.t.CloseIdleConnections() }

// RoundTrip implements http.RoundTripper.
func (r *repeater) RoundTrip(req *http.Request) (*http.Response, error) {
	t := r.t
	if req.URL == nil || !t.b.serves(req.URL) { // a redirect: the other service has a budget of its own
		other := t.b.guardOf(req.URL)
		if other == nil {
			return t.RoundTrip(req)
		}
		t = t.guarding(other)
	}
	shared := t.b.repeated()
	hedged := 0.0
	if r.hedge.Quantile > 0 {
		hedged = 1 - r.hedge.Quantile
	}
	shared.budget.call(t.b.now(), hedged)
	if r.retry.Most == 0 && hedged == 0 || !repeatable(req) {
		return t.RoundTrip(req)
	}
	c := &repetition{repeater: r, t: t, shared: shared, req: req, until: time.Now().Add(r.retry.Total)}
	if _, spread := t.base.(*balancer); spread {
		c.tried = &tried{}
	}
	return c.run()
}

// repetition is one request of a repeater, with all its attempts.
type repetition struct {
	*repeater
	t      *transport // of the service that the request is for
	shared *repeats
	req    *http.Request
	until  time.Time   // end of the total time
	failed atomic.Bool // the caller's own body has failed
	tried  *tried      // addresses of the attempts; nil unless requests are spread
}

// run sends the request until an answer may be returned.
func (c *repetition) run() (*http.Response, error) {
	res, err := c.attempt(c.req.Body)
	for n := 0; n < c.retry.Most && c.bad(res, err); n++ {
		asked := time.Duration(0)
		if err == nil {
			asked = retryAfter(res.Header)
		}
		wait := waitFor(n, asked, c.retry.Base, c.retry.Cap, c.t.b.draw())
		if !c.hasTime(wait) || !c.t.b.takesRetry(pathOf(c.req.URL)) {
			return res, err
		}
		if !c.shared.budget.take(c.t.b.now()) {
			c.t.b.spent(c.shared)
			return res, err
		}
		begun := time.Now()
		var last *http.Response
		if err == nil {
			last = keep(res)
		}
		if ctxErr := c.pause(wait - time.Since(begun)); ctxErr != nil {
			return nil, ctxErr
		}
		again, againErr := c.again()
		if refused(againErr) && (last != nil || err != nil) {
			return last, err // nothing was sent: the answer before is the last one
		}
		res, err = again, againErr
	}
	return res, err
}

// bad reports whether an answer is one that is tried again.
func (c *repetition) bad(res *http.Response, err error) bool {
	if c.req.Context().Err() != nil || cancelled(c.req) || c.failed.Load() {
		return false
	}
	if err != nil {
		return transient(c.req, err)
	}
	status := res.StatusCode
	return status >= 0 && status < 1000 && c.statuses[status/64]&(1<<(status%64)) != 0
}

// hasTime reports whether a retry may begin after wait.
func (c *repetition) hasTime(wait time.Duration) bool {
	left := time.Until(c.until)
	if at, ok := c.req.Context().Deadline(); ok {
		left = min(left, time.Until(at))
	}
	return wait < left
}

// takesRetry reports whether the breaker would admit a call to path without a slot: the
// slots of a half-open entry are for first attempts.
func (b *Breaker) takesRetry(path string) bool {
	v := b.live()
	if v.kind == viewRefuses || v.kind == viewStopped {
		return false
	}
	d := v.decide(path)
	return d.refusal == nil && !d.slot
}

// refused reports whether err is of an attempt that was not made.
func refused(err error) bool {
	return errors.Is(err, ErrOpen) || errors.Is(err, ErrStopped) || errors.Is(err, ErrLimited) ||
		errors.Is(err, errReread)
}

// errReread is an error of GetBody.
var errReread = errors.New("circuit breaker: the body of a request cannot be read again")

// pause waits before a retry.
func (c *repetition) pause(wait time.Duration) error {
	ctx := c.req.Context()
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-c.req.Cancel: //nolint:staticcheck // deprecated, and still in use
		}
	}
	if cancelled(c.req) {
		return fmt.Errorf("circuit breaker: wait for a retry of %s: %w", c.t.b.service, context.Canceled)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("circuit breaker: wait for a retry of %s: %w", c.t.b.service, err)
	}
	return nil
}

// again sends the request once more, with its body from the start.
func (c *repetition) again() (*http.Response, error) {
	body := c.req.Body
	if body != nil && body != http.NoBody {
		var err error
		if body, err = c.req.GetBody(); err != nil {
			return nil, fmt.Errorf("%w: %w", errReread, err)
		}
		if body == nil {
			return nil, fmt.Errorf("%w: GetBody returned neither a body nor an error", errReread)
		}
	}
	c.shared.retried.Add(1)
	return c.attempt(body)
}

// attempt sends the request, with its hedge where it may have one.
func (c *repetition) attempt(body io.ReadCloser) (*http.Response, error) {
	if c.hedge.Quantile == 0 || !safe(c.req.Method) {
		return c.once(body, nil)
	}
	return c.hedged(body)
}

// once sends the request once. starts gets the cancellation of its ctx, unless it is nil.
// The ctx lasts to the end of the body of the response, and ends with the total time before
// the headers have come.
func (c *repetition) once(body io.ReadCloser, starts func(context.CancelCauseFunc)) (*http.Response, error) {
	ctx := attempting(c.req.Context(), c.retry.Attempt)
	if c.tried != nil {
		ctx = context.WithValue(ctx, triedKey{}, c.tried)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if starts != nil {
		starts(cancel)
	}
	total := time.AfterFunc(time.Until(c.until), func() { cancel(ErrTimeout) })
	req := c.req.WithContext(ctx)
	if req.Body = body; body != nil && body != http.NoBody {
		req.Body = &watchedBody{ReadCloser: body, failed: &c.failed, left: c.req.ContentLength}
	}
	over := false
	defer func() {
		if !over { // the base panicked
			total.Stop()
			cancel(nil)
		}
	}()
	res, err := c.t.RoundTrip(req)
	over = true
	inTime := total.Stop()
	switch {
	case err == nil && !inTime:
		closeBody(res)
		return nil, ErrTimeout
	case err != nil:
		if context.Cause(ctx) == ErrTimeout && !errors.Is(err, ErrTimeout) {
			err = &timedOut{err}
		}
		cancel(nil)
		return nil, err
	}
	if res.Request == req {
		res.Request = c.req
	}
	hold(res, cancel)
	return res, nil
}

// hold ends the ctx of an attempt with the body of its response.
func hold(res *http.Response, cancel context.CancelCauseFunc) {
	if res.Body == nil || res.Body == http.NoBody {
		cancel(nil)
		return
	}
	held := &heldBody{res.Body, cancel}
	if w, ok := res.Body.(io.Writer); ok {
		res.Body = struct {
			*heldBody
			io.Writer
		}{held, w}
		return
	}
	res.Body = held
}

// heldBody is the body of a response, with the end of its attempt's ctx.
type heldBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Read implements io.Reader.
func (h *heldBody) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	if err != nil {
		h.cancel(nil)
	}
	return n, err
}

// Close implements io.Closer.
func (h *heldBody) Close() error {
	defer h.cancel(nil)
	return h.ReadCloser.Close()
}

// watchedBody is the body of a request, and notes that it failed by itself.
type watchedBody struct {
	io.ReadCloser
	failed *atomic.Bool
	closed atomic.Bool // by the base, which wants no more of it
	left   int64       // of what is announced; read by one goroutine
}

// Read implements io.Reader.
func (w *watchedBody) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.left -= int64(n)
	if err != nil && (err != io.EOF || w.left > 0) && !w.closed.Load() {
		w.failed.Store(true) // it broke off, or is shorter than announced
	}
	return n, err
}

// Close implements io.Closer.
func (w *watchedBody) Close() error {
	w.closed.Store(true)
	return w.ReadCloser.Close()
}

// The most that is read of a response that is not returned, and for how long: an error
// page is shorter, and a connection is worth no more.
const (
	mostDrained = 16 << 10
	drainTime   = 100 * time.Millisecond
)

// keep reads the body of a response within bounds and closes it. It returns the response
// with what was read as its body, or nil if that is not all.
func keep(res *http.Response) *http.Response {
	if res.Body == nil || res.Body == http.NoBody {
		return res
	}
	late := time.AfterFunc(drainTime, func() {
		if h, ok := res.Body.(*heldBody); ok {
			h.cancel(nil)
		}
	})
	defer late.Stop()
	defer closeBody(res)
	seen, err := io.ReadAll(io.LimitReader(res.Body, mostDrained+1))
	if err != nil || len(seen) > mostDrained {
		return nil
	}
	kept := *res
	kept.Body = io.NopCloser(bytes.NewReader(seen))
	return &kept
}

func closeBody(res *http.Response) {
	if res.Body != nil {
		_ = res.Body.Close()
	}
}
