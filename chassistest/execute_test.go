package chassistest_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

var errStock = errors.New("no connection to the stock")

// answering is a task actor that does f with its Execute.
func answering(f func(c actor.Context, e *dispatcher.Execute)) *actor.Props {
	return actor.PropsFromFunc(func(c actor.Context) {
		if e, ok := c.Message().(*dispatcher.Execute); ok {
			f(c, e)
		}
	})
}

func TestExecuteReturnsWhatATaskActorAnswers(t *testing.T) {
	type args struct{ SKU int }
	for name, c := range map[string]struct {
		f    func(c actor.Context, e *dispatcher.Execute)
		want string
	}{
		"done":            {func(c actor.Context, _ *dispatcher.Execute) { c.Respond(dispatcher.Done{}) }, "done after 0s"},
		"done by pointer": {func(c actor.Context, _ *dispatcher.Execute) { c.Respond(&dispatcher.Done{}) }, "done after 0s"},
		"an error":        {func(c actor.Context, _ *dispatcher.Execute) { c.Respond(errStock) }, "failed after 0s: no connection to the stock"},
		"failed":          {func(c actor.Context, _ *dispatcher.Execute) { c.Respond(dispatcher.Failed{Err: errStock}) }, "failed after 0s: no connection to the stock"},
		"failed, no why":  {func(c actor.Context, _ *dispatcher.Execute) { c.Respond(&dispatcher.Failed{}) }, "without an error"},
		"panic":           {func(actor.Context, *dispatcher.Execute) { panic("a nut") }, "a panic after 0s"},
		"another type":    {func(c actor.Context, _ *dispatcher.Execute) { c.Respond(3) }, "answered with a int"},
		"stops":           {func(c actor.Context, _ *dispatcher.Execute) { c.Stop(c.Self()) }, "without an answer"},
		"late": {func(c actor.Context, _ *dispatcher.Execute) {
			to, root := c.Sender(), c.ActorSystem().Root
			time.AfterFunc(time.Minute, func() { root.Send(to, dispatcher.Done{}) })
		}, "done after 1m0s"},
		"waits for its ctx": {func(c actor.Context, e *dispatcher.Execute) {
			<-e.Ctx.Done()
			c.Respond(e.Ctx.Err())
		}, "failed after 30s: context deadline exceeded"},
		"reads": {func(c actor.Context, e *dispatcher.Execute) {
			var a args
			if err := e.Decode(&a); err != nil || a.SKU != 7 || e.Info.Attempt != 3 || task.JobFrom(e.Ctx) != e.Info {
				c.Respond(errStock)
				return
			}
			c.Respond(dispatcher.Done{})
		}, "done after 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run := chassistest.Execute(t, answering(c.f), args{7}, chassistest.Info(func(i *task.Info) {
					i.Attempt, i.Deadline = 3, time.Now().Add(30*time.Second)
				}))
				if got := run.Answer().String(); !strings.Contains(got, c.want) {
					t.Errorf("%s, want %s", got, c.want)
				}
			})
		})
	}
}

func TestExecuteWithProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		stock := chassistest.NewProbe(t, sys.Actors())
		var asker *actor.PID
		props := actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *dispatcher.Execute:
				asker = c.Sender()
				c.Request(stock.PID(), reserve{7})
			case error:
				c.Send(asker, m)
			}
		})
		run := chassistest.Execute(t, props, json.RawMessage(`{}`), chassistest.In(sys.Actors()))
		chassistest.Expect[reserve](stock)
		stock.Reply(errStock)
		run.AssertFailed(errStock)
	})
}

func TestExecuteIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := chassistest.Execute(t, answering(func(c actor.Context, e *dispatcher.Execute) {
			<-e.Ctx.Done()
			c.Respond(dispatcher.Done{})
		}), nil)
		time.Sleep(time.Minute)
		run.Cancel()
		run.AssertDone()
		if a := run.Answer(); a.After != time.Minute {
			t.Errorf("%v", a)
		}
	})
}
