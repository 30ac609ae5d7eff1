package breaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// OutlierPolicy says when one of several addresses of a service is left out. The zero
// value of each field means its default. See [EjectOutliers].
type OutlierPolicy struct {
	// Failures is the number of failures in a row after which an address is left out: 1 to
	// 1000. Default 5.
	Failures int
	// Most is the largest share of the addresses that is left out at a time: above 0 and at
	// most 1. Default 0.1. It is at least one address of two or more, and never all of them.
	Most float64
	// Base and Cap bound how long an address is left out: Base the first time, and twice as
	// long each further time, until Cap. Up to a tenth of it is added at random. Default 10 s
	// and 5 min.
	Base, Cap time.Duration
	// Connect is how long a connection to one address may take before another one is tried.
	// Default 1 s. With one address alone the base decides.
	Connect time.Duration
	// Refresh is the time between two lookups of the name, 100 ms or more. Default 10 s. While
	// there are no requests there are no lookups.
	Refresh time.Duration
	// Resolver looks the name up. Default net.DefaultResolver.
	Resolver Resolver
}

// Resolver finds the addresses of a host, as *net.Resolver does. network is "ip".
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// EjectOutliers lets a client spread its requests over all addresses of the service's
// name, and leave out an address that fails while the others answer: one bad pod behind a
// name does not spoil a share of all calls.
//
// Each address has connections of its own, with HTTP/1.1 and HTTP/2: the base's limits of
// connections hold for each address. A request goes to the less busy of two addresses, chosen at random.
// It goes to another one where no connection can be made: nothing was sent then. A retry and a
// hedge take another address than the attempts before them.
//
// What counts for the breaker counts for the address. One with [OutlierPolicy.Failures]
// failures in a row is left out if the last calls to most of the others succeeded. So is one
// with 30 % of at least 20 calls within ten seconds that failed, if that is three times the
// share of the others. If all fail, none is left out: that is for the breaker. An address that is left
// out gets no new requests, and its idle connections are closed. After its time it gets one request at a
// time: three successes in a row bring it back, and one failure leaves it out for longer. A request is
// never refused for want of an address.
//
// The actor of the breaker decides. An address is an entry of its own in
// [Breaker.Snapshot] and [Breaker.Transitions], "@" and the address, while it is left out.
// [Breaker.Addresses] has them all. Of a name with more than 100 addresses, 100 are used.
//
// The base must be an *http.Transport. Requests that go by a proxy are not spread: the
// proxy chooses the address. A DialContext of the base is called with an address in
// place of the name; one of DialTLSContext, or HTTP/2 configured by package
// golang.org/x/net/http2, is an error of the option.
func EjectOutliers() OutlierPolicy { return OutlierPolicy{} }

// The defaults of an OutlierPolicy. Envoy and Finagle have the five failures, and
// Envoy the tenth.
const (
	outlierFailures = 5
	outlierMost     = 0.1
	outlierBase     = 10 * time.Second
	outlierCap      = 5 * time.Minute
	outlierConnect  = time.Second
	outlierRefresh  = 10 * time.Second
	leastRefresh    = 100 * time.Millisecond
	mostFailures    = 1000

	outlierCalls  = 20  // within the window, from which on the share of failures says something
	outlierShare  = 0.3 // of failures
	outlierGap    = 3   // times as many failures as the others have
	outlierGoods  = 3   // successes in a row that bring an address back
	outlierJitter = 0.1
)

func (o OutlierPolicy) plan(p *clientPlan) error {
	o.Failures = cmp.Or(o.Failures, outlierFailures)
	o.Most = cmp.Or(o.Most, outlierMost)
	o.Base = cmp.Or(o.Base, outlierBase)
	o.Cap = cmp.Or(o.Cap, max(outlierCap, o.Base))
	o.Connect, o.Refresh = cmp.Or(o.Connect, outlierConnect), cmp.Or(o.Refresh, outlierRefresh)
	var errs []error
	if o.Failures < 1 || o.Failures > mostFailures {
		errs = append(errs, fmt.Errorf("want Failures of 1 to %d, got %d", mostFailures, o.Failures))
	}
	if !(o.Most > 0 && o.Most <= 1) {
		errs = append(errs, fmt.Errorf("want Most above 0 and at most 1, got %v", o.Most))
	}
	for _, d := range []struct {
		name string
		v    time.Duration
		low  time.Duration
	}{{"Base", o.Base, 1}, {"Cap", o.Cap, o.Base}, {"Connect", o.Connect, 1}, {"Refresh", o.Refresh, leastRefresh}} {
		if d.v < d.low || d.v > maxTime {
			errs = append(errs, fmt.Errorf("%s must be %v to %v, got %v", d.name, d.low, maxTime, d.v))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("breaker: EjectOutliers: %w", err)
	}
	p.outliers = &o
	return nil
}

// outlier is the state of one address. It is a value: step returns the next one.
type outlier struct {
	state State         // Closed: in use; Open: left out; HalfOpen: gets one request at a time
	since int64         // of the state, ns
	until int64         // Open: its end, ns
	wait  time.Duration // for which it was left out last
	times int           // it was left out, since it was well for long
	goods int           // HalfOpen: successes in a row
}

// peers are what is known of an address and of the others when it fails.
type peers struct {
	row          int // failures of the address in a row
	calls, bad   int // of the address, within the window
	good, sick   int // others in use with a success, or a failure, as their last result
	oCalls, oBad int // of the others in use, within the window
	known, out   int // addresses of the name, and those of them that are left out
}

// outlierEvent is one thing that happened to an address.
type outlierEvent struct {
	kind eventKind // evSuccess, evFailure, evTime or evReset
	now  int64
	rnd  float64
	peers
}

// step returns the state after an event and, if it has changed, why. Successes are of
// probes alone: those of an address in use change nothing.
func (o outlier) step(set *OutlierPolicy, e outlierEvent) (outlier, string) {
	switch {
	case e.kind == evReset && o.state != Closed:
		return outlier{state: Closed, since: e.now}, "a reset"
	case e.kind == evReset:
		return outlier{}, ""
	case o.state == Open && e.kind == evTime && e.now >= o.until:
		o.state, o.since, o.until, o.goods = HalfOpen, e.now, 0, 0
		return o, "its time is over"
	case o.state == HalfOpen && e.kind == evFailure:
		return o.eject(set, e), "failed again"
	case o.state == HalfOpen && e.kind == evSuccess:
		if o.goods++; o.goods < outlierGoods {
			return o, ""
		}
		o.state, o.since = Closed, e.now
		return o, fmt.Sprintf("%d successes", outlierGoods)
	case o.state == Closed && e.kind == evFailure:
		reason := set.odd(e.peers)
		if reason == "" || !set.room(e.peers) {
			return o, ""
		}
		if o.times > 0 && e.now-o.since > int64(o.wait) {
			o.times = 0 // it was well for as long as it was left out
		}
		return o.eject(set, e), reason
	}
	return o, ""
}

func (o outlier) eject(set *OutlierPolicy, e outlierEvent) outlier {
	o.wait = backoff(o.times, set.Base, set.Cap, 1)
	o.times = min(o.times+1, 1<<16)
	o.state, o.since, o.goods = Open, e.now, 0
	o.until = e.now + int64(o.wait) + int64(e.rnd*outlierJitter*float64(o.wait))
	return o
}

// odd returns why an address is an outlier, or "".
func (set *OutlierPolicy) odd(p peers) string {
	if p.row >= set.Failures && p.good > p.sick {
		return fmt.Sprintf("%d failures in a row, and %d of %d other addresses answer", p.row, p.good, p.good+p.sick)
	}
	if p.calls < outlierCalls || p.oCalls < outlierCalls {
		return ""
	}
	share, others := float64(p.bad)/float64(p.calls), float64(p.oBad)/float64(p.oCalls)
	if share >= outlierShare && share >= outlierGap*others {
		return fmt.Sprintf("%.0f %% of %d calls failed, and %.0f %% of those to other addresses",
			100*share, p.calls, 100*others)
	}
	return ""
}

// room reports whether one address more may be left out: the limit is of what would be out
// then, and one stays in use.
func (set *OutlierPolicy) room(p peers) bool {
	most := min(max(1, int(set.Most*float64(p.known)+1e-9)), p.known-1)
	return p.out < most
}
