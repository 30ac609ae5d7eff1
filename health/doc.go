// Package health checks what a service depends on: a database, a cache, another
// service. Each check runs in the background; probes, the live page and the metrics
// read its last result, and cost the dependency nothing.
//
//	sys.Check("postgres", pool.Ping, health.ForTasks(), health.ForReadiness())
//	sys.Check("search", search.Ping, health.Every(time.Minute), health.ForInformation())
//
// A check counts for readiness by default: /readyz says no while it fails. One that
// counts for tasks pauses them while it fails: messages stay on the queue, what runs
// goes on, and a handler that fails meanwhile spends no failure. One for information
// is shown.
//
// # Rules
//
// A check runs at the start, and then every 10 s, give or take a tenth, so that the
// processes of a service do not ask at once. It has 5 s; longer is a failure. Two runs
// of one check never overlap: one that ignores the end of its ctx is failing until it
// returns, and costs one goroutine. A panic is a failure. [FailAfter] waits for
// several failures in a row; a single success ends them.
//
// # Who owns what
//
// A [Group] owns the checks of a service; each check has a goroutine, which owns its
// runs. All methods are safe from any goroutine. To see why a check fails look at the
// live page, at /readyz?verbose, or at the log, under "health". To test with it, run
// the checks in a testing/synctest bubble.
package health
