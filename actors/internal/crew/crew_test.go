package crew

import (
	"runtime"
	"strconv"
	"strings"
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
