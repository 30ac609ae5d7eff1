// Package chassistest gives a test a whole service in one call: a
// chassis.System on an embedded queue in memory, with its log and everything
// that happens to its tasks recorded.
//
//	func TestWelcome(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) { // simulated time: a day takes half a second
//			sys := chassistest.New(t)
//			chassis.Handle(sys.System, Welcome, welcome)
//			id := chassistest.Send(sys, Welcome, WelcomeArgs{Email: "a@example.org"}, task.At(time.Now().AddDate(0, 0, 1)))
//			sys.RunUntilIdle()
//			sys.AssertSucceeded(id)
//		})
//	}
//
// It is the code that production runs, actors, leases and all; the queue is
// localsqs behind the ordinary AWS client. Nothing is replaced but the queue's
// place and the log's output. A test that needs another service than the
// queue gives a handler a client for an httptest.Server, outside of a bubble,
// or for a RoundTripper of its own, inside one.
//
// # Time
//
// In a bubble of testing/synctest time goes on only when all goroutines wait,
// and then at once: waits of minutes are tested in milliseconds, and a day takes
// about half a second, for the poller's long polls go on as they would. Outside
// of a bubble everything works in real time, and the end of the test waits up
// to a second for the long poll under way. A system belongs to the bubble that
// it is made in.
//
// # Waiting and asking
//
// [System.RunUntilIdle] starts the system and returns when its pool's queue
// holds nothing any more. [System.WaitFor] waits for one event of one task.
// [System.Outcome] says what became of a task, [System.Dead] what is among the
// dead letters, [System.Logs] what was logged. The Assert methods fail the test
// with what happened instead.
//
// # Actors
//
// [Probe] stands for an actor: the test says what it expects ([Expect],
// [Probe.ExpectNone]) and what it answers ([Probe.Reply]). [Execute] runs one
// attempt of a task actor without a queue, and says what it answered.
//
// # Storms
//
// [Storm] finds out whether the handlers of a service may run twice, at any moment, in a
// fleet where each process may die. For each seed it plays a fleet on one queue in
// simulated time, and draws what goes wrong: processes die and are deployed, answers are
// lost, come late or twice, the queue throttles and refuses, clocks differ, upstreams
// hang, operators pause and cancel. What must hold is asked by [World.Always] and
// [World.Eventually]; what holds for every service is judged without being asked
// ([Invariants]). A seed that fails is made as small as it gets, and printed with a
// timeline and with a test that fails again ([Replay]).
//
//	chassistest.Storm(t, func(w *chassistest.World) {
//		w.Service(func(p *chassistest.Process) { register(p.System, w) })
//		for i := range 30 {
//			chassistest.Submit(w, Charge, Order{ID: i})
//		}
//		w.Eventually("charged once", func() error { return once(w.Effects("charge")) })
//	})
//
// One seed has one trace, on every machine: everything that a process does outside of
// itself stands at a gate, where the seed decides what goes on next, and each process
// draws its waits from the seed. What a handler draws, and the order of Go's maps, must
// not decide what it does. CHASSIS_SEED=7 go test -v -run TestCharge plays seed 7 alone,
// and logs its timeline. A handler does something to the world outside by [World.Effect]
// or by an [Upstream]; a handler of a process that has died does not return from there.
// Handlers of one seed must not share anything else with the world that outlives a
// process: that does not die with it.
//
// A task actor is registered by [Process.Register]. What it and other actors say to one
// another within their process is no step of the storm.
//
// # Twice
//
// [Twice] finds handlers that are not safe to run twice: it runs each in fresh worlds, lets
// its process die at each place, and compares the effects and the state with one whole
// run. docs/testing.md shows it, and [Storm].
//
// # Ownership and goroutines
//
// The system is stopped, and the queue closed, at the end of the test, which
// fails if that leaves anything behind; goleak finds nothing. All methods may
// be called from several goroutines; those that end the test (Send,
// RunUntilIdle and WaitFor, when they fail) from the test's own only.
//
// # Debugging
//
// When the test has failed, or go test runs with -v, the service's log is
// written to the test's.
package chassistest
