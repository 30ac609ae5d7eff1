package pools

import (
	"context"
	"fmt"
	"path"
	"sync"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/internal/life"
)

// Health is OK or ERROR, the words of the Python chassis.
type Health string

// The values of [Health].
const (
	OK    Health = "OK"
	Error Health = "ERROR"
)

// Readiness says whether tasks flow: TASK_QUEUES and TASK_CONSUMER, each OK or
// ERROR as the Python chassis has them, and the reasons of each ERROR. A reason
// with an OK is that no worker gets free.
type Readiness struct {
	TaskQueues   Health   `json:"TASK_QUEUES"`
	TaskConsumer Health   `json:"TASK_CONSUMER"`
	Reasons      []string `json:"reasons,omitempty"`
}

// OK reports whether both are.
func (r Readiness) OK() bool { return r.TaskQueues == OK && r.TaskConsumer == OK }

// Liveness says whether the actors answer.
type Liveness struct {
	Actors  Health   `json:"ACTORS"`
	Reasons []string `json:"reasons,omitempty"`
}

// What a check is decided by. The poller gives a sign of life every 5 s, and a
// receive takes receive_wait at most.
const (
	aliveFor   = 20 * time.Second // a poller without a sign of life is stuck after
	answerIn   = 10 * time.Second // a dispatcher that has not answered is not ready after
	deadAfter  = 30 * time.Second // and is to be restarted after
	idleFor    = time.Minute      // wanting tasks but asking for none is a fault after
	freshFor   = 10 * time.Second // a good answer of the queue counts for so long and a receive_wait
	quickReply = 500 * time.Millisecond
	readyIn    = 2 * time.Second // what a queue that does not answer may take of a check
)

// Ready says whether tasks flow, as it is now, in a service in this state. It asks
// the dispatcher, and it asks the queue too unless that has just answered the poller
// well. A service without tasks is ready when it has started. It returns within two
// seconds.
func (p *Pools) Ready(ctx context.Context, state life.State) Readiness {
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	begun := p.Control() != nil
	switch {
	case state < life.Running:
		return Readiness{Error, Error, []string{"the service is " + state.String()}}
	case state == life.Stopped:
		return Readiness{Error, Error, []string{"the service has stopped"}}
	case !begun && state == life.Running:
		return Readiness{OK, OK, nil}
	case !begun:
		return Readiness{OK, Error, []string{"the service is stopping"}}
	}
	ready := Readiness{OK, OK, nil}
	if state > life.Running {
		ready.TaskConsumer, ready.Reasons = Error, append(ready.Reasons, "draining: no new tasks are taken")
	}
	for i, fault := range p.eachLane(func(l *lane, r *running) [2]string {
		stats, faults := r.queue.Stats(), [2]string{}
		faults[0] = l.queueFault(ctx, stats)
		if state == life.Running {
			faults[1] = consumerFault(stats, l.monitor, l.pulse.beat(ctx, l.pools, r.client), time.Now())
		}
		return faults
	}) {
		for kind, why := range fault {
			if why == "" {
				continue
			}
			if len(p.lanes()) > 1 {
				why = "pool " + p.lanes()[i].name() + ": " + why
			}
			*[]*Health{&ready.TaskQueues, &ready.TaskConsumer}[kind] = Error
			ready.Reasons = append(ready.Reasons, why)
		}
	}
	for _, l := range p.lanes() {
		if why := endlessNote(l.monitor); why != "" {
			ready.Reasons = append(ready.Reasons, "pool "+l.name()+": "+why)
		}
	}
	return ready
}

// eachLane asks all lanes at once: the answers may take their time.
func (p *Pools) eachLane(f func(*lane, *running) [2]string) [][2]string {
	answers := make([][2]string, len(p.lanes()))
	var work sync.WaitGroup
	for i, l := range p.lanes() {
		if r := l.running.Load(); r != nil {
			work.Go(func() { answers[i] = f(l, r) })
		}
	}
	work.Wait()
	return answers
}

// queueFault is "" or why the pool's queue cannot be used.
func (l *lane) queueFault(ctx context.Context, p poller.Stats) string {
	if len(p.Refused) > 0 {
		r := p.Refused[0]
		if r.Away {
			return fmt.Sprintf("%s on %s fails since %s: see that the queue is there and works: %s",
				r.Action, path.Base(r.Queue), r.Since.UTC().Format(time.RFC3339), r.Error)
		}
		return fmt.Sprintf("the queue service refuses %s on %s since %s: allow it in the policy of this service's "+
			"role: %s",
			r.Action, path.Base(r.Queue), r.Since.UTC().Format(time.RFC3339), r.Error)
	}
	fresh := freshFor + l.settings.ReceiveWait
	if p.LastSuccess.After(p.LastFailure) && time.Since(p.LastSuccess) < fresh {
		return ""
	}
	for _, q := range l.pools.Queues(ctx) {
		switch {
		case q.Name != l.name():
		case q.Error != "":
			return fmt.Sprintf("the queue %s cannot be used: %s", q.Name, q.Error)
		case q.Missing:
			return fmt.Sprintf("the queue %s does not exist", q.Name)
		case time.Since(q.At) < fresh:
			return ""
		}
	}
	if p.LastError != "" {
		return fmt.Sprintf("the queue %s does not answer: %s", l.name(), p.LastError)
	}
	return fmt.Sprintf("the queue %s does not answer", l.name())
}

// consumerFault is "" or why no tasks are taken although they should be.
func consumerFault(p poller.Stats, m *dispatcher.Monitor, silent time.Duration, now time.Time) string {
	last := p.LastSuccess
	if p.LastFailure.After(last) {
		last = p.LastFailure
	}
	switch {
	case silent > answerIn:
		return fmt.Sprintf("the dispatcher has not answered for %v", silent.Round(time.Second))
	case m.Status() == dispatcher.Failing:
		return "the dispatcher takes no tasks: too many handlers ignored their cancelled context and still run, or " +
			"it could not register with its poller"
	case m.Status() != dispatcher.Running:
		return "the dispatcher is " + m.Status().String()
	case silentWorkers(m):
		return "all workers are held by task actors that are silent: they have not answered, get no message and " +
			"have no children; the log names their tasks"
	case !p.Alive.IsZero() && now.Sub(p.Alive) > aliveFor:
		return fmt.Sprintf("the poller has given no sign of life for %v", now.Sub(p.Alive).Round(time.Second))
	case p.Wanted > 0 && p.ReceivesUnderWay == 0 && !last.IsZero() && now.Sub(last) > idleFor:
		return fmt.Sprintf("%d tasks are wanted, but the queue has not been asked for %v", p.Wanted,
			now.Sub(last).Round(time.Second))
	}
	return ""
}

// silentWorkers reports whether silent task actors hold all workers.
func silentWorkers(m *dispatcher.Monitor) bool {
	silent, _ := m.Stalled()
	return silent
}

// endlessNote is "", or that no worker gets free. That is no fault by itself:
// tasks may take hours.
func endlessNote(m *dispatcher.Monitor) string {
	if _, endless := m.Stalled(); !endless {
		return ""
	}
	return "no task has ended for long on any worker: tasks without a Deadline hold them all; the log names them"
}

// Alive says whether the actors answer, in a service in this state. During a drain it
// does not ask them, because a restart would cut the drain short.
func (p *Pools) Alive(ctx context.Context, state life.State) Liveness {
	if state != life.Running {
		return Liveness{Actors: OK}
	}
	var reasons []string
	for _, faults := range p.eachLane(func(l *lane, r *running) (faults [2]string) {
		if silent := l.pulse.beat(ctx, l.pools, r.client); silent > deadAfter {
			faults[0] = fmt.Sprintf("the dispatcher has not answered for %v", silent.Round(time.Second))
		}
		if p := r.queue.Stats(); !p.Alive.IsZero() && time.Since(p.Alive) > deadAfter {
			faults[1] = fmt.Sprintf("the poller has given no sign of life for %v",
				time.Since(p.Alive).Round(time.Second))
		}
		return faults
	}) {
		for _, why := range faults {
			if why != "" {
				reasons = append(reasons, why)
			}
		}
	}
	if len(reasons) > 0 {
		return Liveness{Actors: Error, Reasons: reasons}
	}
	return Liveness{Actors: OK}
}
