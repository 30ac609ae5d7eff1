package admin

import (
	"context"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/actors/schedules"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/parts"
)

// State is everything that is cheap to know, at one time. What a service does
// not have is left out.
type State struct {
	At        time.Time              `json:"at"`
	Service   Info                   `json:"service"`
	Uptime    float64                `json:"uptime_seconds"`
	Ready     Readiness              `json:"ready"`
	Queues    []Queue                `json:"queues,omitempty"`
	Checks    []health.Status        `json:"checks,omitempty"`
	Parts     []parts.Status         `json:"parts,omitempty"`
	Workers   *Workers               `json:"workers,omitempty"`
	Tasks     []dispatcher.TaskStats `json:"tasks,omitempty"`
	Breakers  []Breaker              `json:"breakers,omitempty"`
	Schedules []schedules.Status     `json:"schedules,omitempty"`
	More      *More                  `json:"more,omitempty"` // nil: nothing was left out
	Log       *logger.Stats          `json:"log,omitempty"`
	Has       []string               `json:"has"` // of tasks, dead, breakers, schedules, fleet, log, settings
}

// stateTimeout bounds what a look at the state may wait for the queue.
const stateTimeout = 2 * time.Second

func (s *Server) state(ctx context.Context) State {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	c := &s.cfg
	st := State{At: time.Now().UTC(), Service: c.Service.Info(), Ready: c.Service.Ready(ctx), Has: c.parts()}
	if !st.Service.Started.IsZero() {
		st.Uptime = st.At.Sub(st.Service.Started).Seconds()
	}
	if c.Queues != nil {
		st.Queues = c.Queues(ctx)
	}
	if c.Checks != nil {
		st.Checks = c.Checks()
	}
	if c.Parts != nil {
		st.Parts = c.Parts()
	}
	if c.Tasks != nil {
		w := c.Tasks.Workers()
		st.Workers, st.Tasks = &w, w.Stats.Tasks
	}
	if c.Breakers != nil {
		st.Breakers = s.breakers()
	}
	st.Schedules = c.schedules()
	if c.Logs != nil {
		l := c.Logs.Stats()
		st.Log = &l
	}
	st.bound()
	return st
}

func (c *Config) parts() []string {
	parts := []string{}
	for _, p := range []struct {
		name string
		has  bool
	}{
		{"tasks", c.Tasks != nil}, {"dead", c.Dead != nil}, {"breakers", c.Breakers != nil},
		{"schedules", len(c.schedules()) > 0}, {"fleet", c.Fleet != nil},
		{"log", c.Logs != nil}, {"settings", c.Explain != nil},
	} {
		if p.has {
			parts = append(parts, p.name)
		}
	}
	return parts
}

// Sample is one point of the page's curves. Rates are of the second or so
// before it.
type Sample struct {
	At        time.Time `json:"at"`
	Received  float64   `json:"received_per_second"` // messages
	Sent      float64   `json:"sent_per_second"`
	Succeeded float64   `json:"succeeded_per_second"` // attempts
	Failed    float64   `json:"failed_per_second"`
	GivenUp   float64   `json:"given_up_per_second"`
	Running   int64     `json:"running"`
}

// historyLength is how many samples are kept: five minutes of them.
const historyLength = 300

// totals are the counts that the rates of a [Sample] are made of.
type totals struct {
	at                                         time.Time
	received, sent, succeeded, failed, givenUp float64
	running                                    int64
}

func (s *Server) totals(now time.Time) totals {
	t := totals{at: now}
	if s.cfg.Tasks == nil {
		return t
	}
	w := s.cfg.Tasks.Workers()
	t.received, t.sent, t.running = float64(w.Poller.Received), float64(w.Sender.Sent), w.Running
	for _, k := range w.Stats.Tasks {
		t.succeeded += float64(k.Succeeded)
		t.failed += float64(k.Failed)
		t.givenUp += float64(k.GivenUp)
	}
	return t
}

// since makes the sample of the time from before to t.
func (t totals) since(before totals) Sample {
	seconds := t.at.Sub(before.at).Seconds()
	rate := func(now, then float64) float64 {
		if seconds <= 0 {
			return 0
		}
		return max(now-then, 0) / seconds
	}
	return Sample{
		At: t.at.UTC(), Running: t.running,
		Received: rate(t.received, before.received), Sent: rate(t.sent, before.sent),
		Succeeded: rate(t.succeeded, before.succeeded), Failed: rate(t.failed, before.failed), GivenUp: rate(t.givenUp, before.givenUp),
	}
}
