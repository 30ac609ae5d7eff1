package dispatcher

import (
	"maps"
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets a quarter of a power of two wide, from
// 1 µs to 19 hours: a quantile is exact to 19 %. Safe from all goroutines.
type histogram struct {
	buckets [bucketCount]atomic.Uint64
	sum     atomic.Int64 // ns
}

// Durations are durations counted: how many there were, how long they took
// together, and how many of them took at most so long, for bounds four times
// as long as the one before. Each number is exact, but not of one instant.
type Durations struct {
	Count  uint64
	Sum    time.Duration
	AtMost map[time.Duration]uint64
}

// bounds of Durations, as powers of two of 1 µs: 1.024 ms to 4.8 h.
const firstBound, lastBound, boundStep = 10, 34, 2

func (h *histogram) durations() Durations {
	d := Durations{AtMost: make(map[time.Duration]uint64, (lastBound-firstBound)/boundStep+1)}
	for i := range bucketCount {
		if power := i / 4; i%4 == 0 && power >= firstBound && power <= lastBound && (power-firstBound)%boundStep == 0 {
			d.AtMost[time.Microsecond<<power] = d.Count
		}
		d.Count += h.buckets[i].Load()
	}
	d.Sum = time.Duration(h.sum.Load())
	return d
}

const bucketCount = 4 * 37

func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 1))
	top := bits.Len64(us) - 1 // us is in [2^top, 2^(top+1))
	var quarter int
	if top >= 2 {
		quarter = int(us>>(top-2)) & 3
	} else {
		quarter = int(us<<(2-top)) & 3
	}
	return min(top*4+quarter, bucketCount-1)
}

// upper is the end of bucket i.
func upper(i int) time.Duration {
	top, quarter := i/4, i%4
	us := float64(uint64(1)<<top) * (1 + float64(quarter+1)/4)
	return time.Duration(us * float64(time.Microsecond))
}

func (h *histogram) add(d time.Duration) {
	h.buckets[bucketOf(d)].Add(1)
	h.sum.Add(int64(d))
}

// quantiles returns the upper ends of the buckets in which the quantiles qs,
// ascending, lie; zeros if nothing was counted.
func (h *histogram) quantiles(qs ...float64) []time.Duration {
	var counts [bucketCount]uint64
	var total uint64
	for i := range counts {
		counts[i] = h.buckets[i].Load()
		total += counts[i]
	}
	out := make([]time.Duration, len(qs))
	if total == 0 {
		return out
	}
	var seen uint64
	next := 0
	for i, n := range counts {
		seen += n
		for next < len(qs) && float64(seen) >= qs[next]*float64(total) {
			out[next] = upper(i)
			next++
		}
	}
	return out
}

func (d Durations) plus(o Durations) Durations {
	d.Count, d.Sum = d.Count+o.Count, d.Sum+o.Sum
	d.AtMost = maps.Clone(d.AtMost)
	for bound, n := range o.AtMost {
		d.AtMost[bound] += n
	}
	return d
}
