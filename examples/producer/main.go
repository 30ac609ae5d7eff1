// Producer only sends: it has no tasks of its own and takes none.
//
//	go run ./examples/producer
//
// See a hundred tasks go to another service's pool in batches of ten, under
// one job, and one of them as it lies on the queue.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/task"
)

const pool = "mailer-tasks"

type WelcomeArgs struct {
	Email string `json:"email"`
}

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) (err error) {
	ctx := context.Background()
	queue, err := localsqs.New() // in production there is AWS: leave out WithEmbedded and set queue.region
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	sys, err := chassis.New("shop", chassis.WithSettings(chassis.DefaultSettings()),
		chassis.WithEmbedded(queue), chassis.WithLogOutput(io.Discard))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Stop(ctx)) }() // neither Start nor Run: sending works from New on

	tasks := make([]chassis.Task, 100)
	for i := range tasks {
		tasks[i] = chassis.Task{
			Name: "welcome", Args: WelcomeArgs{Email: fmt.Sprintf("user%02d@example.org", i)},
			Options: []task.Option{task.Pool(pool), task.ForJob("2026-11", "sign-ups of November")},
		}
	}
	sent, err := sys.SendMany(ctx, tasks)
	if err != nil {
		for i, s := range sent {
			if s.Err != nil {
				fmt.Fprintln(out, i, "was not sent:", s.Err)
			}
		}
		return err
	}
	requests := queue.Stats().Requests["SendMessageBatch"]
	fmt.Fprintf(out, "%d tasks in %d requests\n", len(sent), requests)

	found, err := queue.Peek(pool, 1)
	if err != nil {
		return err
	}
	for _, m := range found {
		fmt.Fprintf(out, "%s of %s, received %d times\n",
			m.Attributes["task_name"], m.Attributes["job_name"], m.Receives)
	}
	return nil
}
