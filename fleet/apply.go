package fleet

import (
	"errors"
	"weak"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/fleet/internal/register"
)

// known is a breaker of this process.
type known struct {
	weak.Pointer[breaker.Breaker]
	seen   uint64 // Seq of its last transition that was taken in
	behind bool   // its last event was refused: a later transition is on its way
}

// find returns the breaker of a service, or nil.
func (a *agent) find(service string) *breaker.Breaker {
	if b := a.breakers[service].Value(); b != nil {
		return b
	}
	now := a.f.now()
	if now-a.looked < lookEvery {
		return nil
	}
	a.looked = now
	var found *breaker.Breaker
	for _, b := range a.f.sys.Breakers() {
		if p := weak.Make(b); p != a.breakers[b.Service()].Pointer {
			a.breakers[b.Service()] = known{Pointer: p}
		}
		if b.Service() == service {
			found = b
		}
	}
	return found
}

// maxEffects is the most effects in a row that can follow from words: a recovery from a
// round that is over, and what the next one asks for.
const maxEffects = 3

// apply has the breaker here do what follows from the words on an entry.
func (a *agent) apply(k register.Key) {
	b := a.find(k.Service)
	if b == nil { // it may come, or the search was just now
		if a.words.Decide(k, a.alive, a.f.now()).Agreed {
			a.waiting[k] = false
		}
		return
	}
	for range maxEffects {
		effect, ok := a.words.Effect(k, a.alive, a.f.now())
		if !ok || !a.effect(b, &effect) {
			break
		}
	}
	a.say(a.words.Overtaken(k, a.f.now()))
}

// effect moves a breaker. It reports whether another effect may follow.
func (a *agent) effect(b *breaker.Breaker, e *register.Effect) bool {
	own := a.breakers[e.Service]
	var at breaker.State
	var moved bool
	var err error
	switch e.Act {
	case register.Trip:
		_, _, err = b.Trip(e.Entry, e.Until-a.f.now(), e.Reason, own.seen)
	case register.Doubt:
		_, _, err = b.Doubt(e.Entry, e.Reason, own.seen)
	case register.Recover:
		at, moved, err = b.Recover(e.Entry, e.Reason, own.seen)
	}
	probes := e.Act == register.Recover && !moved && (at == breaker.Open || at == breaker.HalfOpen)
	switch {
	case errors.Is(err, breaker.ErrMoved): // it is decided with that transition, which is on its way
		own.behind = true
		a.breakers[e.Service], a.waiting[e.Key] = own, true
		a.words.Undone(e)
		return false
	case err == nil && probes: // the end of the probe says more
		a.waiting[e.Key] = true
		return false
	case e.Act == register.Recover:
		a.words.Recovered(e.Key)
	}
	if err != nil && !errors.Is(err, breaker.ErrStopped) {
		a.f.log.Error("the fleet could not move a breaker", "service", e.Service, "entry", e.Entry, "error", err)
	}
	return true
}
