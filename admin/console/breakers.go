package console

import (
	"errors"
	"fmt"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/internal/clip"
)

// breakers implements [admin.Breakers].
type breakers struct{ group *breaker.Group }

func (d breakers) Breakers() []admin.Breaker {
	all := d.group.Breakers()
	list := make([]admin.Breaker, len(all))
	for i, b := range all {
		list[i].Snapshot, list[i].Calls = b.Snapshot(), b.HTTPCalls
		if l, ok := b.Limit(); ok {
			list[i].Limit = &l
		}
		list[i].Spread = spread(b.Addresses())
	}
	return list
}

// spread returns the number of addresses in each state, or nil without any.
func spread(all []breaker.Address) map[string]int {
	if len(all) == 0 {
		return nil
	}
	by := map[string]int{breaker.Closed.String(): 0, breaker.Open.String(): 0, breaker.HalfOpen.String(): 0}
	for _, a := range all {
		by[a.State.String()]++
	}
	return by
}

func (d breakers) find(service string) (*breaker.Breaker, error) {
	for _, b := range d.group.Breakers() {
		if b.Service() == service || clip.IsCut(service) && clip.ID(b.Service()) == service {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: the service has no breaker of %q", admin.ErrNotFound, service)
}

// entryPath returns the path of the entry that is shown as p: the page shows a long
// one cut.
func entryPath(b *breaker.Breaker, p string) string {
	if clip.IsCut(p) {
		for _, e := range b.Snapshot().Entries {
			if clip.ID(e.Entry) == p {
				return e.Entry
			}
		}
	}
	return p
}

func (d breakers) Transitions(service string, since uint64) ([]breaker.Transition, error) {
	b, err := d.find(service)
	if err != nil {
		return nil, err
	}
	return b.Transitions(since), nil
}

func (d breakers) Force(service, shown string, to breaker.State, wait time.Duration) error {
	b, err := d.find(service)
	if err != nil {
		return err
	}
	path := entryPath(b, shown)
	switch to {
	case breaker.ForcedOpen:
		err = b.ForceOpen(path, wait)
	case breaker.ForcedClosed:
		err = b.ForceClosed(path, wait)
	case breaker.MetricsOnly:
		err = b.MetricsOnly(path, wait)
	default:
		return fmt.Errorf("%w: %v is no state that can be forced", admin.ErrInvalid, to)
	}
	return refused(err)
}

func (d breakers) Reset(service, shown string) error {
	b, err := d.find(service)
	if err != nil {
		return err
	}
	return refused(b.Reset(entryPath(b, shown)))
}

func refused(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, breaker.ErrStopped):
		return fmt.Errorf("%w: %w", admin.ErrNotNow, err)
	}
	return fmt.Errorf("%w: %w", admin.ErrInvalid, err)
}
