// Pools works on two task pools in one process, which share its executions.
//
//	go run ./examples/pools
//
// Both have more work than can be done. The mails have the weight 9 and get nine
// starts out of ten; the reports get one. While one pool has no work, the other has
// all of the executions.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

var (
	Mail   = task.Define[int]("mail")
	Report = task.Define[int]("report", task.InPool("reports"))
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) (err error) {
	ctx := context.Background()
	s := chassis.DefaultSettings()
	s.Tasks.TaskPool, s.Tasks.Workers = "mails", 20
	s.Tasks.TotalWorkers, s.Tasks.Weight = 20, 9
	s.Tasks.Pools = map[string]chassis.PoolSettings{"reports": {Weight: 1}}
	sys, err := chassis.New("office", chassis.WithSettings(s), chassis.WithLogOutput(io.Discard))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Stop(ctx)) }()

	work := func(context.Context, task.Job[int]) error { time.Sleep(10 * time.Millisecond); return nil }
	chassis.Handle(sys, Mail, work)
	chassis.Handle(sys, Report, work)
	var many []chassis.Task
	for i := range 1500 {
		many = append(many, chassis.Task{Name: Mail.Name(), Args: i})
	}
	for i := range 400 {
		many = append(many, chassis.Task{Name: Report.Name(), Args: i})
	}
	if _, err := sys.SendMany(ctx, many); err != nil {
		return err
	}

	events := sys.Tasks().Events(10_000)
	defer events.Close()
	if err := sys.Start(ctx); err != nil {
		return err
	}
	started := map[string]int{}
	for n := -100; n < 1000; { // the first ones before both pools' messages are here
		if e := <-events.C; e.Kind == dispatcher.Started {
			if n++; n > 0 {
				started[e.Pool]++
			}
		}
	}
	for _, pool := range sys.Shares().Pools {
		fmt.Fprintf(out, "%s: weight %d, share %d of %d, about %.0f %% of the starts\n",
			pool.Pool, pool.Weight, pool.Share, s.Tasks.TotalWorkers, 5*math.Round(float64(started[pool.Pool])/50))
	}
	return nil
}
