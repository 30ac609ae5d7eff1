package life

import "github.com/asynkron/protoactor-go/actor"

// spawn spawns props by their own spawn function, or by Proto.Actor's if they
// have none. The library shows it to spawn middleware alone.
var spawn = func() (spawn actor.SpawnFunc) {
	new(actor.Props).Configure(actor.WithSpawnMiddleware(func(next actor.SpawnFunc) actor.SpawnFunc {
		spawn = next
		return next
	}))
	return spawn
}()

// Parent spawns actors under one parent, from any goroutine. Proto.Actor does not
// count them among its children: it neither stops them nor waits for them.
type Parent struct {
	*actor.RootContext
	pid *actor.PID
}

// Under returns a Parent. The failures and the ends of what it spawns are reported
// to pid; with a nil pid it spawns root actors.
func Under(system *actor.ActorSystem, pid *actor.PID) *Parent {
	return &Parent{actor.NewRootContext(system, nil), pid}
}

// Self returns the PID of the parent.
func (p *Parent) Self() *actor.PID { return p.pid }

// SpawnAs starts an actor with that whole id. It calls the producer, and the other
// functions in props, on the caller's goroutine.
func (p *Parent) SpawnAs(id string, props *actor.Props) (*actor.PID, error) {
	return spawn(p.ActorSystem(), id, props, p)
}
