package fleet

import (
	"context"
	"errors"
	"maps"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// holdVariable makes a member handle the task hold. Its value is the number of workers.
const holdVariable = "CHASSIS_FLEET_HOLD"

var hold = task.Define[int]("hold")

// holding is what a member has of the executions of hold, each of which lasts until its ctx
// ends.
type holding struct {
	mu      sync.Mutex // guards all
	running map[string]bool
	ended   map[string]int64 // by exec_id: when its ctx ended, in Unix nanoseconds; 0 for another cause than a cancel
}

// held is what it says of itself.
type held struct {
	Running int
	Ended   map[string]int64
}

// holdAll handles hold in a system, if the process is to.
func holdAll(sys *chassis.System) *holding {
	h := &holding{running: map[string]bool{}, ended: map[string]int64{}}
	if os.Getenv(holdVariable) == "" {
		return h
	}
	chassis.Handle(sys, hold, func(ctx context.Context, job task.Job[int]) error {
		h.mu.Lock()
		h.running[job.ExecID] = true
		h.mu.Unlock()
		<-ctx.Done()
		at := time.Now().UnixNano()
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.running, job.ExecID)
		if errors.Is(context.Cause(ctx), task.ErrCancelled) {
			h.ended[job.ExecID] = at
		} else {
			h.ended[job.ExecID] = 0
		}
		return ctx.Err()
	})
	return h
}

// send sends executions whose exec_ids are the prefix and a number.
func (h *holding) send(sys *chassis.System, prefix string, number int) error {
	tasks := make([]chassis.Task, number)
	for i := range tasks {
		tasks[i] = chassis.Task{Name: hold.Name(), Args: i, Options: []task.Option{task.ExecID(prefix + strconv.Itoa(i))}}
	}
	_, err := sys.SendMany(context.Background(), tasks)
	return err
}

func (h *holding) report() held {
	h.mu.Lock()
	defer h.mu.Unlock()
	return held{len(h.running), maps.Clone(h.ended)}
}
