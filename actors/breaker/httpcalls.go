package breaker

import (
	"sync/atomic"
	"time"
)

// HTTPCalls are the calls by [Breaker.Transport] since the breaker was made. Calls by
// [Breaker.Do] and permits are not among them: a healthy one takes a few nanoseconds,
// and a count would cost as much as the call.
type HTTPCalls struct {
	Refused uint64                // not made
	Retried uint64                // attempts after the first of a request, by Retry
	Hedged  uint64                // second requests, by Hedge
	Spent   uint64                // retries and hedges that were not made: the budget was spent
	Judged  map[Verdict]Latencies // by how they counted; nil before the first one
}

// Latencies sum up how long calls took until they were judged: to the end of the body,
// or to what made them a failure.
type Latencies struct {
	Count  uint64
	Sum    time.Duration
	AtMost map[time.Duration]uint64 // calls up to a bound
}

// latencyBounds are those that OpenTelemetry's conventions advise for HTTP.
var latencyBounds = [...]time.Duration{5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 75 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, 750 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second,
	7500 * time.Millisecond, 10 * time.Second}

// httpCalls counts [HTTPCalls]. A breaker has them from its first HTTP call on.
type httpCalls struct {
	refused   atomic.Uint64
	repeats   atomic.Pointer[repeats]   // nil before the first call of a client that repeats
	addresses atomic.Pointer[addresses] // nil before the first client that spreads its requests

	unanswered atomic.Int64 // when the last call without an answer in time ended, ns; 0: never
	renewed    atomic.Int64 // when idle connections were closed for that, ns; 0: never

	judged [Neutral + 1]struct {
		buckets [len(latencyBounds) + 1]atomic.Uint64
		sum     atomic.Int64 // ns
	}
}

// counted returns the counters of b's HTTP calls.
func (b *Breaker) counted() *httpCalls {
	for {
		if c := b.httpCalls.Load(); c != nil {
			return c
		}
		b.httpCalls.CompareAndSwap(nil, &httpCalls{})
	}
}

// observe counts a call that took that many nanoseconds.
func (c *httpCalls) observe(v Verdict, took int64) {
	if v > Neutral {
		return // a classifier's own
	}
	i := 0
	for i < len(latencyBounds) && took > int64(latencyBounds[i]) {
		i++
	}
	c.judged[v].buckets[i].Add(1)
	c.judged[v].sum.Add(took)
}

// HTTPCalls returns how many calls the breaker's transports have made and refused, and
// how long they took. The numbers are not of one instant.
func (b *Breaker) HTTPCalls() HTTPCalls {
	c := b.httpCalls.Load()
	if c == nil {
		return HTTPCalls{}
	}
	all := HTTPCalls{Refused: c.refused.Load(), Judged: make(map[Verdict]Latencies, len(c.judged))}
	if r := c.repeats.Load(); r != nil {
		all.Retried, all.Hedged, all.Spent = r.retried.Load(), r.hedges.Load(), r.overBudget.Load()
	}
	for v := range c.judged {
		l := Latencies{AtMost: make(map[time.Duration]uint64, len(latencyBounds))}
		l.Sum = time.Duration(c.judged[v].sum.Load())
		for i := range c.judged[v].buckets {
			l.Count += c.judged[v].buckets[i].Load()
			if i < len(latencyBounds) {
				l.AtMost[latencyBounds[i]] = l.Count
			}
		}
		all.Judged[Verdict(v)] = l
	}
	return all
}
