package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

type args struct {
	ID int `json:"id"`
}

// kind is a sort of task: how many of a thousand are of it, its rules, and
// what a run does.
type kind struct {
	share    int
	dies     bool // it ends as a dead letter, at least the first time
	policies []task.Policy
	options  []task.Option
	run      func(ctx context.Context, s *soak, job task.Job[args]) error
}

const (
	hopeless = "hopeless"
	garbage  = "garbage" // no task at all, but a message of the same pool
	mop      = "mop"     // what on_fail sends
)

var errPlanned = errors.New("planned")

// first does what is given at the first attempt and succeeds at later ones.
func first(do func(ctx context.Context) error) func(context.Context, *soak, task.Job[args]) error {
	return func(ctx context.Context, _ *soak, job task.Job[args]) error {
		if job.Attempt == 1 {
			return do(ctx)
		}
		return nil
	}
}

func always(err error) func(context.Context, *soak, task.Job[args]) error {
	return func(context.Context, *soak, task.Job[args]) error { return err }
}

var quick = []task.Policy{task.MaxFailures(4), task.Wait(200*time.Millisecond, task.Arithmetic)}

var kinds = map[string]kind{
	"plain":   {share: 650, policies: quick, run: always(nil)},
	"calls":   {share: 150, policies: []task.Policy{task.MaxFailures(100), task.Wait(200*time.Millisecond, task.None)}, run: callOut},
	"fails":   {share: 40, policies: quick, run: first(func(context.Context) error { return errPlanned })},
	"panics":  {share: 10, policies: quick, run: first(func(context.Context) error { panic("planned") })},
	"exits":   {share: 5, policies: quick, run: first(func(context.Context) error { runtime.Goexit(); return nil })},
	"snoozes": {share: 30, policies: quick, run: first(func(context.Context) error { return task.Snooze(2 * time.Second) })},
	"retries": {share: 20, policies: quick, run: first(func(context.Context) error { return task.RetryAfter(errPlanned, 3*time.Second) })},
	"hangs": {share: 10, policies: append([]task.Policy{task.Deadline(time.Second)}, quick...),
		run: first(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })},
	"deaf":    {share: 3, policies: append([]task.Policy{task.Deadline(500 * time.Millisecond)}, quick...), run: deaf},
	"long":    {share: 4, policies: quick, run: first(func(ctx context.Context) error { return pause(ctx, lease+2*time.Second) })},
	"later":   {share: 20, policies: append([]task.Policy{task.Window(0)}, quick...), options: []task.Option{task.Delay(20 * time.Second)}, run: always(nil)},
	"mopped":  {share: 10, policies: []task.Policy{task.MaxFailures(2), task.Wait(100*time.Millisecond, task.None), task.OnFail(mop)}, run: always(errPlanned)},
	mop:       {policies: quick, run: always(nil)},
	"cancels": {share: 10, dies: true, policies: quick, run: always(task.Cancel(errPlanned))},
	hopeless: {share: 28, dies: true, policies: []task.Policy{task.MaxFailures(3), task.Wait(100*time.Millisecond, task.None)},
		run: func(_ context.Context, s *soak, job task.Job[args]) error {
			if s.ledger.wasSentBack(job.Args.ID) {
				return nil
			}
			return errPlanned
		}},
	garbage: {share: 10, dies: true},
}

// deaf does not mind its ctx at the first attempt, and is abandoned.
func deaf(_ context.Context, s *soak, job task.Job[args]) error {
	if job.Attempt > 1 {
		return nil
	}
	_ = pause(context.Background(), 3*time.Second)
	s.ledger.endedLate()
	return errPlanned
}

// callOut calls a remote service through its breaker. Its failures are retried
// until the service is well again.
func callOut(ctx context.Context, s *soak, job task.Job[args]) error {
	remote := s.remotes[job.Args.ID%len(s.remotes)]
	return s.get(ctx, remote, "/v1/items/"+strconv.Itoa(job.Args.ID%500))
}

func (s *soak) get(ctx context.Context, r *remote, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	if err != nil {
		return err
	}
	res, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s: %s", r.url, path, res.Status)
	}
	return nil
}

func (s *soak) register() {
	for name, k := range kinds {
		if k.run == nil {
			continue
		}
		chassis.Handle(s.sys, task.Define[args](name, k.policies...), func(ctx context.Context, job task.Job[args]) error {
			s.log.InfoContext(ctx, "begins", "kind", name, "id", job.Args.ID)
			err := k.run(ctx, s, job)
			s.log.DebugContext(ctx, "ends", "kind", name, "id", job.Args.ID, "error", err)
			if err == nil {
				s.ledger.finish(job.Args.ID)
			}
			return err
		})
	}
}

// send sends tasks at the rate until ctx ends.
func (s *soak) send(ctx context.Context, rate int) error {
	var names []string // a thousand, each kind by its share
	for name, k := range kinds {
		names = append(names, strings.Split(strings.Repeat(name+" ", k.share), " ")[:k.share]...)
	}
	const turn = 200 * time.Millisecond
	tick := time.NewTicker(turn)
	defer tick.Stop()
	due := 0.0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var batch []chassis.Task
		for due += float64(rate) * turn.Seconds(); due >= 1; due-- {
			name := names[rand.IntN(len(names))]
			id := s.ledger.enter(name)
			if name == garbage {
				if err := s.sendGarbage(id); err != nil {
					return err
				}
				continue
			}
			batch = append(batch, chassis.Task{Name: name, Args: args{ID: id},
				Options: append([]task.Option{task.ForJob("job-"+strconv.Itoa(id%1000), "soak")}, kinds[name].options...)})
		}
		if _, err := s.sys.SendMany(context.WithoutCancel(ctx), batch); err != nil {
			return err
		}
	}
}

// sendGarbage sends a message that cannot be run: its body is no JSON.
func (s *soak) sendGarbage(id int) error {
	body, name, text := "garbage "+strconv.Itoa(id), "plain", "String"
	_, err := s.sys.SQS().SendMessage(context.Background(), &sqs.SendMessageInput{
		QueueUrl: &s.pool, MessageBody: &body,
		MessageAttributes: map[string]types.MessageAttributeValue{task.AttrName: {DataType: &text, StringValue: &name}},
	})
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
