// Package random gives each part of a program its own stream of random numbers,
// derived from one source. Parts that work at the same time do not change each
// other's draws: if each part does the same again, it draws the same numbers again.
//
//	streams := random.New(rand.NewPCG(1, 2))
//	draw := streams.Of("poller/mail")
//	pause := time.Duration(draw() * float64(time.Second))
//
// Streams and what they return are safe for use by several goroutines. A nil
// Streams has no source: it returns nil functions, which stand for math/rand/v2's
// own source.
package random

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
)

// Streams derives streams of random numbers from one source.
type Streams struct{ hi, lo uint64 }

// New draws twice from src, which is not used after that. It returns nil if src is
// nil.
func New(src rand.Source) *Streams {
	if src == nil {
		return nil
	}
	return &Streams{src.Uint64(), src.Uint64()}
}

// Of returns the stream of a name, from its beginning: numbers in [0, 1).
func (s *Streams) Of(name string) func() float64 {
	if s == nil {
		return nil
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	r := rand.New(rand.NewPCG(s.hi^h.Sum64(), s.lo))
	var mu sync.Mutex
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return r.Float64()
	}
}
