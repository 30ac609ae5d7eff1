// Chaos runs a fleet of workers against one durable queue for a while, kills
// and stops them at random, lets the queue fail in every way that a network
// knows, and then accounts for every task.
//
//	go run ./chaos -for 10m
//
// What must hold: every task ends done by its records, or as a dead letter
// with its reason; no execution fails more often than it may; no run begins
// after its message's delete was acknowledged; no two runs of one message
// overlap while the first one's ctx stands. It exits with 1 if any does not.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

func main() {
	length := flag.Duration("for", time.Minute, "how long faults are injected")
	workers := flag.Int("workers", 3, "processes of the fleet")
	rate := flag.Int("rate", 100, "tasks sent a second")
	keep := flag.String("dir", "", "keep the queue, the records and the logs in this folder")
	flag.Parse()
	var err error
	if endpoint := os.Getenv("CHAOS_WORKER"); endpoint != "" {
		err = runWorker(endpoint, os.Getenv("CHAOS_DIR"))
	} else {
		err = torment(*length, *workers, *rate, *keep)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func torment(length time.Duration, workers, rate int, dir string) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "chaos"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(dir)
			} else {
				fmt.Println("the records are in", dir)
			}
		}()
	}
	server, err := localsqs.New(localsqs.Path(filepath.Join(dir, "queue.db")))
	if err != nil {
		return err
	}
	defer server.Close()
	target, err := server.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	p := newProxy(target)
	endpoint, closeProxy, err := p.listen()
	if err != nil {
		return err
	}
	defer closeProxy()
	ctx := context.Background()
	client, err := sqsclient.New(ctx, sqsclient.Settings{}, sqsclient.WithHTTPClient(server.HTTPClient()))
	if err != nil {
		return err
	}
	set := settings("")
	set.Queue.Endpoint, set.Queue.Region = "", ""
	sys, err := chassis.New("chaos", chassis.WithSettings(set), chassis.WithSQS(client))
	if err != nil {
		return err
	}
	for _, d := range []*task.Definition[args]{work, fragile, mop} { // to be allowed to send them
		chassis.Handle(sys, d, func(context.Context, task.Job[args]) error { return errors.New("not here") })
	}
	defer func() { err = errors.Join(err, sys.Stop(ctx)) }()

	f := &fleet{endpoint: endpoint, dir: dir, ended: map[int]int64{}}
	life, end := context.WithCancel(ctx)
	var places sync.WaitGroup
	failed := make(chan error, workers)
	for range workers {
		places.Go(func() {
			if err := f.tend(life); err != nil {
				failed <- err
			}
		})
	}
	sent, err := send(ctx, sys, p, length, rate)
	if err == nil {
		p.calm.Store(true)
		p.down.Store(false)
		fmt.Printf("%d tasks sent; the faults end, the fleet still dies; waiting for the queue to be empty\n", sent)
		err = untilEmpty(ctx, client, 5*time.Minute)
	}
	end()
	places.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	if err != nil {
		return err
	}
	return report(ctx, sys, p, f, dir, sent)
}

// send sends at the rate and has an outage now and then. Sending itself is not
// tried here: it goes past the proxy.
func send(ctx context.Context, sys *chassis.System, p *proxy, length time.Duration, rate int) (int, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	over := time.After(length)
	outage := time.NewTimer(10 * time.Second)
	defer outage.Stop()
	said, sent := time.Now(), 0
	for {
		select {
		case <-over:
			return sent, nil
		case <-outage.C:
			if p.down.Load() {
				p.down.Store(false)
				outage.Reset(time.Duration(15+rand.IntN(20)) * time.Second)
			} else {
				p.down.Store(true)
				outage.Reset(time.Duration(500+rand.IntN(3000)) * time.Millisecond)
			}
		case <-tick.C:
			var batch []chassis.Task
			for range max(rate/10, 1) {
				name := work.Name()
				if sent%5 == 0 {
					name = fragile.Name()
				}
				batch = append(batch, chassis.Task{Name: name, Args: args{ID: sent}})
				sent++
			}
			if _, err := sys.SendMany(ctx, batch); err != nil {
				return sent, err
			}
			if time.Since(said) > 15*time.Second {
				said = time.Now()
				fmt.Printf("%d tasks sent\n", sent)
			}
		}
	}
}

func untilEmpty(ctx context.Context, client *sqs.Client, limit time.Duration) error {
	url, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: ptr(pool)})
	if err != nil {
		return err
	}
	begun := time.Now()
	for {
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
			types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		}})
		if err != nil {
			return err
		}
		empty := true
		for _, n := range out.Attributes {
			empty = empty && n == "0"
		}
		if empty {
			return nil
		}
		if time.Since(begun) > limit {
			return fmt.Errorf("after %v the queue still has %v", limit, out.Attributes)
		}
		wait(ctx, 200*time.Millisecond)
	}
}

func ptr[T any](v T) *T { return &v }

func report(ctx context.Context, sys *chassis.System, p *proxy, f *fleet, dir string, sent int) error {
	dead := map[int]string{}
	without := 0
	for d, err := range sys.DeadLetters(ctx) {
		if err != nil {
			return err
		}
		var a args
		if err := json.Unmarshal([]byte(d.Body), &a); err != nil {
			return fmt.Errorf("dead letter %s: %w", d.MessageID, err)
		}
		if d.Reason == "" {
			without++
		}
		dead[a.ID] = d.Reason
	}
	records, err := readJournals(dir)
	if err != nil {
		return err
	}
	v := judge(sent, records, dead, f.ended, p.deleted, p.handed)
	fmt.Printf("\ntasks %d\nruns %d\nfailures %d\ndone %d (by their on_fail task %d)\ndead letters %d (without a reason %d)\nmessages that were sent twice by a crash %d\n",
		v.tasks, v.runs, v.failures, v.done, v.mopped, v.dead, without, v.duplicates)
	fmt.Printf("runs begun after the delete by a delivery from before it, the lease having been lost, %d\n", v.inHand)
	fmt.Printf("workers killed %d, stopped %d\n", f.killed, f.stopped)
	names := make([]string, 0, len(p.faults))
	for name := range p.faults {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Printf("fault: %s %d\n", name, p.faults[name])
	}
	for title, list := range map[string][]string{"lost": v.lost, "too many failures": v.excess, "begun after the delete": v.afterAck, "overlap": v.overlaps, "stop": f.overruns} {
		fmt.Printf("%s: %d\n", title, len(list))
		for _, text := range list[:min(len(list), 10)] {
			fmt.Println("  " + text)
		}
	}
	word := "holds"
	if !v.ok() || len(f.overruns) > 0 || without > 0 {
		word = "does not hold"
	}
	fmt.Printf("CHAOS verdict: %d tasks, %d lost, %d failed too often, %d begun after their delete, %d overlaps, %d stops too long, %d without a reason: %s\n",
		v.tasks, len(v.lost), len(v.excess), len(v.afterAck), len(v.overlaps), len(f.overruns), without, word)
	if word != "holds" {
		return errors.New("something does not hold")
	}
	return nil
}
