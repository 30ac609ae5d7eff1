// Package pools runs the task pools of a process: it registers and sends tasks,
// starts and drains the actors of each pool, and shows how they are.
//
//	p := pools.New(pools.Config{Settings: set, Queue: q, Logger: log.Named, Halted: halted})
//	p.Register(&dispatcher.Register{Spec: def.Spec(), Handler: task.Erase(handler)})
//	if err := p.Start(ctx, guardian); err != nil {
//		return err
//	}
//	id, err := p.Send(ctx, "welcome", args)
//	...
//	err = p.Stop(ctx) // drains
//
// # Protocol
//
// It has no actor and no messages of its own. Those of the actors that it starts are
// in packages dispatcher, at the address dispatcher/<pool>, poller, at poller/<pool>,
// and shares.
//
// Sending and dead letters need no start, and so no actor system.
//
// # Who owns what
//
// Each pool is a lane: a poller and a dispatcher, which own the messages and the
// executions. [Pools] owns the tasks that are registered, the sender, and the last
// numbers of the queues.
//
// All methods may be called from several goroutines. To see why tasks do not flow
// ask [Pools.Ready]. Tests run with the embedded queue in a testing/synctest bubble.
package pools
