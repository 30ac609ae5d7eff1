package dispatcher

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// TenantStats says how long messages of one tenant have waited on the queue, of those that
// this process received in the last minute or two: from the send to the first receive, both
// by the queue's clock. Copies and scheduled tasks are left out. The zero name is all
// tenants that are not among the first ten.
type TenantStats struct {
	Tenant   string // empty: all others
	Messages uint64
	Dwell    time.Duration // mean
	Longest  time.Duration // of one message
}

// tenantSeconds are [TenantStats] in JSON.
type tenantSeconds struct {
	Tenant   string  `json:"tenant"` // empty: all others
	Messages uint64  `json:"messages"`
	Dwell    float64 `json:"dwell_seconds"`
	Longest  float64 `json:"longest_seconds"`
}

// MarshalJSON implements json.Marshaler.
func (s TenantStats) MarshalJSON() ([]byte, error) {
	return json.Marshal(tenantSeconds{s.Tenant, s.Messages, s.Dwell.Seconds(), s.Longest.Seconds()})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *TenantStats) UnmarshalJSON(text []byte) error {
	var t tenantSeconds
	err := json.Unmarshal(text, &t)
	of := func(n float64) time.Duration { return time.Duration(math.Round(n * float64(time.Second))) }
	*s = TenantStats{t.Tenant, t.Messages, of(t.Dwell), of(t.Longest)}
	return err
}

const (
	dwellWindow = time.Minute
	// mostDwells is the number of tenants that are counted apart in a window; about 1 MB.
	mostDwells = 4096
	topTenants = 10
)

// dwell is what is counted of a tenant.
type dwell struct {
	count        uint64
	sum, longest time.Duration
}

func (d dwell) plus(o dwell) dwell {
	return dwell{d.count + o.count, d.sum + o.sum, max(d.longest, o.longest)}
}

// dwells are the times that messages of tenants have waited on the queue, in the window
// under way and in the one before. It is safe from several goroutines; without tenants it
// costs nothing. The zero value is ready to use.
type dwells struct {
	mu        sync.Mutex // guards all; held for one map access, or for a sort of what is shown
	began     time.Time
	now, last map[string]dwell
	other     [2]dwell // of the tenants beyond mostDwells: in now, in last
}

// note counts a message of a tenant.
func (ds *dwells) note(tenant string, waited time.Duration, now time.Time) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.turn(now)
	one := dwell{1, waited, waited}
	before, known := ds.now[tenant]
	switch {
	case known:
		ds.now[tenant] = before.plus(one)
	case len(ds.now) >= mostDwells:
		ds.other[0] = ds.other[0].plus(one)
	default:
		if ds.now == nil {
			ds.now = map[string]dwell{}
		}
		ds.now[strings.Clone(tenant)] = one // else it keeps the whole message
	}
}

// turn begins a window when the last is over.
func (ds *dwells) turn(now time.Time) {
	age := now.Sub(ds.began)
	if age >= 0 && age < dwellWindow {
		return
	}
	ds.last, ds.other[1] = ds.now, ds.other[0]
	if age < 0 || age >= 2*dwellWindow {
		ds.last, ds.other[1] = nil, dwell{}
	}
	ds.began, ds.now, ds.other[0] = now, nil, dwell{}
}

// top returns the ten tenants with the longest mean dwell time, and the others as one.
func (ds *dwells) top(now time.Time) []TenantStats {
	ds.mu.Lock()
	if len(ds.now)+len(ds.last) == 0 {
		ds.mu.Unlock()
		return nil
	}
	ds.turn(now)
	all := make(map[string]dwell, len(ds.now)+len(ds.last))
	for tenant, d := range ds.last {
		all[tenant] = d
	}
	for tenant, d := range ds.now {
		all[tenant] = all[tenant].plus(d)
	}
	other := ds.other[0].plus(ds.other[1])
	ds.mu.Unlock()
	return ranked(all, other)
}

func ranked(all map[string]dwell, other dwell) (list []TenantStats) {
	for tenant, d := range all {
		list = append(list, TenantStats{tenant, d.count, d.sum / time.Duration(d.count), d.longest})
	}
	slices.SortFunc(list, func(a, b TenantStats) int {
		return cmp.Or(cmp.Compare(b.Dwell, a.Dwell), cmp.Compare(b.Messages, a.Messages),
			strings.Compare(a.Tenant, b.Tenant))
	})
	if len(list) > topTenants {
		for _, s := range list[topTenants:] {
			other = other.plus(s.dwell())
		}
		list = list[:topTenants]
	}
	if other.count > 0 {
		list = append(list, TenantStats{"", other.count, other.sum / time.Duration(other.count), other.longest})
	}
	return list
}

func (s TenantStats) dwell() dwell {
	return dwell{s.Messages, s.Dwell * time.Duration(s.Messages), s.Longest}
}

// sumTenants is the ranking of several pools together.
func sumTenants(lists ...[]TenantStats) []TenantStats {
	all, other := map[string]dwell{}, dwell{}
	for _, list := range lists {
		for _, s := range list {
			if s.Tenant == "" {
				other = other.plus(s.dwell())
			} else {
				all[s.Tenant] = all[s.Tenant].plus(s.dwell())
			}
		}
	}
	return ranked(all, other)
}

// noteDwell counts how long a message has waited on the queue for its first receive.
func (d *dispatcher) noteDwell(e *execution, now time.Time) {
	tenant := d.tenant(e)
	if tenant == "" || e.receives > 1 || e.sent.IsZero() || e.firstReceived.IsZero() || e.msg.Counted ||
		e.msg.Due || !e.msg.NotBefore.IsZero() || e.ours(e.msg.When).After(e.sent.Add(tick)) {
		return
	}
	d.monitor.dwells.note(tenant, max(e.firstReceived.Sub(e.sent), 0), now)
}
