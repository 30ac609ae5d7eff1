package tasks_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// A NAT between worker and queue forgets a connection that was silent for 8 s: the answers of longer polls are lost. A task about each minute.
// Each lost delivery was a failure of a task that had not run: with MaxFailures(1) 21 of 100 became dead letters (bbc/sqs-consumer#137, aws/aws-sdk-js#367).
// Right: no task is given up that has not begun to run; every task runs. (Once it polls shorter after these time-outs, few are late.)
func TestTasksThatNeverRanAreDeadLettersBehindANAT(t *testing.T) {
	for _, most := range []int{1, 3} {
		t.Run(fmt.Sprintf("MaxFailures(%d)", most), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tick := task.Define[kit.Payload]("tick", task.MaxFailures(most))
				base := chassistest.New(t, chassistest.Name("base"), kit.Quietly("critical"))
				sys := kit.Tapped(t, base, forgetful(8*time.Second), kit.Quietly("critical"))
				ran, mu := map[int]bool{}, sync.Mutex{}
				chassis.Handle(sys.System, tick, func(_ context.Context, j task.Job[kit.Payload]) error {
					mu.Lock()
					defer mu.Unlock()
					ran[j.Args.N] = true
					return nil
				})
				kit.Begin(t, sys)
				rng := rand.New(rand.NewPCG(1, 2))
				for i := range 100 {
					kit.Pass(time.Duration(30+rng.IntN(60)) * time.Second)
					chassistest.Send(sys, tick, kit.Payload{N: i})
				}
				kit.Pass(12 * time.Hour)
				for _, s := range base.Queue.Stats().Queues {
					if s.Name == "test-tasks_dead" && s.Visible > 0 {
						t.Errorf("%d dead letters, though no handler failed and no process died", s.Visible)
					}
				}
				if len(ran) != 100 {
					t.Errorf("%d of 100 tasks ran; queues %s", len(ran), kit.Depths(base.Queue))
				}
			})
		})
	}
}

// forgetful loses the answers of receives that took longer than idle.
func forgetful(idle time.Duration) *kit.Tap {
	var mu sync.Mutex
	began := map[*http.Request]time.Time{}
	return &kit.Tap{
		Before: func(op string, r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			began[r] = time.Now()
			return nil, nil
		},
		After: func(op string, r *http.Request, res *http.Response, err error) (*http.Response, error) {
			mu.Lock()
			took := time.Since(began[r])
			delete(began, r)
			mu.Unlock()
			if op != "ReceiveMessage" || took < idle || err != nil {
				return res, err
			}
			_ = res.Body.Close()
			<-r.Context().Done() // the client waits for what will not come
			return nil, r.Context().Err()
		},
	}
}
