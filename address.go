package chassis

import (
	"context"
	"github.com/asynkron/protoactor-go/actor"
	"strings"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/task"
)

// PID returns the address of an actor of the system by its name:
//
//	"breaker/https://mail.internal"   the breaker of that service
//	"dispatcher/<pool>"               executions and the task registry of a pool
//	"poller/<pool>"                   the conversation with the pool's queue
//	"logger"                          the log
//	"lifecycle"                       crashes, restarts and dead letters, as events
//	"shares"                          what several pools run at once
//	<name>                            an actor of [System.Spawn]
//
// The address is good before the actor is there. What is sent to it while it is
// not is a dead letter, which is logged with the name; [actors.Ask] returns an
// error at once.
func (s *System) PID(name string) *actor.PID {
	if service, ok := strings.CutPrefix(name, "breaker/"); ok {
		if canonical, err := breaker.ParseService(service); err == nil {
			service = canonical
		}
		if b := s.breakers.Find(service); b != nil {
			return b.PID()
		}
	}
	return s.Actors().NewLocalPID(name)
}

// isTaskActor reports whether an actor is a child of a dispatcher: its failures
// are attempts, which the dispatcher logs.
func isTaskActor(pid *actor.PID) bool {
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

// jobOf returns what the task actor executes that an actor is below of.
func (s *System) jobOf(pid *actor.PID) (ctx context.Context, execID, name string) {
	pool, of, depth := taskActor(pid.Id)
	if depth == 0 || s.tasks == nil {
		return nil, "", ""
	}
	l := s.tasks.lane(pool)
	if l == nil {
		return nil, "", ""
	}
	info := l.monitor.Job(of)
	if info == nil {
		return nil, "", ""
	}
	return task.WithInfo(context.Background(), info), info.ExecID, info.Task
}
