package pools

import (
	"context"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/task"
)

// IsTaskActor reports whether an actor is a child of a dispatcher: its failures
// are attempts, which the dispatcher logs.
func IsTaskActor(pid *actor.PID) bool {
	_, _, depth := taskActor(pid.Id)
	return depth == 1
}

// taskActor returns the pool and the address of the task actor that id is or
// is below of, and how far down it is: 1 for the task actor itself, 0 without
// one.
func taskActor(id string) (pool, of string, depth int) {
	rest, ok := strings.CutPrefix(id, "dispatcher/")
	if !ok {
		return "", "", 0
	}
	pool, rest, ok = strings.Cut(rest, "/")
	if !ok {
		return "", "", 0
	}
	child, below, deeper := strings.Cut(rest, "/")
	of = id[:len("dispatcher/")+len(pool)+1+len(child)]
	if !deeper {
		return pool, of, 1
	}
	return pool, of, 2 + strings.Count(below, "/")
}

// JobOf returns what the task actor executes that an actor is below of.
func (p *Pools) JobOf(pid *actor.PID) (ctx context.Context, execID, name string) {
	pool, of, depth := taskActor(pid.Id)
	if depth == 0 {
		return nil, "", ""
	}
	l := p.lane(pool)
	if l == nil {
		return nil, "", ""
	}
	info := l.monitor.Job(of)
	if info == nil {
		return nil, "", ""
	}
	return task.WithInfo(context.Background(), info), info.ExecID, info.Task
}
