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

// stepBook counts the runs of each step, and knows by what process.
type stepBook struct {
	mu       sync.Mutex
	runs     map[string]int        // of exec_id/step
	ran      map[string][]*Process // attempts of an exec_id
	excused  int                   // runs again after a process had died that ran the task
	again    []string              // runs again without that
	finished int
}

// attempt notes that p runs an attempt of a task.
func (b *stepBook) attempt(exec string, p *Process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ran[exec] = append(b.ran[exec], p)
}

// step notes that a step has run to its end.
func (b *stepBook) step(exec string, step int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := fmt.Sprint(exec, "/", step)
	if b.runs[key]++; b.runs[key] == 1 {
		return
	}
	for _, p := range b.ran[exec] {
		if p.ctx.Err() != nil { // killed, perhaps between a copy and the delete
			b.excused++
			return
		}
	}
	b.again = append(b.again, key)
}

// tenSteps is a play of n tasks with ten steps each. What happens after a step depends on the
// task, the attempt and the step alone.
func tenSteps(n int, done func(b *stepBook)) func(w *World) {
	return func(w *World) {
		b := &stepBook{runs: map[string]int{}, ran: map[string][]*Process{}}
		w.Service(func(p *Process) {
			chassis.Handle(p.System, stepped, func(ctx context.Context, job task.Job[parcel]) error {
				b.attempt(job.ExecID, p)
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
			b.finished = len(b.ran)
			if done != nil {
				done(b)
			}
			if len(b.again) > 0 {
				return fmt.Errorf("%d steps ran again although no process had died: %v", len(b.again), b.again)
			}
			for exec := range b.ran {
				for i := range 10 {
					if b.runs[fmt.Sprint(exec, "/", i)] == 0 {
						return fmt.Errorf("step %d of %s never ran", i, exec)
					}
				}
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
	executions, runs, excused := 0, 0, 0
	Storm(t, tenSteps(20, func(b *stepBook) {
		mu.Lock()
		defer mu.Unlock()
		executions, excused = executions+b.finished, excused+b.excused
		for _, n := range b.runs {
			runs += n
		}
	}), append(stepping.opts, Seeds(seeds))...)
	t.Logf("%d executions, %d runs of steps, %d of them again after a kill", executions, runs, excused)
}
