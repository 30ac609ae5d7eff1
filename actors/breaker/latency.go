package breaker

import (
	"math"
	"sync"
	"time"
)

// latencyCounts counts latencies in buckets a fifth apart, from 50 µs to 13 minutes. Half of
// what is counted is forgotten now and then.
type latencyCounts struct {
	mu     sync.Mutex
	counts [latencyBuckets]float64
	total  float64
}

const (
	latencyBuckets = 96
	latencyFirst   = 50 * time.Microsecond // end of the first bucket
	latencyKept    = 4000                  // latencies from which on half of the counts is forgotten
	latencyFew     = 50                    // below it no quantile is known
)

// add counts a latency.
func (l *latencyCounts) add(took time.Duration) {
	i := int(math.Ceil(4 * math.Log2(float64(max(took, 1))/float64(latencyFirst))))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[min(max(i, 0), latencyBuckets-1)]++
	if l.total++; l.total < latencyKept {
		return
	}
	l.total /= 2
	for i := range l.counts {
		l.counts[i] /= 2
	}
}

// quantile returns a time within which at least the share q of the latencies lie; 0 if it
// is not known yet.
func (l *latencyCounts) quantile(q float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total < latencyFew {
		return 0
	}
	sum := 0.0
	for i, n := range l.counts {
		if sum += n; sum >= q*l.total {
			return time.Duration(float64(latencyFirst) * math.Pow(2, float64(i)/4))
		}
	}
	return 0
}
