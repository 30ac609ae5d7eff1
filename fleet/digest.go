package fleet

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/fleet/internal/register"
	"github.com/sambatech/chassis/internal/clip"
)

// Digest is what a member says of itself, every two seconds.
type Digest struct {
	Member  string             `json:"m"`
	Number  uint64             `json:"n"` // a higher one is newer
	Version string             `json:"v,omitempty"`
	State   string             `json:"s,omitempty"` // of its System
	Page    string             `json:"p,omitempty"` // URL of its admin server, as others reach it
	Started int64              `json:"t,omitempty"` // seconds since it was started
	Rates   map[string]float64 `json:"r,omitempty"` // calls a second that it admits, by shared rate
	Open    []OpenEntry        `json:"o,omitempty"` // breaker entries that are not closed, the first ones
	More    int                `json:"x,omitempty"` // how many more there are
}

// OpenEntry is a breaker entry that is not closed.
type OpenEntry struct {
	Service string        `json:"s"`
	Entry   string        `json:"e,omitempty"`
	State   breaker.State `json:"k"`
}

// Member is one member of the fleet as this one knows it.
type Member struct {
	Name   string        `json:"name"`
	Addr   string        `json:"addr"`
	Self   bool          `json:"self,omitempty"`
	Digest Digest        `json:"digest,omitzero"`
	Age    time.Duration `json:"age_ns"` // since its last digest; below zero if there was none
}

// Bounds of a digest.
const (
	maxOpen  = 6
	maxField = 60 // bytes of a text
)

// fits reports whether a digest that has come from somewhere else is within bounds.
func (d *Digest) fits() bool {
	texts := []string{d.Version, d.State, d.Page}
	for _, o := range d.Open {
		texts = append(texts, o.Service, o.Entry)
	}
	for name := range d.Rates {
		texts = append(texts, name)
	}
	for _, t := range texts {
		if len(t) > 2*maxField || !utf8.ValidString(t) || strings.ContainsFunc(t, clip.Unsafe) {
			return false
		}
	}
	return d.Member != "" && len(d.Member) <= register.MaxName && len(d.Open) <= 2*maxOpen && len(d.Rates) <= 64 &&
		d.More >= 0
}

// digest makes this member's own.
func (a *agent) digest() *Digest {
	a.number++
	d := &Digest{Member: a.f.name, Number: a.number, Version: clip.Line(a.f.version, maxField),
		State: a.f.sys.State().String(), Page: clip.Line(a.f.page(), maxField),
		Started: int64(a.f.now() / time.Second), Rates: a.f.rates.shares()}
	keys := make([]register.Key, 0, len(a.states))
	for k := range a.states {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y register.Key) int {
		return cmp.Or(strings.Compare(x.Service, y.Service), strings.Compare(x.Entry, y.Entry))
	})
	for i, k := range keys {
		if i == maxOpen {
			d.More = len(keys) - i
			break
		}
		d.Open = append(d.Open, OpenEntry{clip.Line(k.Service, maxField), clip.Line(k.Entry, maxField), a.states[k]})
	}
	return d
}

// members returns the members that are alive, this one first.
func (a *agent) members() []Member {
	now := a.f.now()
	list := make([]Member, 0, len(a.alive))
	for name := range a.alive {
		m := Member{Name: name, Age: -1}
		if name == a.f.name {
			own := a.digest()
			m.Self, m.Addr, m.Digest, m.Age = true, a.f.net.addr, *own, 0
		} else {
			m.Addr = a.peers[name].Address()
			if d, ok := a.digests[name]; ok {
				m.Digest, m.Age = d.Digest, now-d.at
			}
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(x, y Member) int {
		if x.Self != y.Self {
			if x.Self {
				return -1
			}
			return 1
		}
		return strings.Compare(x.Name, y.Name)
	})
	return list
}

// gone is a member that is no more.
type gone struct {
	latest
	addr string
	left bool // it said so
	when time.Duration
}

// How long a member that has gone is shown, and how many are.
const (
	showDead = 10 * time.Minute
	showLeft = time.Minute
	maxGone  = 100
)

// part takes note that a member goes.
func (a *agent) part(name string) {
	d, known := a.digests[name]
	if !known || len(a.gone) >= maxGone {
		return // it had said nothing yet
	}
	left := d.State == "stopping" || d.State == "stopped"
	a.gone[name] = gone{d, a.peers[name].Address(), left, a.f.now()}
}

// forget drops members that have gone long ago.
func (a *agent) forget(now time.Duration) {
	maps.DeleteFunc(a.gone, func(_ string, g gone) bool {
		return now-g.when >= showDead || g.left && now-g.when >= showLeft
	})
}
