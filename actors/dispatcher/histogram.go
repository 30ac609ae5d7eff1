package dispatcher

import (
	"encoding/json"
	"maps"
	"math"
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

// Durations sums up durations. Count and Sum are exact, the quantiles P50 and P99
// to 19 %; they are not of one instant. AtMost counts those up to a bound, for
// bounds four times as long as the one before. In JSON they are seconds.
type Durations struct {
	Count    uint64
	Sum      time.Duration
	P50, P99 time.Duration
	AtMost   map[time.Duration]uint64
}

// seconds are [Durations] in JSON.
type seconds struct {
	P50   float64 `json:"p50_seconds"`
	P99   float64 `json:"p99_seconds"`
	Count uint64  `json:"count"`
	Sum   float64 `json:"sum_seconds"`
}

// MarshalJSON implements json.Marshaler.
func (d Durations) MarshalJSON() ([]byte, error) {
	return json.Marshal(seconds{d.P50.Seconds(), d.P99.Seconds(), d.Count, d.Sum.Seconds()})
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Durations) UnmarshalJSON(text []byte) error {
	var s seconds
	err := json.Unmarshal(text, &s)
	of := func(n float64) time.Duration { return time.Duration(math.Round(n * float64(time.Second))) }
	*d = Durations{Count: s.Count, Sum: of(s.Sum), P50: of(s.P50), P99: of(s.P99)}
	return err
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
	q := h.quantiles(0.5, 0.99)
	d.P50, d.P99 = q[0], q[1]
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
	d.Count, d.Sum, d.P50, d.P99 = d.Count+o.Count, d.Sum+o.Sum, max(d.P50, o.P50), max(d.P99, o.P99)
	d.AtMost = maps.Clone(d.AtMost)
	for bound, n := range o.AtMost {
		d.AtMost[bound] += n
	}
	return d
}
