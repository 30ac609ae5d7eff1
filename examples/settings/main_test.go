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
	// chassis.yaml:2:3: mail.form: unknown key in mail; did you mean from?
	// chassis.yaml:2:3: mail.from: is required (a string) and nothing gives it
	// chassis.yaml:3:10: mail.batch: must be at most 64, found 100
	// chassis.yaml:5:12: tasks.workers: expected a whole number, found the string "many"
	//
	// token in the log: [secret] - in use: 6 characters
	// tasks.workers = 16 from CHASSIS_TASKS__WORKERS
	// mail.from = a@example.org from chassis.yaml:2:9
	// mail.timeout = 1m30s from chassis.yaml:3:12
	// mail.token = [secret] from CHASSIS_MAIL__TOKEN
}
