package chassistest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

var stepped = task.Define[parcel]("stepped", task.MaxFailures(1000), task.Wait(5*time.Second, task.None))

// stepBook counts the runs of each step.
type stepBook struct {
	mu   sync.Mutex
	runs map[string]*[10]int // by exec_id
}

// step notes that a step has run to its end.
func (b *stepBook) step(exec string, step int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.runs[exec] == nil {
		b.runs[exec] = &[10]int{}
	}
	b.runs[exec][step]++
}

// killed returns the tasks that a process had in its hands in a life that ended by a
// kill: the message may have been delivered again, also beside a copy of it.
func killed(history []Event) map[string]bool {
	type life struct{ process, life int }
	held := map[life][]string{}
	tasks := map[string]bool{}
	for _, e := range history {
		l := life{e.Process, e.Life}
		held[l] = append(held[l], e.Tasks...)
		if e.What == "DIES" {
			for _, task := range held[l] {
				tasks[task] = true
			}
		}
	}
	return tasks
}

// tenSteps is a play of n tasks with ten steps each. What happens after a step depends on the
// task, the attempt and the step alone.
func tenSteps(n int, done func(executions, runs, excused int)) func(w *World) {
	return func(w *World) {
		b := &stepBook{runs: map[string]*[10]int{}}
		w.Service(func(p *Process) {
			chassis.Handle(p.System, stepped, func(ctx context.Context, job task.Job[parcel]) error {
				for i := range 10 {
					got, err := task.Step(ctx, fmt.Sprint("s", i), func(ctx context.Context) (int, error) {
						if err := w.Effect(ctx, "step", job.Args.ID, i); err != nil {
							return 0, err
						}
						b.step(job.ExecID, i)
						return i * i, nil
					})
					if err != nil {
						return err
					}
					if got != i*i {
						return task.Cancel(fmt.Errorf("step %d gave %d", i, got))
					}
					if i == 4 {
						if err := task.Sleep(ctx, "pause", time.Duration(job.Args.ID%4)*7*time.Second); err != nil {
							return err
						}
					}
					h := fnv.New32a()
					_, _ = fmt.Fprint(h, job.ExecID, job.Attempt, i) // a hash takes all
					switch h.Sum32() % 40 {
					case 0:
						return errors.New("no")
					case 1:
						return task.RetryAfter(errors.New("no"), 2*time.Minute)
					case 2:
						panic("no")
					case 3:
						return task.Snooze(3 * time.Second)
					case 4:
						return task.Snooze(20 * time.Minute)
					}
				}
				return nil
			})
		})
		for i := range n {
			Submit(w, stepped, parcel{i})
		}
		w.Eventually("no step runs again after its result was carried", func() error {
			excuses, all, excused := killed(w.History()), 0, 0
			for exec, runs := range b.runs {
				for i, n := range runs {
					all += n
					switch {
					case n == 0:
						return fmt.Errorf("step %d of %s never ran", i, exec)
					case n > 1 && !excuses[exec]:
						return fmt.Errorf("step %d of %s ran %d times, and no process was killed that had it", i, exec, n)
					}
					excused += n - 1
				}
			}
			if done != nil {
				done(len(b.runs), all, excused)
			}
			return nil
		})
	}
}

// stepping: drains, kills, errors, panics, snoozes and sleeps. Faults by which two
// processes run one message at the same time are not among them.
var stepping = playground{
	play: tenSteps(20, nil),
	opts: []StormOption{Fleet(2), Kinds(DieBefore, DieAfter, DrainDie, Deploy, Apply, Pause), Within(24 * time.Hour)},
}

// TestStepsInAStorm plays 60 executions of ten steps, and a thousand with
// CHASSIS_SCALE=full.
func TestStepsInAStorm(t *testing.T) {
	seeds := 3
	if os.Getenv("CHASSIS_SCALE") == "full" {
		seeds = 50
	}
	var mu sync.Mutex
	executions, runs, again := 0, 0, 0
	Storm(t, tenSteps(20, func(e, r, x int) {
		mu.Lock()
		defer mu.Unlock()
		executions, runs, again = executions+e, runs+r, again+x
	}), append(stepping.opts, Seeds(seeds))...)
	t.Logf("%d executions, %d runs of steps, %d of them again after a kill", executions, runs, again)
}
