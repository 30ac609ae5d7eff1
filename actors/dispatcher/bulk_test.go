package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
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

// BenchmarkBulk compares a handler that makes one call of 2 ms a task with one that makes
// it for ten, where four calls may be under way, as with a small pool of connections.
func BenchmarkBulk(b *testing.B) {
	type args struct {
		N int `json:"n"`
	}
	connections := make(chan struct{}, 4)
	call := func() {
		connections <- struct{}{}
		time.Sleep(2 * time.Millisecond) // what is measured is the waiting
		<-connections
	}
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprint("tasks_a_call=", n), func(b *testing.B) {
			src, client, _, start := benchRig(b, 100)
			h := func(context.Context, task.Job[args]) error { call(); return nil }
			if n > 1 {
				h = task.Bulk(n, 5*time.Millisecond, func([]*task.Member[args]) error { call(); return nil })
			}
			if _, err := client.Register(b.Context(), task.NewSpec("noop"), task.Erase(h)); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime()
			start(b.N)
			<-src.done
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/task")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}
