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
