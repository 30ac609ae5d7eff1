package breaker

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// The retry budget of a service without [WithRetryBudget]. Linkerd and Finagle use the
// same share and floor.
const (
	DefaultRetryShare = 0.2
	DefaultRetryFloor = 10.0
)

// WithRetryBudget bounds the retries and hedges of the service, by all clients of the
// breaker together. Within ten seconds they are at most share times the calls, or floor
// times ten if that is more. share is 0 to 1, default [DefaultRetryShare]; floor is 0 or
// more a second, default [DefaultRetryFloor]. With 0 for both there are no retries. The
// calls are those by clients with [Retry] or [Hedge]; each counts once.
func WithRetryBudget(share, floor float64) Option {
	return func(b *Breaker) error {
		var errs []error
		if !(share >= 0 && share <= 1) {
			errs = append(errs, fmt.Errorf("breaker: WithRetryBudget: share must be 0 to 1, got %v", share))
		}
		if !(floor >= 0 && floor <= maxFloor) {
			errs = append(errs, fmt.Errorf("breaker: WithRetryBudget: floor must be 0 to %d a second, got %v",
				maxFloor, floor))
		}
		b.ruled().retryBudget = &budgetShare{share, floor}
		return errors.Join(errs...)
	}
}

const maxFloor = 1_000_000

// budgetShare is how much of the calls of a service may be retried.
type budgetShare struct{ share, floor float64 }

// budget counts the calls and the extra attempts of the last ten seconds. It is the one
// of a service: the breaker owns it, and it outlives restarts of the actor.
type budget struct {
	budgetShare
	mu     sync.Mutex
	second int64 // of the newest slot, on the breaker's clock
	slots  [budgetSeconds]struct{ calls, extra uint32 }
	calls  int64 // of all slots
	extra  int64
	hedges float64 // that calls have earned and no hedge has used
}

const (
	budgetSeconds = 10 // the window of Finagle's budget
	mostHedges    = 10 // that are saved up: a pause in slow answers is no store for a storm of hedges
)

func newBudget(s *budgetShare) *budget {
	if s == nil {
		s = &budgetShare{DefaultRetryShare, DefaultRetryFloor}
	}
	return &budget{budgetShare: *s}
}

// call counts a call at now, in ns. hedged is the share of calls that may be hedged.
func (b *budget) call(now int64, hedged float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slot(now).calls++
	b.calls++
	b.hedges = min(b.hedges+hedged, mostHedges)
}

// take reports whether there may be one more attempt at now, and counts it.
func (b *budget) take(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spend(now)
}

// hedge is take for a hedge: it must have been earned by calls as well.
func (b *budget) hedge(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hedges < 1 || !b.spend(now) {
		return false
	}
	b.hedges--
	return true
}

// spend is take under the mutex.
func (b *budget) spend(now int64) bool {
	slot := b.slot(now)
	if float64(b.extra+1) > max(b.share*float64(b.calls), b.floor*budgetSeconds) {
		return false
	}
	slot.extra++
	b.extra++
	return true
}

// slot returns the slot of now, and forgets those that are ten seconds old. A now from
// before the newest slot, of a caller that was held up, counts there.
func (b *budget) slot(now int64) *struct{ calls, extra uint32 } {
	second := now / int64(time.Second)
	for range min(second-b.second, budgetSeconds) {
		b.second++
		old := &b.slots[b.second%budgetSeconds]
		b.calls -= int64(old.calls)
		b.extra -= int64(old.extra)
		*old = struct{ calls, extra uint32 }{}
	}
	if second > b.second { // a pause: all slots are empty
		b.second = second
	}
	return &b.slots[b.second%budgetSeconds]
}
