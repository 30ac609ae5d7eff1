// Package shares divides the executions that a process may have at once among
// its task pools, by weight.
//
//	pid := system.Root.Spawn(shares.New(shares.Config{Limit: 20, Logger: log}))
//	...
//	dispatcher.New(dispatcher.Config{Pool: "reports", Shares: pid, Share: shares.Share{Weight: 9}, ...})
//
// Each start of an attempt takes a permit; the limit is the number of permits. A
// free permit goes to a pool that has something to run: among those of the highest
// priority, to the one that has had the least of what its weight entitles it to. So
//
//   - no permit is idle while any pool could use it: an idle pool's share is
//     used by the others;
//   - it comes back with the next execution that ends, of any pool;
//   - of two pools with work and weights 1 and 9 the first gets one start in
//     ten, at whatever speed;
//   - time without work earns nothing for later.
//
// Pools of a higher priority are always served first, and so may starve the
// others: that is what a priority is.
//
// Two more things concern the whole process and are decided here: how many
// executions of one task run at once (task.Concurrency), and which pool may run a
// crash suspect: one at a time.
//
// # Protocol
//
// To the keeper, as pointers or as values. The answer is a pointer, and goes to the
// To of the pool's Join:
//
//	message  answer     when
//	Join     -
//	Leave    -
//	Ask      *Granted   at once or later, in parts
//	Reserve  *Reserved  in its turn
//	Release  -
//	Claim    *Claimed   in its turn
//	Unclaim  -
//	others   *actors.Unhandled, to the sender
//
// # Ownership and concurrency
//
// The actor owns who has which permits. table in table.go is the whole rule,
// pure; it outlives a restart of the actor, and with [Config.Over] a stop by another. A pool that joins again, as its
// dispatcher does after a restart, begins with nothing. [Monitor] is safe from
// any goroutine.
//
// # Debugging and testing
//
// [Monitor.Stats] says what each pool has, waits for and has been given.
// table_test.go checks the rule by properties; see the test of the root package
// for several pools on the embedded queue.
package shares
