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
	// Output:
	// Rome: books a flight
	// Rome: books a room
	// Rome: books a car
	// Rome: 99 of 100 letters are sent, not those of [7]
	// Oslo: books a flight
	// Oslo: books a room
	// Oslo: cancels the room
	// Oslo: cancels the flight
}
