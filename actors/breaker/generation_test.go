package breaker

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestAnOrderOfAnOperatorBeginsAGeneration: what was under way before it counts
// for nothing afterwards, on the path of the order and below; above it does.
func TestAnOrderOfAnOperatorBeginsAGeneration(t *testing.T) {
	orders := map[string]func(b *Breaker, path string) error{
		"reset":        func(b *Breaker, path string) error { return b.Reset(path) },
		"metrics only": func(b *Breaker, path string) error { return b.MetricsOnly(path, 0) },
		"forced closed, reset": func(b *Breaker, path string) error {
			_ = b.ForceClosed(path, 0)
			return b.Reset(path)
		},
		"forced open for a second": func(b *Breaker, path string) error {
			err := b.ForceOpen(path, time.Second)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			return err
		},
	}
	for name, order := range orders {
		for _, c := range []struct {
			entry  bool // the paths have entries before
			path   string
			counts int // failures of the service entry afterwards
		}{{false, "", 0}, {true, "", 0}, {false, "/a", 3}, {true, "/a", 3}, {true, "/a/b", 3}} {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, Settings{ClosedFailLimit: 5, ClosedSuccessLimit: 100, OpenTimeout: time.Hour, OpenMax: time.Hour})
				if c.entry {
					_ = b.Do(t.Context(), "/a/b", fail)
					_ = b.Reset("") // an order too
					_ = b.Do(t.Context(), "/a/b", fail)
				}
				var late []Permit
				for range 3 {
					p, err := b.Acquire("/a/b")
					if err != nil {
						t.Fatal(err)
					}
					late = append(late, p)
				}
				if err := order(b, c.path); err != nil {
					t.Fatal(err)
				}
				before := b.Snapshot().Entries[0].Failures
				for i := range late {
					late[i].Settle(Failure)
				}
				if n := b.Snapshot().Entries[0].Failures - before; n != c.counts {
					t.Errorf("%s of %q: the late failures count as %d, want %d", name, c.path, n, c.counts)
				}
				for _, e := range b.Snapshot().Entries[1:] {
					if e.Entry >= c.path && e.Failures > 1 || e.Own != Closed {
						t.Errorf("%s of %q: %+v", name, c.path, e)
					}
				}
			})
		}
	}
}

// TestAnOrderFreesTheSlotsOfProbes: a probe from before it neither counts nor
// fails at its deadline.
func TestAnOrderFreesTheSlotsOfProbes(t *testing.T) {
	for _, path := range []string{"", "/a"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, Settings{ClosedFailLimit: 1})
			_ = b.Do(t.Context(), "/a/b", fail)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			p, err := b.Acquire("/a/b")
			if err != nil {
				t.Fatal(err)
			}
			if err := b.MetricsOnly(path, 0); err != nil {
				t.Fatal(err)
			}
			for _, e := range b.Snapshot().Entries {
				if e.Entry >= path && e.Probes != 0 {
					t.Errorf("%+v", e)
				}
			}
			time.Sleep(6 * time.Second)
			synctest.Wait()
			p.Settle(Failure)
			for _, e := range b.Snapshot().Entries {
				if e.Entry >= path && e.Own != HalfOpen {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}
