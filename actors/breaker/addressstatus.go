package breaker

import (
	"net/netip"
	"time"
)

// Address is one address of a service: see [EjectOutliers].
type Address struct {
	Addr netip.AddrPort `json:"addr"`
	// State is Closed for one in use, Open for one that is left out, and HalfOpen for one
	// that gets one request at a time.
	State    State     `json:"state"`
	Until    time.Time `json:"until,omitzero"`  // Open: the end of it
	Times    int       `json:"times,omitempty"` // it was left out of late
	InFlight int       `json:"in_flight"`
	Failures int       `json:"failures"` // in a row
	// Unreachable is true if the last connection could not be made: the address is the
	// last choice for a while.
	Unreachable bool `json:"unreachable,omitempty"`
}

// Addresses returns the addresses that the clients with [EjectOutliers] know of the
// service, in order. It sends no message.
func (b *Breaker) Addresses() []Address {
	list := b.knownAddresses().all()
	all := make([]Address, len(list))
	for i, a := range list {
		a.mu.Lock()
		row := a.row
		a.mu.Unlock()
		all[i] = Address{Addr: a.at, State: a.is(), Until: b.wall(a.until.Load()), Times: int(a.times.Load()),
			InFlight: int(a.inFlight.Load()), Failures: row, Unreachable: a.down.Load() > b.now()}
	}
	return all
}

// addressEntries returns the entries of the addresses that are left out.
func (b *Breaker) addressEntries() (all []EntryStatus) {
	for _, a := range b.Addresses() {
		if a.State == Closed {
			continue
		}
		all = append(all, EntryStatus{Entry: "@" + a.Addr.String(), State: a.State, Own: a.State,
			Failures: a.Failures, Opens: a.Times, Until: a.Until})
	}
	return all
}
