package pools

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
)

func TestTheDispatchersSeeTheBreakersOfServices(t *testing.T) {
	if (&Pools{}).guards() != nil {
		t.Error("without breakers there are guards")
	}
	system := actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond))
	defer system.Shutdown()
	g := breaker.NewGroup(breaker.GroupConfig{System: system})
	defer func() { _ = g.Stop(context.Background()) }()
	p := &Pools{cfg: Config{Breakers: func() *breaker.Group { return g }}}
	s := p.guards()
	if s.Find("https://mail.internal/v1") != nil || s.Find("https://[::1") != nil || len(g.Breakers()) > 0 {
		t.Error("to look for a service makes its breaker")
	}
	mail, err := g.Breaker("https://mail.internal")
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"https://mail.internal/v1/send", "HTTPS://Mail.Internal:443/v1/send"} {
		if s.Find(url) == nil {
			t.Errorf("%s has no breaker", url)
		}
	}
	guard := s.Find("https://mail.internal/v1/send")
	changes := make(chan struct{}, 10)
	stop, err := guard.Listen(func() { changes <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	if o := guard.Look(); o.State != dispatcher.Admitting {
		t.Errorf("at first it is %v", o.State)
	}
	if err := mail.ForceOpen("/v1", time.Hour); err != nil {
		t.Fatal(err)
	}
	<-changes
	if o := guard.Look(); o.State != dispatcher.Refusing || o.URL != "https://mail.internal/v1" || o.After < 59*time.Minute {
		t.Errorf("forced open it is %+v", o)
	}
	stop()
	if err := mail.Reset("/v1"); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		_ = mail.Do(t.Context(), "/v1/send", func(context.Context) error { return errors.New("down") })
	}
	if o := guard.Look(); o.State != dispatcher.Refusing || o.URL != "https://mail.internal/v1/send" {
		t.Errorf("open it is %+v", o)
	}
	if len(changes) > 0 {
		t.Error("a listener that was stopped heard of it")
	}
}

func TestStatesOfABreakerForADispatcher(t *testing.T) {
	for _, c := range []struct {
		o    breaker.Outlook
		want dispatcher.Reach
	}{
		{breaker.Outlook{}, dispatcher.Admitting},
		{breaker.Outlook{State: breaker.Open}, dispatcher.Refusing},
		{breaker.Outlook{State: breaker.ForcedOpen}, dispatcher.Refusing},
		{breaker.Outlook{State: breaker.HalfOpen, Probes: 1}, dispatcher.Probing},
		{breaker.Outlook{State: breaker.HalfOpen, Share: 0.5}, dispatcher.Ramping},
		{breaker.Outlook{State: breaker.HalfOpen, Share: 0.5, Probes: 1}, dispatcher.Probing}, // the stricter of two entries
	} {
		if got := outlook("https://mail.internal", c.o).State; got != c.want {
			t.Errorf("%+v is %v, want %v", c.o, got, c.want)
		}
	}
}
