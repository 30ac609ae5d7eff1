package chassis

import (
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/internal/clip"
)

// guardian restarts the actors of the chassis, and those of [System.Spawn],
// for ever: at once at first, then after pauses. Without them an actor that
// fails whenever it starts takes a processor for itself. An actor that is being
// stopped gets no pause: its end is waited for.
type guardian struct {
	mu     sync.Mutex
	paused map[actor.Process]*time.Timer // by process, for another may take the address
	ending map[actor.Process]bool        // that are being stopped
}

func newGuardian() *guardian {
	return &guardian{paused: map[actor.Process]*time.Timer{}, ending: map[actor.Process]bool{}}
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
	process, there := system.ProcessRegistry.GetLocal(child.Id)
	if !there {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ending[process] {
		system.EventStream.Publish(&actor.SupervisorEvent{Child: child, Reason: reason, Directive: actor.StopDirective})
		by.StopChildren(child)
		return
	}
	g.paused[process] = time.AfterFunc(wait, func() {
		now, _ := system.ProcessRegistry.GetLocal(child.Id)
		if g.unpause(process) && now == process {
			restart()
		}
	})
}

// unpause ends the pause of an actor, and reports whether there was one.
func (g *guardian) unpause(process actor.Process) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	timer, ok := g.paused[process]
	if ok {
		timer.Stop()
		delete(g.paused, process)
	}
	return ok
}

// end begins the stop of an actor, which has no pause from here on, and reports
// whether it was in one.
func (g *guardian) end(process actor.Process) (paused bool) {
	g.mu.Lock()
	g.ending[process] = true
	g.mu.Unlock()
	return g.unpause(process)
}

// ended forgets an actor.
func (g *guardian) ended(process actor.Process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.ending, process)
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
			c.log.Error("the strategy of an actor panicked or escalated, and there is nothing above it: the actor is stopped", "actor", child.Id, "error", clip.Panic(v))
			system.EventStream.Publish(&actor.SupervisorEvent{Child: child, Reason: reason, Directive: actor.StopDirective})
			by.StopChildren(child)
		}
	}()
	c.SupervisorStrategy.HandleFailure(system, by, child, rs, reason, message)
}
