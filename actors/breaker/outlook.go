package breaker

import (
	"context"
	"errors"
	"time"
)

// Outlook is what a call to one path would meet now. See [Breaker.Outlook].
type Outlook struct {
	State  State         // Closed: all are admitted; Open or ForcedOpen: none; HalfOpen: some
	Entry  string        // the deepest entry on the path that is not closed
	After  time.Duration // until the state ends by itself, or a slot is free; 0: not known
	Probes int           // half-open: slots for calls in flight; 0 in a ramp
	Taken  int           // half-open: of the slots, those taken
	Share  float64       // in a ramp: share of the calls that is admitted; else 0
	Slots  uint64        // slots given out so far by this breaker, to any call
}

// Outlook returns what a call to path would meet now. It reads what the actor has
// published: it takes no slot, sends no message, and counts as no call. A breaker
// that is stopped, or held closed by an operator, is Closed.
func (b *Breaker) Outlook(path string) Outlook {
	v := b.view.Load()
	o := Outlook{Slots: v.slots}
	if v.kind == viewQuiet || v.kind == viewStopped {
		return o
	}
	now := b.clock.look()
	if held := v.held(path); held != nil {
		if held.over == ForcedOpen {
			o.State, o.Entry, o.After = ForcedOpen, held.path, left(held.overEnd, now)
		}
		return o
	}
	for n := v.root; n != nil; n, path = n.next(path) {
		if n.state != Closed {
			o.meet(n, v.set, now)
		}
	}
	return o
}

// meet adds an entry that is not closed. The strictest of them decides.
func (o *Outlook) meet(n *node, set *config, now int64) {
	o.Entry = n.path
	switch {
	case n.state == Open:
		o.State, o.After = Open, max(o.After, left(n.until, now))
	case o.State == Open:
	case n.ramping():
		if share := n.share(now); o.Share == 0 || share < o.Share {
			o.Share = share
		}
		o.State = HalfOpen
	default:
		if free := set.HalfProbeLimit - len(n.probes); o.Probes == 0 || free < o.Probes-o.Taken {
			o.Probes, o.Taken, o.After = set.HalfProbeLimit, len(n.probes), 0
			if free <= 0 {
				o.After = left(n.free(), now)
			}
		}
		o.State = HalfOpen
	}
}

// left returns the time until an instant of the breaker's clock, or 0.
func left(until, now int64) time.Duration {
	if until == 0 {
		return 0
	}
	return max(0, time.Duration(until-now))
}

// WithWitness has f called with the ctx and the path of each call that counts as a
// failure, before it is counted. f must return at once, and not use the breaker. It is not
// called for a [Permit.Settle], which has no ctx; see [Permit.SettleFor].
func WithWitness(f func(ctx context.Context, service, path string)) Option {
	return func(b *Breaker) error {
		if f == nil {
			return errors.New("breaker: WithWitness: the function is nil")
		}
		b.ruled().witness = f
		return nil
	}
}

func (b *Breaker) witness(ctx context.Context, path string) {
	if b.rules != nil && b.rules.witness != nil {
		b.rules.witness(ctx, b.service, path)
	}
}

// WithPacing has a ramp admit the calls for which f is true: their caller runs no
// more of them at once than the ramp's share. f must return at once.
func WithPacing(f func(ctx context.Context, service string) bool) Option {
	return func(b *Breaker) error {
		if f == nil {
			return errors.New("breaker: WithPacing: the function is nil")
		}
		b.ruled().paced = f
		return nil
	}
}

func (b *Breaker) paced(ctx context.Context) bool {
	return b.rules != nil && b.rules.paced != nil && b.rules.paced(ctx, b.service)
}
