package settings_test

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestPairedLoads takes turns, one load of each in every round, so that a busy
// machine is as busy for all, and gives the ratios of the lower deciles: the
// loads that nothing else got into. Run it by
//
//	PAIRED=2000 go test -v -run PairedLoads ./settings
func TestPairedLoads(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("PAIRED"))
	if err != nil {
		t.Skip("set PAIRED to the number of rounds")
	}
	for _, mixed := range []bool{false, true} {
		name := map[bool]string{false: "yaml", true: "mixed"}[mixed]
		t.Run(name, func(t *testing.T) {
			files, env, _ := setUp(t, mixed)
			times := make([][]time.Duration, len(loaders))
			for round := range rounds {
				for i := range loaders {
					i = (i + round) % len(loaders)
					if round%20 == 0 {
						runtime.GC() // nobody pays for another's garbage for long
					}
					begin := time.Now()
					if _, err := loaders[i].load(files, env); err != nil {
						t.Fatal(err)
					}
					times[i] = append(times[i], time.Since(begin))
				}
			}
			low := func(i int) float64 {
				slices.Sort(times[i])
				return float64(times[i][len(times[i])/10])
			}
			ours := low(0)
			for i, l := range loaders {
				t.Logf("%-5s lower decile %7.0f µs, %.2f of ours; median %7.0f µs", l.name, low(i)/1000, low(i)/ours, float64(times[i][len(times[i])/2])/1000)
			}
		})
	}
}
