package breaker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// HealthCheck asks the service whether it is well; nil says that it is. It must
// end when ctx does.
type HealthCheck func(ctx context.Context) error

// WithHealth makes the breaker call check every health_interval, from an actor
// of its own, for as long as the service entry is open: half_success_limit
// successes in a row end the open time early, and begin the ramp if there is
// one; while checks fail the open time is lengthened, up to open_max. So health
// checks spare callers, but can never hold the breaker open for good.
func WithHealth(check HealthCheck) Option {
	return func(b *Breaker) error {
		if check == nil {
			return errors.New("breaker: WithHealth: the function is nil")
		}
		b.own.more().health = check
		return nil
	}
}

// healthCheck returns the check that is to run, or nil: that of WithHealth, or
// a GET of health_url.
func (b *Breaker) healthCheck(s *config) HealthCheck {
	if b.own.rest != nil && b.own.rest.health != nil {
		return b.own.rest.health
	}
	if s.HealthURL == "" {
		return nil
	}
	target := s.HealthURL
	if strings.HasPrefix(target, "/") {
		target = b.service + target
	}
	return func(ctx context.Context) error { return get(ctx, target, s) }
}

func get(ctx context.Context, target string, s *config) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	if err == nil && (res.StatusCode >= 400 || s.fails(res.StatusCode)) {
		err = fmt.Errorf("GET %s: %s", target, res.Status)
	}
	return err
}

func checkHealthURL(v string) error {
	if v == "" || strings.HasPrefix(v, "/") {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		if at := strings.LastIndexByte(v, '@'); at >= 0 { // a password may stand before it
			v = "…" + v[at:]
		}
		return fmt.Errorf("health_url must be a path like /health, or an http or https URL, got %q", v)
	}
	return nil
}

// prober is the child that makes the health calls. It may block in its own
// Receive: no other actor waits for it, and its ctx ends the call in hand.
type prober struct {
	check    HealthCheck
	interval time.Duration
	timeout  time.Duration
	ctx      context.Context
	timer    *time.Timer
}

type (
	// probeNow makes a prober call.
	probeNow struct{}
	// probed is how a call ended.
	probed struct{ err error }
)

// IgnoreDeadLetterLogging keeps a timer that fires after the end out of the log.
func (probeNow) IgnoreDeadLetterLogging() {}

// Receive implements actor.Actor.
func (p *prober) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Started: // also after a check that panicked: the next one is not at once
		root, self := actor.NewRootContext(c.ActorSystem(), nil), c.Self()
		p.timer = time.AfterFunc(p.interval, func() { root.Send(self, probeNow{}) })
	case probeNow:
		p.call(c)
		p.timer.Reset(p.interval)
	case *actor.Stopping, *actor.Restarting:
		p.timer.Stop()
	}
}

func (p *prober) call(c actor.Context) {
	err := errors.New("the health check panicked")
	defer func() { c.Send(c.Parent(), &probed{err}) }()
	ctx, cancel := context.WithTimeout(p.ctx, p.timeout)
	defer cancel()
	err = p.check(ctx)
}

// tend starts the prober when the service entry is open, and ends it when not.
func (s *state) tend(v *view) {
	b := s.b
	if v.root.state != Open || v.root.over != Closed {
		s.relieve()
		return
	}
	if s.prober != nil {
		return
	}
	check := b.healthCheck(v.set)
	if check == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancelProber = cancel
	s.prober = s.ctx.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &prober{check: check, interval: v.set.HealthInterval, timeout: v.set.RequestTimeout, ctx: ctx}
	}))
}

// relieve ends the prober, if there is one.
func (s *state) relieve() {
	if s.prober != nil {
		s.cancelProber()
		s.ctx.Stop(s.prober)
		s.prober, s.cancelProber = nil, nil
	}
}

// HandleFailure implements actor.SupervisorStrategy for the prober.
func (s *state) HandleFailure(
	_ *actor.ActorSystem, supervisor actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any,
) {
	supervisor.RestartChildren(child)
}

func (s *state) onProbed(m *probed) {
	e := s.begin()
	kind := evHealth
	if m.err != nil {
		kind = evSick
	}
	chain := e.take("", false)
	e.step(chain[0], event{kind: kind})
	e.put()
	s.commit(e)
}
