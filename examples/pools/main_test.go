package main

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Proto.Actor counts dead letters in a goroutine that ends by time alone.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"))
}

func Example() {
	if err := run(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// mails: weight 9, share 18 of 20, about 90 % of the starts
	// reports: weight 1, share 2 of 20, about 10 % of the starts
}
