package chassis

import (
	"errors"
	"fmt"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/internal/clip"
)

// consoleBreakers shows and steers the breakers.
type consoleBreakers struct{ sys *System }

func (d consoleBreakers) Breakers() []admin.Breaker {
	all := d.sys.Breakers()
	list := make([]admin.Breaker, len(all))
	for i, b := range all {
		s := b.Snapshot()
		list[i] = admin.Breaker{Service: s.Service, State: s.State.String(), Seq: s.Seq, Restarts: s.Restarts, Entries: make([]admin.BreakerEntry, len(s.Entries))}
		for k, e := range s.Entries {
			list[i].Entries[k] = admin.BreakerEntry{Path: e.Entry, State: e.State.String(), Own: e.Own.String(), Failures: e.Failures,
				Successes: e.Successes, Probes: e.Probes, Hanging: e.Hanging, Opens: e.Opens, Until: e.Until}
		}
	}
	return list
}

func (d consoleBreakers) find(service string) (*breaker.Breaker, error) {
	for _, b := range d.sys.Breakers() {
		if b.Service() == service || clip.IsCut(service) && clip.ID(b.Service()) == service {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: the service has no breaker of %q", admin.ErrNotFound, service)
}

// path returns the path of the entry that is shown as p: the page shows a long
// one cut.
func path(b *breaker.Breaker, p string) string {
	if clip.IsCut(p) {
		for _, e := range b.Snapshot().Entries {
			if clip.ID(e.Entry) == p {
				return e.Entry
			}
		}
	}
	return p
}

func (d consoleBreakers) Transitions(service string, since uint64) ([]admin.Transition, error) {
	b, err := d.find(service)
	if err != nil {
		return nil, err
	}
	log := b.Transitions(since)
	list := make([]admin.Transition, len(log))
	for i, t := range log {
		list[i] = admin.Transition{Service: t.Service, Seq: t.Seq, At: t.At, Path: t.Entry, From: t.From.String(), To: t.To.String(), Shadow: t.Shadow, Reason: t.Reason}
	}
	return list, nil
}

func (d consoleBreakers) Force(service, shown, to string, wait time.Duration) error {
	b, err := d.find(service)
	if err != nil {
		return err
	}
	path := path(b, shown)
	switch to {
	case breaker.ForcedOpen.String():
		err = b.ForceOpen(path, wait)
	case breaker.ForcedClosed.String():
		err = b.ForceClosed(path, wait)
	case breaker.MetricsOnly.String():
		err = b.MetricsOnly(path, wait)
	default:
		return fmt.Errorf("%w: %q is no state that can be forced", admin.ErrInvalid, to)
	}
	return refused(err)
}

func (d consoleBreakers) Reset(service, shown string) error {
	b, err := d.find(service)
	if err != nil {
		return err
	}
	return refused(b.Reset(path(b, shown)))
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
