package main

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Proto.Actor counts dead letters in a goroutine that ends by time alone; what it
// is called is the compiler's to say (go1.26, go1.27).
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"),
		goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewThrottle.func1.1"))
}

func Example() {
	if err := run(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Unordered output:
	// sweep: old files - by the schedule sweep
	// poll: nothing there yet
	// poll: there it is, after 0 failures
	// remind: water the plants - early: false
	// report: next on 1 January at 03:00 in Europe/Berlin
}
