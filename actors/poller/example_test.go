package poller_test

import (
	"context"
	"fmt"
	"log"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// A subscriber with ten slots that greets the name that a message holds.
func Example() {
	ctx := context.Background()
	queue, err := localsqs.New()
	if err != nil {
		log.Fatal(err)
	}
	client, err := sqsclient.New(ctx, sqsclient.Settings{}, sqsclient.WithHTTPClient(queue.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	url, err := poller.EnsureQueue(ctx, client, "greetings", poller.EnsureOptions{Create: true})
	if err != nil {
		log.Fatal(err)
	}
	p, err := poller.New(poller.Config{Client: client, QueueURL: url})
	if err != nil {
		log.Fatal(err)
	}

	system := newSystem()
	pid := system.Root.Spawn(p.Props())
	settled := make(chan error)
	subscriber := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			c.Send(pid, &poller.Subscribe{To: c.Self()})
			c.Send(pid, &poller.Want{Credits: 10})
		case *poller.Delivered:
			fmt.Println("hello,", m.Body)
			c.Send(pid, &poller.Settle{Lease: m.Lease})
		case *poller.Settled:
			settled <- m.Err
		}
	}))

	sender := poller.NewSender(client)
	if _, err := sender.Send(ctx, poller.Outgoing{Pool: "greetings", Body: "world"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("settled:", <-settled)

	_ = system.Root.StopFuture(pid).Wait()
	_ = system.Root.StopFuture(subscriber).Wait()
	_ = sender.Close(ctx)
	_ = queue.Close()
	// Output:
	// hello, world
	// settled: <nil>
}

func ExampleSender_SendMany() {
	ctx := context.Background()
	queue, err := localsqs.New()
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = queue.Close() }()
	client, err := sqsclient.New(ctx, sqsclient.Settings{}, sqsclient.WithHTTPClient(queue.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	sender := poller.NewSender(client, poller.SenderEnsure(func(string) poller.EnsureOptions { return poller.EnsureOptions{Create: true} }))
	results, err := sender.SendMany(ctx, []poller.Outgoing{{Pool: "greetings", Body: "ann"}, {Pool: "greetings"}, {Pool: "Greetings", Body: "bob"}})
	fmt.Println(err)
	for _, r := range results {
		fmt.Println(r.MessageID != "", r.Err)
	}
	_ = sender.Close(ctx)
	// Output:
	// poller: 2 of 3 messages not sent, the first: poller: not a message that SQS takes: to pool "greetings": the body is empty
	// true <nil>
	// false poller: not a message that SQS takes: to pool "greetings": the body is empty
	// false poller: not a name for a task pool: "Greetings" is not all lower case; write "greetings"
}

func ExampleEnsureQueue() {
	ctx := context.Background()
	queue, err := localsqs.New()
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = queue.Close() }()
	client, err := sqsclient.New(ctx, sqsclient.Settings{}, sqsclient.WithHTTPClient(queue.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	_, err = poller.EnsureQueue(ctx, client, "mailer.tasks", poller.EnsureOptions{Create: true})
	fmt.Println(err)
	// Output: poller: not a name for a task pool: "mailer.tasks" holds '.'; SQS allows letters, digits, - and _, and the suffix .fifo
}
