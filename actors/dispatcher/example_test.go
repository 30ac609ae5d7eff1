package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// road is what a dispatcher needs around it: a queue and its poller. The
// chassis makes all of it; here it is by hand.
type road struct {
	queue  *localsqs.Server
	sender *poller.Sender
	system *actor.ActorSystem
	poller *actor.PID
	self   *actor.PID
	client *dispatcher.Client
	mon    *dispatcher.Monitor
}

func newRoad(tasks ...*dispatcher.Register) *road {
	ctx := context.Background()
	r := &road{system: newSystem(), mon: dispatcher.NewMonitor()}
	var err error
	r.queue, err = localsqs.New()
	check(err)
	client, err := sqsclient.New(ctx, sqsclient.Settings{}, sqsclient.WithHTTPClient(r.queue.HTTPClient()))
	check(err)
	r.sender = poller.NewSender(client)
	url, err := poller.EnsureQueue(ctx, client, "mailer", poller.EnsureOptions{Create: true})
	check(err)
	_, err = poller.EnsureQueue(ctx, client, "mailer_dead", poller.EnsureOptions{Create: true})
	check(err)
	p, err := poller.New(poller.Config{Client: client, QueueURL: url, Sender: r.sender, Settings: poller.Settings{ReceiveWait: time.Second}})
	check(err)
	r.poller = r.system.Root.Spawn(p.Props())
	props, err := dispatcher.New(dispatcher.Config{Pool: "mailer", Poller: r.poller, Monitor: r.mon, Tasks: tasks})
	check(err)
	r.self = r.system.Root.Spawn(props)
	r.client = dispatcher.NewClient(r.system, r.self)
	return r
}

func (r *road) send(out *task.Outgoing, err error) {
	check(err)
	_, err = r.sender.Send(context.Background(), poller.Outgoing{Pool: "mailer", Body: out.Body, Attributes: out.Attributes})
	check(err)
}

func (r *road) stop() {
	_, err := r.client.Drain(context.Background(), time.Now().Add(10*time.Second))
	check(err)
	check(r.system.Root.StopFuture(r.self).Wait())
	check(r.system.Root.StopFuture(r.poller).Wait())
	check(r.sender.Close(context.Background()))
	check(r.queue.Close())
	r.system.Shutdown()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

type welcome struct {
	Email string `json:"email"`
}

var Welcome = task.Define[welcome]("welcome", task.MaxFailures(3), task.Wait(10*time.Millisecond, task.Geometric))

// A function as a task: an error is one failure, after which it is run again.
func Example() {
	done := make(chan struct{})
	r := newRoad(&dispatcher.Register{Spec: Welcome.Spec(), Handler: task.Erase(func(ctx context.Context, job task.Job[welcome]) error {
		fmt.Println("attempt", job.Attempt, "of", job.MaxFailures, "to", job.Args.Email, "for", job.JobName)
		if job.Attempt == 1 {
			return errors.New("smtp: 421 try again")
		}
		close(done)
		return nil
	})})
	r.send(Welcome.Encode(time.Now(), welcome{"ann@example.org"}, task.ForJob("7", "sign-up")))
	<-done
	r.stop()
	// Output:
	// attempt 1 of 3 to ann@example.org for sign-up
	// attempt 2 of 3 to ann@example.org for sign-up
}

// courier is a task actor of a user's own.
type courier struct{}

func (courier) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*dispatcher.Execute); ok {
		var args welcome
		if err := m.Decode(&args); err != nil {
			ctx.Respond(err)
			return
		}
		// ... deliver, ask other actors, spawn children ...
		ctx.Respond(dispatcher.Done{})
	}
}

// An actor as a task: it is asked by Execute and answers Done, or an error.
func ExampleExecute() {
	r := newRoad(&dispatcher.Register{
		Spec:  Welcome.Spec(),
		Props: actor.PropsFromProducer(func() actor.Actor { return courier{} }),
	})
	events := r.mon.Events(100)
	r.send(Welcome.Encode(time.Now(), welcome{"bob@example.org"}))
	for e := range events.C {
		fmt.Println(e.Kind, e.Task)
		if e.Kind == dispatcher.SettledWell {
			break
		}
	}
	events.Close()
	r.stop()
	// Output:
	// received welcome
	// started welcome
	// succeeded welcome
	// settled welcome
}

// A running execution is found by its exec_id, and ended for good.
func ExampleClient_CancelExecution() {
	started := make(chan struct{})
	r := newRoad(&dispatcher.Register{Spec: Welcome.Spec(), Handler: task.Erase(func(ctx context.Context, job task.Job[welcome]) error {
		task.Report(ctx, 1, 2, "dialling")
		close(started)
		<-ctx.Done()
		return context.Cause(ctx)
	})})
	events := r.mon.Events(100)
	r.send(Welcome.Encode(time.Now(), welcome{"eve@example.org"}, task.ExecID("e-1")))
	<-started
	list, err := r.client.Inspect(context.Background(), "e-1", 0)
	check(err)
	fmt.Println(list.List[0].Phase, list.List[0].Progress.Note)
	n, err := r.client.CancelExecution(context.Background(), "e-1", "wrong address")
	check(err)
	fmt.Println(n, "cancelled")
	for e := range events.C {
		if e.Kind == dispatcher.GivenUp {
			fmt.Println(e.Reason+":", e.Error)
		}
		if e.Kind == dispatcher.SettledWell {
			break
		}
	}
	events.Close()
	r.stop()
	// Output:
	// running dialling
	// 1 cancelled
	// cancelled: the execution was cancelled by an operator: wrong address
}
