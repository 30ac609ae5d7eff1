package chassis

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/admin"
)

// Readiness says whether tasks flow: TASK_QUEUES and TASK_CONSUMER, each OK or
// ERROR as the Python chassis has them, and the reasons of each ERROR. A reason
// with an OK is that no worker gets free.
type Readiness = admin.Readiness

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

// Ready says whether tasks flow, as it is now. It asks the dispatcher, and it
// asks the queue too unless that has just answered the poller well. A service
// without tasks is ready when it has started. It returns within two seconds.
func (s *System) Ready(ctx context.Context) Readiness {
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	state := s.State()
	begun := s.Control() != nil
	switch {
	case state < Running:
		why := "the service is " + state.String()
		return Readiness{TaskQueues: admin.Error, TaskConsumer: admin.Error, Reasons: []string{why}}
	case state == Stopped:
		return Readiness{TaskQueues: admin.Error, TaskConsumer: admin.Error, Reasons: []string{"the service has stopped"}}
	case !begun && state == Running:
		return Readiness{TaskQueues: admin.OK, TaskConsumer: admin.OK}
	case !begun:
		return Readiness{TaskQueues: admin.OK, TaskConsumer: admin.Error, Reasons: []string{"the service is stopping"}}
	}
	ready := Readiness{TaskQueues: admin.OK, TaskConsumer: admin.OK}
	if state > Running {
		ready.TaskConsumer, ready.Reasons = admin.Error, append(ready.Reasons, "draining: no new tasks are taken")
	}
	for i, fault := range s.eachLane(func(l *lane, r *running) [2]string {
		stats, faults := r.queue.Stats(), [2]string{}
		faults[0] = l.queueFault(ctx, stats)
		if state == Running {
			faults[1] = consumerFault(stats, l.monitor, l.pulse.beat(ctx, r.client), time.Now())
		}
		return faults
	}) {
		for kind, why := range fault {
			if why == "" {
				continue
			}
			if len(s.tasks.lanes) > 1 {
				why = "pool " + s.tasks.lanes[i].pool() + ": " + why
			}
			*[]*admin.Health{&ready.TaskQueues, &ready.TaskConsumer}[kind] = admin.Error
			ready.Reasons = append(ready.Reasons, why)
		}
	}
	for _, l := range s.tasks.lanes {
		if why := endlessNote(l.monitor); why != "" {
			ready.Reasons = append(ready.Reasons, "pool "+l.pool()+": "+why)
		}
	}
	return ready
}

// eachLane asks all lanes at once: the answers may take their time.
func (s *System) eachLane(f func(*lane, *running) [2]string) [][2]string {
	answers := make([][2]string, len(s.tasks.lanes))
	var work sync.WaitGroup
	for i, l := range s.tasks.lanes {
		if r := l.actors(); r != nil {
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
				r.Action, r.Queue[strings.LastIndexByte(r.Queue, '/')+1:], r.Since.UTC().Format(time.RFC3339), r.Error)
		}
		return fmt.Sprintf("the queue service refuses %s on %s since %s: allow it in the policy of this service's role: %s",
			r.Action, queueName(r.Queue), r.Since.UTC().Format(time.RFC3339), r.Error)
	}
	fresh := freshFor + l.settings.ReceiveWait
	if p.LastSuccess.After(p.LastFailure) && time.Since(p.LastSuccess) < fresh {
		return ""
	}
	for _, q := range l.sys.console.census.Queues(ctx) {
		switch {
		case q.Name != l.pool():
		case q.Error != "":
			return fmt.Sprintf("the queue %s cannot be used: %s", q.Name, q.Error)
		case q.Missing:
			return fmt.Sprintf("the queue %s does not exist", q.Name)
		case time.Since(q.At) < fresh:
			return ""
		}
	}
	if p.LastError != "" {
		return fmt.Sprintf("the queue %s does not answer: %s", l.pool(), p.LastError)
	}
	return fmt.Sprintf("the queue %s does not answer", l.pool())
}

// queueName returns the last part of a queue's URL, or a name as it is.
func queueName(urlOrName string) string { return urlOrName[strings.LastIndexByte(urlOrName, '/')+1:] }

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
		return "the dispatcher takes no tasks: too many handlers ignored their cancelled context and still run, or it could not register with its poller"
	case m.Status() != dispatcher.Running:
		return "the dispatcher is " + m.Status().String()
	case allSilent(m):
		return "all workers are held by task actors that are silent: they have not answered, get no message and have no children; the log names their tasks"
	case !p.Alive.IsZero() && now.Sub(p.Alive) > aliveFor:
		return fmt.Sprintf("the poller has given no sign of life for %v", now.Sub(p.Alive).Round(time.Second))
	case p.Wanted > 0 && p.ReceivesUnderWay == 0 && !last.IsZero() && now.Sub(last) > idleFor:
		return fmt.Sprintf("%d tasks are wanted, but the queue has not been asked for %v", p.Wanted, now.Sub(last).Round(time.Second))
	}
	return ""
}

// allSilent reports whether silent task actors hold all workers.
func allSilent(m *dispatcher.Monitor) bool {
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

// alive is what /livez says: whether the actors answer, nothing else. Over a
// drain they are let be, for a restart would cut it short.
func (s *System) alive(ctx context.Context) admin.Liveness {
	if s.State() != Running {
		return admin.Liveness{Actors: admin.OK}
	}
	var reasons []string
	for _, faults := range s.eachLane(func(l *lane, r *running) (faults [2]string) {
		if silent := l.pulse.beat(ctx, r.client); silent > deadAfter {
			faults[0] = fmt.Sprintf("the dispatcher has not answered for %v", silent.Round(time.Second))
		}
		if p := r.queue.Stats(); !p.Alive.IsZero() && time.Since(p.Alive) > deadAfter {
			faults[1] = fmt.Sprintf("the poller has given no sign of life for %v", time.Since(p.Alive).Round(time.Second))
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
		return admin.Liveness{Actors: admin.Error, Reasons: reasons}
	}
	return admin.Liveness{Actors: admin.OK}
}

// pulse asks the dispatcher for an answer, one question at a time.
type pulse struct {
	pools *pools
	mu    sync.Mutex // guards asked and reply
	asked time.Time  // zero: no question is open
	reply chan struct{}
}

// beat asks, unless a question is open, waits a little for the answer, and
// returns for how long there has been none: 0 after an answer.
func (p *pulse) beat(ctx context.Context, c *dispatcher.Client) time.Duration {
	p.mu.Lock()
	if p.asked.IsZero() {
		p.asked, p.reply = time.Now(), make(chan struct{})
		p.pools.sys.console.work.Go(func() { p.ask(c, p.reply) })
	}
	asked, reply := p.asked, p.reply
	p.mu.Unlock()
	wait, cancel := context.WithTimeout(ctx, quickReply)
	defer cancel()
	select {
	case <-reply:
		return 0
	case <-wait.Done():
		return time.Since(asked)
	}
}

// ask ends with the answer, or with the system.
func (p *pulse) ask(c *dispatcher.Client, reply chan struct{}) {
	_, _ = c.Stats(p.pools.sys.console.ctx) // the answer is all that counts
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = time.Time{}
	close(reply)
}
