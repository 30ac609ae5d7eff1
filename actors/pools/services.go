package pools

import (
	"net/url"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
)

// services lets the dispatchers see the breakers of the services that tasks call. It
// makes none: a service without a breaker takes all calls.
type services struct{ breakers func() *breaker.Group }

// guards returns what the dispatchers know of services, or nil for nothing.
func (p *Pools) guards() dispatcher.Services {
	if p.cfg.Breakers == nil {
		return nil
	}
	return services{p.cfg.Breakers}
}

// Find implements [dispatcher.Services].
func (s services) Find(at string) dispatcher.Service {
	u, err := url.Parse(at)
	if err != nil {
		return nil
	}
	name := u.Scheme + "://" + u.Host
	g := s.breakers()
	b := g.Find(name)
	if b == nil {
		if name, err = breaker.ParseService(name); err != nil {
			return nil
		}
		if b = g.Find(name); b == nil {
			return nil
		}
	}
	return guard{b, u.EscapedPath()}
}

// guard is a path of a service with a breaker.
type guard struct {
	breaker *breaker.Breaker
	path    string
}

// Look implements [dispatcher.Service].
func (g guard) Look() dispatcher.Outlook {
	return outlook(g.breaker.Service(), g.breaker.Outlook(g.path))
}

// Listen implements [dispatcher.Service].
func (g guard) Listen(changed func()) (stop func(), err error) {
	return g.breaker.Listen(func(breaker.Transition) { changed() })
}

// outlook is what a breaker says, in the words of a dispatcher.
func outlook(service string, o breaker.Outlook) dispatcher.Outlook {
	next := dispatcher.Outlook{URL: service + o.Entry, After: o.After, Probes: o.Probes, Taken: o.Taken,
		Share: o.Share, Slots: o.Slots}
	switch {
	case o.State == breaker.Open, o.State == breaker.ForcedOpen:
		next.State = dispatcher.Refusing
	case o.State == breaker.HalfOpen && o.Probes > 0:
		next.State = dispatcher.Probing
	case o.State == breaker.HalfOpen:
		next.State = dispatcher.Ramping
	}
	return next
}
