package dispatcher_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// TestBudgetsOfABulkAreExact: three in a hundred members fail each time. Each of them is
// run as often as its budget says, and no other is run twice for it.
func TestBudgetsOfABulkAreExact(t *testing.T) {
	total := sized(10_000, 2_000, 500)
	bubble(t, dispatcher.Settings{Workers: 20}, func(r *rig) {
		runs := make([]int, total)
		calls, largest := 0, 0
		type number struct{ N int }
		var mu sync.Mutex // calls of two batches may overlap
		h := task.Bulk(10, 50*time.Millisecond, func(members []*task.Member[number]) error {
			mu.Lock()
			defer mu.Unlock()
			calls++
			largest = max(largest, len(members))
			for _, m := range members {
				runs[m.Args.N]++
				if m.Args.N%100 < 3 {
					m.Fail(errors.New("no"))
				}
				if m.Attempt != runs[m.Args.N] || m.Failures != runs[m.Args.N]-1 {
					t.Errorf("%d: attempt %d, %d failures, run %d", m.Args.N, m.Attempt, m.Failures, runs[m.Args.N])
				}
			}
			return nil
		})
		r.handle("t", task.Erase(h), task.MaxFailures(3), task.Wait(time.Second, task.None))
		for from := 0; from < total; from += 100 {
			var list []any
			for n := from; n < from+100; n++ {
				list = append(list, number{n})
			}
			r.sendAll("t", "", list...)
		}
		r.after(time.Hour)
		for n, got := range runs {
			want := 1
			if n%100 < 3 {
				want = 3
			}
			if got != want {
				t.Errorf("%d ran %d times, want %d", n, got, want)
			}
		}
		if dead := len(r.dead()); dead != total*3/100 || r.left() != 0 || largest != 10 || calls > total/5 {
			t.Errorf("%d dead letters, %d left, %d calls of at most %d", dead, r.left(), calls, largest)
		}
	})
}
