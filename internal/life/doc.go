// Package life is the life of a service and of its actors: it spawns them, restarts
// them, stops them, and waits for their end.
//
// A [Cycle] is the state of the service, with one start and one stop; [Stages] are the
// steps of the stop.
//
// A [Guardian] is the root that the actors of the chassis and those of the service
// are spawned under. It stops the service's in the reverse order of their spawn.
//
// An actor of the chassis has [Restarts], which make its mailbox:
//
//	restarts := &life.Restarts{}
//	props := actor.PropsFromProducer(newActor, actor.WithMailbox(restarts.Mailbox))
//	...
//	case *actor.Stopping: // by code that is not the chassis'
//		again = restarts.Respawn(c)
//	case *actor.Stopped:
//		err = again.Spawn(c, props)
//
// The mailbox is Proto.Actor's unbounded one, with three differences. Restarts that
// follow one another get a pause between them, in which messages wait. A
// SuspendMailbox that does not belong to a failure of the actor's own, after which
// nothing would resume it, is dropped. So are nil and forged messages of an
// actor's life. The guardian pauses the restarts of a service's actors, which have
// mailboxes of their own; how long a pause is says pace.go for both.
//
// [Parent] spawns under any parent from any goroutine; the spawn that Proto.Actor
// offers is for the parent's own goroutine, or for root actors.
//
// All types are safe from any goroutine. The tests run in simulated time.
package life
