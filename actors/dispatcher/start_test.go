package dispatcher_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Of a thousand tasks a second one in a hundred takes 1 s and the others 1 ms.
// That is ten of twenty slots; what is left must do the others as if the slow
// ones were not there, though they come in the same batches.
func TestSlowTasksHoldUpNoOthers(t *testing.T) {
	without, with := fastDone(t, false), fastDone(t, true)
	t.Logf("done 50 ms after the last was sent: %d without slow tasks, %d with", without, with)
	if with < without*95/100 {
		t.Errorf("%d of the fast tasks were done in time next to slow ones, %d without them: less than 95 %%", with, without)
	}
}

// fastDone is how many of 2970 fast tasks are done 50 ms after the last of them
// was sent.
func fastDone(t *testing.T, slow bool) (done int) {
	synctest.Test(t, func(t *testing.T) {
		system := newSystem()
		e := newEmbeddedOf(t, system, 20)
		var mu sync.Mutex
		count := 0
		e.handle("t", func(_ context.Context, job raw) error {
			n, err := strconv.Atoi(string(job.Args))
			if err != nil {
				return err
			}
			if n%100 == 99 {
				if slow {
					time.Sleep(time.Second)
				}
				return nil
			}
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			count++
			return nil
		})
		var sends sync.WaitGroup
		for i := range 300 {
			for j := range 10 {
				sends.Go(func() { e.send("t", 10*i+j) })
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(40 * time.Millisecond)
		mu.Lock()
		done = count
		mu.Unlock()
		sends.Wait()
		time.Sleep(10 * time.Second)
		if n := e.left(); n != 0 || count != 2970 {
			t.Errorf("%d fast tasks ran, %d are left on the queue", count, n)
		}
		e.down()
		shutdown(system)
	})
	return done
}
