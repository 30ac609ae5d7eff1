package logger

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// parseBurst reads "burst:<ms>".
func parseBurst(mode string) (time.Duration, bool) {
	ms, ok := strings.CutPrefix(mode, "burst:")
	n, err := strconv.Atoi(ms)
	return time.Duration(n) * time.Millisecond, ok && err == nil
}

// burst rests before each read, and then reads all that the writer has for it
// within a millisecond.
func burst(pause time.Duration) {
	buf := make([]byte, 256<<10)
	for {
		time.Sleep(pause)
		for end := time.Now().Add(10 * time.Millisecond); time.Now().Before(end); {
			if _, err := os.Stdin.Read(buf); err != nil {
				_, _ = os.Stdout.WriteString("0 0\n")
				os.Exit(0)
			}
		}
	}
}

// BenchmarkBursty is how long single calls take behind a reader that rests
// 100 ms and then reads for 10 ms: two producers of 2500 records a second each
// for three seconds. The metrics are microseconds.
func BenchmarkBursty(b *testing.B) {
	const producers, rate = 2, 2500
	for _, im := range impls {
		b.Run(im.name, func(b *testing.B) {
			for range b.N {
				w, wait := reader(b, "burst:100")
				call, flush := im.make(b, w)
				var mu sync.Mutex
				var all []time.Duration
				var wg sync.WaitGroup
				for range producers {
					wg.Go(func() {
						took := make([]time.Duration, 0, 3*rate)
						next := time.Now()
						for range 3 * rate {
							next = next.Add(time.Second / rate)
							time.Sleep(time.Until(next))
							began := time.Now()
							call()
							took = append(took, time.Since(began))
						}
						mu.Lock()
						all = append(all, took...)
						mu.Unlock()
					})
				}
				wg.Wait()
				flush()
				wait()
				slices.Sort(all)
				us := func(q float64) float64 {
					return float64(all[int(q*float64(len(all)-1))]) / 1e3
				}
				b.ReportMetric(us(0.5), "p50-µs")
				b.ReportMetric(us(0.999), "p99.9-µs")
				b.ReportMetric(us(1), "max-µs")
			}
		})
	}
}
