package chassis

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// guardian restarts the actors of the chassis, and those of [System.Spawn],
// for ever: at once at first, then after pauses. Without them an actor that
// fails whenever it starts takes a processor for itself.
type guardian struct {
	mu     sync.Mutex
	paused map[string]*time.Timer // by PID id
}

// An actor that failed quickRestarts times within restartWindow waits for its
// next restart: firstPause, then twice as long each time, up to lastPause.
const (
	quickRestarts = 10
	restartWindow = time.Minute
	firstPause    = 100 * time.Millisecond
	lastPause     = 10 * time.Second
)

// pause is the wait before the restart after so many failures in the window.
func pause(failures int) time.Duration {
	if failures <= quickRestarts {
		return 0
	}
	return min(firstPause<<min(failures-quickRestarts-1, 10), lastPause)
}

// HandleFailure implements [actor.SupervisorStrategy].
func (g *guardian) HandleFailure(system *actor.ActorSystem, by actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, _ any) {
	if n := rs.NumberOfFailures(restartWindow); n == 0 || rs.FailureCount() > 1000 {
		rs.Reset()
	}
	rs.Fail()
	restart := func() {
		system.EventStream.Publish(&actor.SupervisorEvent{Child: child, Reason: reason, Directive: actor.RestartDirective})
		by.RestartChildren(child)
	}
	wait := pause(rs.NumberOfFailures(restartWindow))
	if wait == 0 {
		restart()
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused[child.Id] = time.AfterFunc(wait, func() {
		if g.unpause(child) {
			restart()
		}
	})
}

// unpause ends the pause of an actor, and reports whether there was one.
func (g *guardian) unpause(child *actor.PID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	timer, ok := g.paused[child.Id]
	if ok {
		timer.Stop()
		delete(g.paused, child.Id)
	}
	return ok
}

// contained is a strategy of the service. It runs in the deferred function of
// a panic, where another one ends the process.
type contained struct {
	actor.SupervisorStrategy
	log *slog.Logger
}

// HandleFailure implements [actor.SupervisorStrategy].
func (c *contained) HandleFailure(system *actor.ActorSystem, by actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, message any) {
	defer func() {
		if v := recover(); v != nil {
			c.log.Error("the strategy of an actor panicked or escalated, and there is nothing above it: the actor is stopped", "actor", child.Id, "error", fmt.Sprint(v))
			system.EventStream.Publish(&actor.SupervisorEvent{Child: child, Reason: reason, Directive: actor.StopDirective})
			by.StopChildren(child)
		}
	}()
	c.SupervisorStrategy.HandleFailure(system, by, child, rs, reason, message)
}
