package chassis_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// A task with an answer, and one that is cancelled while it runs. The two could be in other
// processes as well: the answer comes by a queue of the asker's own, and the cancel by a
// notice.
func ExampleAsk() {
	sys, err := chassis.New("shop", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithLogOutput(io.Discard),
		chassis.WithoutDefaultLogger(), forTests)
	if err != nil {
		fmt.Println(err)
		return
	}
	price, export := task.Define[string]("price"), task.Define[int]("export")
	chassis.Handle(sys, price, func(ctx context.Context, job task.Job[string]) error {
		return task.Return(ctx, 100*len(job.Args))
	})
	running := make(chan struct{})
	chassis.Handle(sys, export, func(ctx context.Context, job task.Job[int]) error {
		close(running)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	ctx := context.Background()
	if err := sys.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	cents, err := chassis.Ask[int](ctx, sys, price, "tea")
	fmt.Println(cents, err)

	ended := make(chan error)
	go func() {
		_, err := chassis.Ask[int](ctx, sys, export, 1, task.ExecID("export-1"))
		ended <- err
	}()
	<-running
	known, err := sys.Cancel(ctx, "export-1")
	fmt.Println(known.Here, err)
	err = <-ended
	fmt.Println(errors.Is(err, task.ErrCancelled))
	if err := sys.Stop(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 300 <nil>
	// 1 <nil>
	// true
}
