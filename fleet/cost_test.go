//go:build unix

package fleet

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// TestACallNeverWaitsForTheFleet: a call costs the same without a fleet, in one, and in
// one that no longer answers, the breaker closed or open.
func TestACallNeverWaitsForTheFleet(t *testing.T) {
	if raceEnabled {
		t.Skip("times under the race detector say nothing")
	}
	all := launch(t, 2)
	alone := newSystem(t)
	defer stop(t, alone)
	member, f := joinAndStart(t, loopback(all[0].addr))
	eventually(t, "joined", 10*time.Second, sized(f, 3))
	const closed, open = "https://closed.internal", "https://open.internal"
	breakers := map[string][2]*breaker.Breaker{}
	for _, s := range []string{closed, open} {
		breakers[s] = [2]*breaker.Breaker{alone.Breaker(s), member.Breaker(s)}
	}
	for _, b := range breakers[open] {
		if err := b.SetSettings(breaker.Settings{ClosedFailLimit: 1, OpenTimeout: 5 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		_ = b.Do(t.Context(), "", down)
	}
	for _, peers := range []string{"at work", "suspended"} {
		if peers == "suspended" {
			for _, p := range all {
				p.signal(syscall.SIGSTOP)
			}
			time.Sleep(200 * time.Millisecond)
		}
		for service, pair := range breakers {
			var best [2]time.Duration
			const bursts, most = 300, 6000 // a busy machine needs more until both had a quiet moment
			for n := 0; n < bursts || n < most && float64(best[1]) > 1.03*float64(best[0]); n++ {
				for i, b := range pair { // in turns, so that the machine's moods meet both
					begun := time.Now()
					for range 1000 {
						_ = b.Do(t.Context(), "", fine)
					}
					if d := time.Since(begun); best[i] == 0 || d < best[i] {
						best[i] = d
					}
				}
			}
			var allocs [2]float64
			for i, b := range pair {
				var each []float64
				for range 5 {
					each = append(each, testing.AllocsPerRun(1000, func() { _ = b.Do(t.Context(), "", fine) }))
				}
				allocs[i] = slices.Min(each)
			}
			ratio := float64(best[1]) / float64(best[0])
			t.Logf("peers %s, %s: %.1f ns alone, %.1f ns in a fleet (%.3f x), %v and %v allocations", peers, service,
				float64(best[0])/1000, float64(best[1])/1000, ratio, allocs[0], allocs[1])
			if ratio > 1.05 || allocs[1] > 0 {
				t.Errorf("peers %s, %s: a call in a fleet costs %.3f x, %v allocations", peers, service, ratio, allocs[1])
			}
		}
	}
	for _, p := range all {
		p.signal(syscall.SIGCONT)
	}
}
