// Package supervision keeps an actor of the chassis at work, whatever a stranger
// or its own panics do to it.
//
//	life := &supervision.Life{}
//	props := actor.PropsFromProducer(newActor, actor.WithMailbox(life.Mailbox))
//	...
//	case *actor.Stopping: // by a stranger
//		again = life.Respawn(c)
//	case *actor.Stopped:
//		err = again.Spawn(c, props)
//
// A [Life] belongs to one actor and outlives its incarnations and its processes:
// it knows how often they began. The mailbox that it makes is Proto.Actor's
// unbounded one, with three differences. Restarts that follow one another get a
// pause between them, in which messages wait. A SuspendMailbox that is not of a
// failure of the actor's own, after which nothing would resume it, is dropped. And
// so are nil and forged messages of an actor's life.
//
// [Parent] spawns under any parent from any goroutine; the spawn that Proto.Actor
// offers is for the parent's own goroutine, or for root actors.
//
// A Life is safe from any goroutine. Its tests run in simulated time.
package supervision
