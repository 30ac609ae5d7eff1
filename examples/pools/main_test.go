package main

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// Proto.Actor counts dead letters in a goroutine that ends by time alone; what it
// is called is the compiler's to say (go1.26, go1.27).
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"),
		goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewThrottle.func1.1"))
}

// The starts are exact as long as each pool has messages at hand, which on a
// busy machine it may not have for a moment.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	var mails, reports int
	if _, err := fmt.Sscanf(out.String(), "mails: weight 9, share 18 of 20, about %d %% of the starts\nreports: weight 1, share 2 of 20, about %d %% of the starts\n", &mails, &reports); err != nil {
		t.Fatal(err, out.String())
	}
	if mails < 70 || mails+reports != 100 {
		t.Error(out.String())
	}
}
