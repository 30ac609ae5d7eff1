package crew

import (
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// goroutine returns the number of the calling goroutine.
func goroutine() int {
	b := make([]byte, 64)
	fields := strings.Fields(string(b[:runtime.Stack(b, false)]))
	n, _ := strconv.Atoi(fields[1])
	return n
}

func TestAGoroutineIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New[Func](1)
		defer c.Close()
		seen := map[int]bool{}
		for range 10 {
			c.Run(func() { seen[goroutine()] = true })
			synctest.Wait()
		}
		if len(seen) != 1 {
			t.Errorf("%d goroutines for jobs one after the other, want 1", len(seen))
		}
	})
}

// TestAJobThatWaitsKeepsNoOtherFromItsBegin: each job in the queue begins although all
// before it wait, whatever gave it to the crew.
func TestAJobThatWaitsKeepsNoOtherFromItsBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New[Func](4)
		defer c.Close()
		release := make(chan struct{})
		var begun atomic.Int32
		wait := func() { begun.Add(1); <-release }
		c.Run(func() { // a goroutine that is awake, and waits behind what it gives
			for range 5 {
				c.Run(wait)
			}
			wait()
		})
		for range 5 {
			c.Run(wait)
		}
		synctest.Wait()
		if n := begun.Load(); n != 11 {
			t.Errorf("%d jobs have begun, want 11", n)
		}
		close(release)
		synctest.Wait()
		c.Run(wait) // the idle ones still take jobs
		synctest.Wait()
		if n := begun.Load(); n != 12 {
			t.Errorf("%d jobs have begun, want 12", n)
		}
	})
}

// TestShortJobsWakeFewGoroutines: one that ends a job takes the next.
func TestShortJobsWakeFewGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New[Func](64)
		defer c.Close()
		before := runtime.NumGoroutine()
		var done atomic.Int32
		for range 10 {
			c.Run(func() {
				for range 100 {
					c.Run(func() { done.Add(1) })
				}
			})
			synctest.Wait()
		}
		if n := runtime.NumGoroutine() - before; n > 8 || done.Load() != 1000 {
			t.Errorf("%d goroutines for %d short jobs", n, done.Load())
		}
	})
}

// TestManyAtOnce: no job is lost, from several givers and however its goroutine ends.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which waits for the end of all goroutines
		c := New[Func](2)
		defer c.Close()
		const givers, each = 8, 2_000
		var left sync.WaitGroup
		left.Add(givers * each)
		for g := range givers {
			go func() {
				for i := range each {
					c.Run(func() {
						defer left.Done()
						switch (g + i) % 5 {
						case 0:
							runtime.Gosched()
						case 1:
							runtime.Goexit()
						}
					})
				}
			}()
		}
		left.Wait()
	})
}

func TestIdleGoroutinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New[Func](3)
		release := make(chan struct{})
		before := runtime.NumGoroutine()
		for range 10 {
			c.Run(func() { <-release }) // none waits for another
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n != 10 {
			t.Errorf("%d goroutines for 10 jobs at once", n)
		}
		close(release)
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n != 3 {
			t.Errorf("%d idle goroutines are kept, want 3", n)
		}
		c.Close()
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n != 0 {
			t.Errorf("%d goroutines after Close", n)
		}
	})
}

func TestAClosedCrewStillRunsJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New[Func](3)
		c.Close()
		c.Close()
		done := false
		c.Run(func() { done = true })
		synctest.Wait()
		if !done {
			t.Error("the job was not done")
		}
	}) // synctest fails if its goroutine is left
}

func TestAJobMayEndItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New[Func](1)
		defer c.Close()
		c.Run(runtime.Goexit)
		synctest.Wait()
		if n := len(c.idle); n != 0 {
			t.Errorf("%d idle goroutines are counted, want 0", n)
		}
	})
}
