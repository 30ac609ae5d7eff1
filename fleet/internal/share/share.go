// Package share divides a rate among the members of a fleet. It is pure: demands go in,
// this member's share comes out. Each member computes it alone from what it has heard.
//
//	mine := share.Of(200, map[string]float64{"n1": 300, "n2": 2}, "n1", 2)
package share

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"unicode/utf8"
)

// Demand is what one member wants of each rate, a second.
type Demand struct {
	Member  string             `json:"m"`
	Version uint64             `json:"v"`
	Rates   map[string]float64 `json:"r,omitempty"`
}

// Bounds of a demand.
const (
	MaxRates = 16
	MaxName  = 40 // bytes of the name of a rate
	maxRate  = 1e9
)

// Check returns what is wrong with a demand that has come from somewhere else.
func (d *Demand) Check() error {
	if d.Member == "" || len(d.Member) > 128 || len(d.Rates) > MaxRates {
		return errors.New("the demand has no member, or too many rates")
	}
	for name, rate := range d.Rates {
		if name == "" || len(name) > MaxName || !utf8.ValidString(name) || !(rate >= 0 && rate <= maxRate) {
			return errors.New("the name or the number of a rate is out of range")
		}
	}
	return nil
}

// head is by how much a share may exceed what its member wanted lately, so that a
// demand that grows can show itself.
const head = 1.1

// Of returns the share of member me of a limit, max-min fair over the demands of the
// members that are alive. What is left over is for all alike. peak is the most members
// that were alive lately: those that are missing may be there, beyond a partition, and
// keep their part.
func Of(limit float64, demands map[string]float64, me string, peak int) float64 {
	alive := len(demands)
	if alive == 0 || limit <= 0 {
		return 0
	}
	limit *= float64(alive) / float64(max(alive, peak))
	type member struct {
		name string
		want float64
	}
	all := make([]member, 0, alive)
	for name, want := range demands {
		if math.IsNaN(want) || want < 0 {
			want = 0
		}
		all = append(all, member{name, want*head + 0.5})
	}
	slices.SortFunc(all, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.want, b.want), cmp.Compare(a.name, b.name))
	})
	mine, left := 0.0, limit
	for i, m := range all {
		part := min(m.want, left/float64(alive-i))
		left -= part
		if m.name == me {
			mine = part
		}
	}
	return mine + left/float64(alive)
}
