package supervision

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

// underParent is a context that says that parent spawns.
type underParent struct {
	*actor.RootContext
	parent *actor.PID
}

// Self is the PID of the parent.
func (c underParent) Self() *actor.PID { return c.parent }

// Spawn starts an actor with that whole id, from any goroutine. Its failures and
// its end are reported to parent (nil: it is a root actor), which does not count
// it among its children: it neither stops it nor waits for it. Spawn calls the
// producer, and whatever else of the user's own is in props, where it is called.
func Spawn(system *actor.ActorSystem, id string, props *actor.Props, parent *actor.PID) (*actor.PID, error) {
	return spawn(system, id, props, underParent{system.Root, parent})
}
