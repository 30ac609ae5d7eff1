package poller_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/actors/poller"
)

func TestASecondActorOfAPollerStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		synctest.Wait() // the poller is the one's that starts first, and a spawn does not wait for that
		gone := make(chan struct{})
		second := r.system.Root.Spawn(r.poller.Props())
		r.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				c.Watch(second)
			case *actor.Terminated:
				close(gone)
			}
		}))
		<-gone
		r.send("m", 1)
		r.want(1)
		r.bodies(1)
	})
}

func TestConfigIsChecked(t *testing.T) {
	_, err := poller.New(poller.Config{Settings: poller.Settings{TaskTimeout: 1500 * time.Millisecond, MaxReceives: 1000, ReceiveWait: time.Minute}})
	for _, s := range []string{"task_timeout", "max_receives", "receive_wait", "Client", "QueueURL"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%v does not name %s", err, s)
		}
	}
	if err := poller.DefaultSettings().Validate(); err != nil {
		t.Error(err)
	}
}

type sqsName = types.QueueAttributeName

func TestDeliveredAndDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 25)
		r.want(100)
		seen := map[string]bool{}
		for _, d := range r.bodies(25) {
			seen[d.Body] = true
			if d.ReceiveCount != 1 || d.Sent.IsZero() || d.FirstReceived.IsZero() || d.MessageID == "" {
				t.Errorf("incomplete: %+v", d)
			}
			r.done(d)
		}
		if len(seen) != 25 {
			t.Fatal("distinct:", len(seen))
		}
		for range 25 {
			if s := next[*poller.Settled](r); s.Err != nil {
				t.Fatal(s.Err)
			}
		}
		r.quiet()
		if left := r.left(); left != none {
			t.Fatal("left:", left)
		}
	})
}

func TestAPollerThatAnotherActorStopsComesBackWithItsLeases(t *testing.T) {
	bubble(t, func(t *testing.T) {
		stays := true
		r := newQueue(t, "tasks").start(func(c *poller.Config) { c.Permanent = func() bool { return stays } })
		r.send("m", 20)
		r.cast(poller.Want{Credits: 10})
		ds := r.bodies(10)
		r.system.Root.Stop(r.pid)
		r.cast(poller.Want{Credits: 10})
		ds = append(ds, r.bodies(10)...)
		for _, d := range ds {
			r.cast(poller.Settle{Lease: d.Lease})
		}
		for range 20 {
			if s := next[*poller.Settled](r); s.Err != nil {
				t.Error(s.Err)
			}
		}
		if left := r.left(); left != [3]string{"0", "0", "0"} {
			t.Error("left:", left)
		}
		if s := r.poller.Stats(); s.Restarts != 1 {
			t.Errorf("%+v", s)
		}
		stays = false // the end of its service, which no Drain needs to precede
		r.system.Root.Stop(r.pid)
		synctest.Wait()
		if _, alive := r.system.ProcessRegistry.GetLocal(r.pid.Id); alive {
			t.Error("it came back")
		}
	})
}

func TestCountAndInspect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 7)
		r.want(2)
		r.bodies(2)
		r.system.Root.RequestWithCustomSender(r.pid, &poller.Count{}, r.sub)
		if c := next[*poller.Counted](r); c.Err != nil || c.Visible != 5 || c.InFlight != 2 {
			t.Errorf("%+v", c)
		}
		r.system.Root.RequestWithCustomSender(r.pid, &poller.Inspect{}, r.sub)
		if s := next[*poller.Stats](r); s.Leases != 2 || s.Delivered != 2 || s.Wanted != 0 || s.OldestLease.IsZero() || s.LastSuccess.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}
