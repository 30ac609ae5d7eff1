// Actor-task runs a task by an actor of its own, which spawns children.
//
//	go run ./examples/actor-task
//
// One execution spreads its work over child actors. One child fails: that is one
// failure of the execution, which a new actor runs again.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

type Report struct {
	Pages []int `json:"pages"`
}

// reporter is the task's actor: one an execution.
type reporter struct {
	out   io.Writer
	job   *task.Info
	asked *actor.PID // who wants the answer
	open  int        // answers and ends of children to come
	words int
	err   error
}

// rendered is a child's answer.
type rendered struct {
	words int
	err   error
}

func (r *reporter) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *dispatcher.Execute:
		var args Report
		if err := m.Decode(&args); err != nil {
			c.Respond(dispatcher.Failed{Err: err})
			return
		}
		r.job, r.asked, r.open = m.Info, c.Sender(), 2*len(args.Pages)
		for _, n := range args.Pages {
			c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if _, begun := c.Message().(*actor.Started); begun {
					c.Send(c.Parent(), render(n, m.Info.Attempt))
					c.Stop(c.Self())
				}
			}))
		}
	case rendered:
		r.words += m.words
		r.err = errors.Join(r.err, m.err)
		r.next(c)
	case *actor.Terminated: // a child; this may overtake its answer
		r.next(c)
	}
}

// next answers once every child has, and has ended.
func (r *reporter) next(c actor.Context) {
	switch r.open--; {
	case r.open > 0:
	case r.err != nil:
		fmt.Fprintf(r.out, "attempt %d: %v\n", r.job.Attempt, r.err)
		c.Send(r.asked, dispatcher.Failed{Err: r.err})
	default:
		fmt.Fprintf(r.out, "attempt %d: %d words\n", r.job.Attempt, r.words)
		c.Send(r.asked, dispatcher.Done{})
	}
}

func render(page, attempt int) rendered {
	if page == 2 && attempt == 1 {
		return rendered{err: errors.New("page 2 does not render")}
	}
	return rendered{words: 100 * page}
}

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) (err error) {
	ctx := context.Background()
	sys, err := chassis.New("reports",
		chassis.WithSettings(chassis.DefaultSettings()), chassis.WithLogOutput(io.Discard))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Stop(ctx)) }()
	sys.Register("report", actor.PropsFromProducer(func() actor.Actor { return &reporter{out: out} }),
		task.MaxFailures(3), task.Wait(0, task.None))

	events := sys.Tasks().Events(100)
	defer events.Close()
	if err := sys.Start(ctx); err != nil {
		return err
	}
	if _, err := sys.Send(ctx, "report", Report{Pages: []int{1, 2, 3}}); err != nil {
		return err
	}
	for e := range events.C {
		if e.Kind == dispatcher.SettledWell {
			fmt.Fprintln(out, "settled after", e.Failures, "failure")
			return nil
		}
	}
	return nil
}
