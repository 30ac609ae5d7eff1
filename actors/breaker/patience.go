package breaker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// never is later than every time on the breaker's clock, ns.
const never = math.MaxInt64

// patience is how long the service may keep one call waiting: for its headers,
// and for each piece of its body.
type patience struct {
	limit    time.Duration // 0 for without limit
	source   source        // of limit
	deadline deadline
	left     time.Duration // to the deadline, with deadlineLater; else 0
}

// source is where the limit of a wait comes from.
type source uint8

const (
	fromSettings source = iota // request_timeout
	fromCaller                 // given for the call or its path: it holds for probes and event streams too
)

// String returns the name of the source.
func (s source) String() string { return [...]string{"settings", "caller"}[s] }

// deadline is what the deadline of the caller's ctx means for a wait.
type deadline uint8

const (
	deadlineNone   deadline = iota // the limit ends the wait
	deadlineSooner                 // the ctx ends by itself before the limit
	deadlineLater                  // it is the caller's own, and takes the place of a limit that ends earlier
)

// String returns the name of the deadline.
func (d deadline) String() string { return [...]string{"none", "sooner", "later"}[d] }

// clock returns the time at which a clock of ours would end the wait, or 0 if
// none is needed.
func (w patience) clock() time.Duration {
	if w.deadline == deadlineSooner {
		return 0
	}
	return w.limit
}

type patienceKey struct{}

// WithPatience returns a ctx for a call that the service may keep waiting for d:
// for its headers, and for each further piece of its body. It takes the place of
// request_timeout, probe_timeout and the setting patience for this call, and holds for
// text/event-stream as well. With 0 or below the call waits without limit.
func WithPatience(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, max(d, 0))
}

// WithAmbientDeadline names the deadline of a ctx that is not the caller's own
// for the call, like the end of a task's attempt, or the zero time. A later
// deadline of the caller's own takes the place of request_timeout; an ambient
// one does not.
func WithAmbientDeadline(f func(ctx context.Context) time.Time) Option {
	return func(b *Breaker) error {
		if f == nil {
			return errors.New("breaker: WithAmbientDeadline: the function is nil")
		}
		b.ruled().ambient = f
		return nil
	}
}

// Patience returns how long the service may keep a call to path waiting under
// ctx, or 0 for without limit: by [WithPatience], else by the caller's own
// deadline if it is later than the settings' limit, else by the settings.
func (b *Breaker) Patience(ctx context.Context, path string) time.Duration {
	w := b.patience(ctx, path, b.view.Load().set)
	return max(w.limit, w.left)
}

// patience returns the patience of a call to path under ctx.
func (b *Breaker) patience(ctx context.Context, path string, set *config) patience {
	w := patience{limit: set.RequestTimeout}
	own := ctx.Value(patienceKey{})
	d, byCall := own.(time.Duration)
	switch {
	case byCall:
		w.limit, w.source = d, fromCaller
	case set.patience != nil:
		if d, ok := set.patienceOf(path); ok {
			w.limit, w.source = d, fromCaller
		}
	}
	attempt, repeats := own.(attemptLimit)
	if attempt > 0 {
		w.limit, w.source = time.Duration(attempt), fromSettings
	}
	if at, ok := ctx.Deadline(); ok && w.limit > 0 {
		switch left := time.Until(at); {
		case left <= w.limit:
			w.deadline = deadlineSooner
		case byCall, repeats:
		case b.rules == nil || b.rules.ambient == nil || !b.rules.ambient(ctx).Equal(at):
			w.limit, w.deadline, w.left = 0, deadlineLater, left
		}
	}
	return w
}

// pathPatience is one entry of the setting patience.
type pathPatience struct {
	path string
	d    time.Duration // 0 for without limit
}

// patienceOf returns the patience of the longest prefix of path that has one.
func (c *config) patienceOf(path string) (d time.Duration, ok bool) {
	longest := -1
	for _, p := range c.patience {
		if len(p.path) > longest && below(path, p.path) {
			longest, d, ok = len(p.path), p.d, true
		}
	}
	return d, ok
}

// below reports whether a clean prefix is path or one of its parents.
func below(path, prefix string) bool {
	for want, rest := nextSegment(prefix); want != ""; want, rest = nextSegment(rest) {
		var seg string
		if seg, path = nextSegment(path); seg != want {
			return false
		}
	}
	return true
}

// parsePatience reads the setting patience: a list like /events=none,/reports=2m.
func parsePatience(list string) (all []pathPatience, err error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		path, text, found := strings.Cut(strings.TrimSpace(part), "=")
		text = strings.TrimSpace(text)
		p := pathPatience{path: cleanPath(strings.TrimSpace(path))}
		if text != "none" {
			if p.d, err = time.ParseDuration(text); err != nil || p.d <= 0 || p.d > maxTime {
				found = false
			}
		}
		if !found || !strings.HasPrefix(strings.TrimSpace(path), "/") {
			return nil, fmt.Errorf("patience: %q is no path with a time: want a list like /events=none,/reports=2m, "+
				"each time above 0 and at most %v", part, maxTime)
		}
		all = append(all, p)
	}
	return all, nil
}
