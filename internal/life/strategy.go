package life

import (
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// strategy restarts actors for ever, after the pauses of guestPace. Without pauses
// an actor that fails whenever it starts takes a processor for itself. An actor that
// is being stopped gets no pause but is stopped, because its end is waited for.
type strategy struct {
	*pauses
	own bool // the actors are the chassis' own; their mailboxes pause them: see [Restarts]
}

// pauses are the actors of a guardian that wait for a restart or are being stopped.
type pauses struct {
	log   *slog.Logger
	print func(any) string

	mu     sync.Mutex                    // guards what follows
	paused map[actor.Process]*time.Timer // by process: another may take the address
	ending map[actor.Process]bool        // that are being stopped
}

// HandleFailure implements [actor.SupervisorStrategy].
func (s *strategy) HandleFailure(system *actor.ActorSystem, by actor.Supervisor, child *actor.PID,
	rs *actor.RestartStatistics, reason, _ any) {
	if n := rs.NumberOfFailures(calmAfter); n == 0 || rs.FailureCount() > 1000 {
		rs.Reset()
	}
	rs.Fail()
	restart := func() {
		publish(system, s.log, s.print, child, reason, actor.RestartDirective)
		by.RestartChildren(child)
	}
	wait := guestPace.before(rs.NumberOfFailures(calmAfter))
	if wait == 0 {
		restart()
		return
	}
	process, there := system.ProcessRegistry.GetLocal(child.Id)
	if !there {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending[process] {
		s.stopFailed(system, by, child, reason)
		return
	}
	if s.own {
		restart()
		return
	}
	s.paused[process] = time.AfterFunc(wait, func() {
		now, _ := system.ProcessRegistry.GetLocal(child.Id)
		if s.unpause(process) && now == process {
			restart()
		}
	})
}

func (p *pauses) stopFailed(system *actor.ActorSystem, by actor.Supervisor, child *actor.PID, reason any) {
	publish(system, p.log, p.print, child, reason, actor.StopDirective)
	by.StopChildren(child)
}

// publish publishes a decision. A handler of the EventStream is user's code: its panic,
// in the deferred function of another, would end the process.
func publish(system *actor.ActorSystem, log *slog.Logger, print func(any) string, child *actor.PID, reason any,
	directive actor.Directive) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("a handler of the EventStream panicked", "error", print(v), "event", "a supervisor's decision",
				"actor", child.Id)
		}
	}()
	system.EventStream.Publish(&actor.SupervisorEvent{Child: child, Reason: reason, Directive: directive})
}

// unpause ends the pause of an actor, and reports whether there was one.
func (p *pauses) unpause(process actor.Process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	timer, ok := p.paused[process]
	if ok {
		timer.Stop()
		delete(p.paused, process)
	}
	return ok
}

// end begins the stop of an actor, which has no pause from here on, and reports
// whether it was in one.
func (p *pauses) end(process actor.Process) (paused bool) {
	p.mu.Lock()
	p.ending[process] = true
	p.mu.Unlock()
	return p.unpause(process)
}

// ended forgets an actor.
func (p *pauses) ended(process actor.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.ending, process)
}

// contained is a strategy of the service. It runs in the deferred function of
// a panic, where a second panic ends the process.
type contained struct {
	actor.SupervisorStrategy
	log   *slog.Logger
	print func(any) string
}

// HandleFailure implements [actor.SupervisorStrategy].
func (c *contained) HandleFailure(system *actor.ActorSystem, by actor.Supervisor, child *actor.PID,
	rs *actor.RestartStatistics, reason, message any) {
	defer func() {
		if v := recover(); v != nil {
			c.log.Error("the strategy of an actor panicked or escalated, and there is nothing above it: the actor "+
				"is stopped", "actor", child.Id, "error", c.print(v))
			publish(system, c.log, c.print, child, reason, actor.StopDirective)
			by.StopChildren(child)
		}
	}()
	c.SupervisorStrategy.HandleFailure(system, by, child, rs, reason, message)
}
