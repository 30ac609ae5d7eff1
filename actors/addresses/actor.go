package addresses

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
)

// reopenAfter is the pause before an inbox that was lost is made again, and greetAfter what
// a process that begins waits until it asks others for notices: by then each sender sees
// its inbox.
const (
	reopenAfter = time.Second
	greetAfter  = 3 * time.Second
)

// mostGreeted bounds the processes that one which begins asks.
const mostGreeted = 3

// addresses is the actor.
type addresses struct {
	*core
	generation uint64
	timer      *time.Timer
	respawn    *life.Respawn
}

// Receive implements actor.Actor.
func (a *addresses) Receive(ctx actor.Context) {
	message := ctx.Message()
	if actors.Nil(message) {
		a.refuse(ctx)
		return
	}
	switch m := message.(type) {
	case *question:
		a.onQuestion(m)
	case *arrived:
		a.onArrived(m)
	case *withdrawn:
		a.onWithdrawn(m)
	case *opened:
		a.onOpened(m)
	case *lost:
		a.onLost(m)
	case *post:
		a.onPost(m)
	case *carried:
		a.onCarried(m)
	case *taken:
		a.keep(m.notices)
	case *answering:
		a.onAnswering(m)
	case *tick:
		a.onTick(m)
	case *swept:
		a.onSwept(m)
	case *greet:
		a.onGreet(m)
	case *actor.Started:
		a.onStarted()
	case *actor.Restarting:
		a.disarm()
	case *actor.Stopping:
		a.onStopping(ctx)
	case *actor.Stopped:
		a.onStopped(ctx)
	default:
		a.refuse(ctx)
	}
}

func (a *addresses) onStarted() {
	if a.cfg.Notices && a.at.Load() == nil {
		a.open()
	}
	a.arm()
}

// onQuestion takes a question over, and names the inbox if its asker does not know it.
func (a *addresses) onQuestion(q *question) {
	at := a.at.Load()
	switch {
	case at != nil && (q.to == nil || q.to == at):
		a.waiting[q.id] = q
		if q.to == nil {
			q.to = at
			q.named <- reply{at: at}
		}
	case q.to != nil: // lost since it was asked
		q.answer <- answer{err: ErrInboxLost}
	default:
		a.unnamed = append(a.unnamed, q)
		a.open()
	}
}

func (a *addresses) onWithdrawn(m *withdrawn) {
	delete(a.waiting, m.id)
	a.unnamed = slices.DeleteFunc(a.unnamed, func(q *question) bool { return q.id == m.id })
}

// open makes the inbox, unless that is under way.
func (a *addresses) open() {
	if a.opening {
		return
	}
	a.opening = true
	a.apart(func(ctx context.Context) {
		at, err := a.make(ctx)
		a.post(&opened{at: at, err: err})
	})
}

func (a *addresses) onOpened(m *opened) {
	a.opening = false
	unnamed := a.unnamed
	a.unnamed = nil
	if m.err != nil {
		for _, q := range unnamed {
			q.named <- reply{err: m.err}
		}
		if a.cfg.Notices {
			a.log.Error("the queue for notices cannot be made: executions here cannot be cancelled from elsewhere; "+
				"it is tried again", "error", m.err)
			a.later(10*reopenAfter, &lost{})
		}
		return
	}
	a.at.Store(m.at)
	a.log.Debug("others reach this process by its inbox", "queue", m.at.name)
	a.listenTo(m.at)
	for _, q := range unnamed {
		a.onQuestion(q)
	}
	if a.cfg.Notices {
		a.later(greetAfter, &greet{at: m.at})
	}
	a.arm()
}

func (a *addresses) listenTo(at *inbox) {
	a.apart(func(ctx context.Context) { a.listen(ctx, at, a.post) })
}

// onLost ends the questions of an inbox that is gone: their answers go nowhere. Without an
// inbox it tries to make one again.
func (a *addresses) onLost(m *lost) {
	if m.at != nil && a.at.CompareAndSwap(m.at, nil) {
		a.counts.lost.Add(1)
		a.log.Warn("the inbox of this process was removed, as others took it for dead: the process was suspended, or "+
			"cut off from the queue", "queue", m.at.name, "questions", len(a.waiting))
		for id, q := range a.waiting {
			if q.to == m.at {
				delete(a.waiting, id)
				q.answer <- answer{err: ErrInboxLost}
			}
		}
	}
	if a.cfg.Notices && a.at.Load() == nil {
		a.open()
	}
}

// onArrived answers the questions that wait, and takes notices.
func (a *addresses) onArrived(m *arrived) {
	a.counts.garbage.Add(int64(m.garbage))
	var notices []task.Notice
	for i := range m.letters {
		l := &m.letters[i]
		if l.Answer != nil {
			a.answer(l.Answer)
		}
		for _, n := range l.Notices {
			if Sound(n) {
				notices = append(notices, n)
			} else {
				a.counts.garbage.Add(1)
			}
		}
		if l.Hello != "" {
			a.welcome(l.Hello)
		}
	}
	if len(notices) > 0 {
		a.take(notices)
	}
}

func (a *addresses) answer(got *task.Answer) {
	q := a.waiting[got.ID]
	if q == nil {
		a.counts.dropped.Add(1)
		return
	}
	delete(a.waiting, got.ID)
	a.counts.answered.Add(1)
	q.answer <- answer{Answer: got}
}

// take gives notices to the executions of this process.
func (a *addresses) take(notices []task.Notice) {
	a.counts.taken.Add(int64(len(notices)))
	a.keep(notices)
	a.apart(func(ctx context.Context) {
		for _, n := range notices {
			if _, err := a.cfg.Take(ctx, n); err != nil && ctx.Err() == nil {
				a.log.Error("a notice is not taken", "exec_id", n.ExecID, "error", err)
			}
		}
	})
}

// keep remembers notices for processes that begin later.
func (a *addresses) keep(notices []task.Notice) {
	now := time.Now()
	for _, n := range notices {
		a.memory.keep(n, now)
	}
}

// welcome gives a process that begins the notices that hold.
func (a *addresses) welcome(inbox string) {
	all := a.memory.list(time.Now())
	if len(all) == 0 || !task.IsInbox(inbox) {
		return
	}
	a.apart(func(ctx context.Context) {
		for part := range slices.Chunk(all, mostInLetter) {
			a.cfg.Send(ctx, []task.Outgoing{letter(inbox, task.Letter{Notices: part})})
		}
	})
}

// onGreet asks a few other processes for the notices that hold.
func (a *addresses) onGreet(m *greet) {
	if a.at.Load() != m.at {
		return
	}
	known := maps.Clone(a.known)
	a.apart(func(ctx context.Context) {
		found, err := a.inboxes(ctx, a.cfg.Prefix)
		if err != nil {
			a.complain("the inboxes of other processes cannot be listed: notices of before are not known here", err)
			return
		}
		names := ring(slices.Collect(maps.Keys(found)), m.at.name, known)
		for _, name := range names[:min(len(names), mostGreeted)] {
			a.cfg.Send(ctx, []task.Outgoing{letter(name, task.Letter{Hello: m.at.name})})
		}
	})
}

// onAnswering has this process look after the inboxes of a prefix.
func (a *addresses) onAnswering(m *answering) {
	if len(a.prefixes) < mostPrefixes {
		a.prefixes[m.prefix] = true
	}
	a.arm()
}

// onTick begins a round of looks, unless one is under way.
func (a *addresses) onTick(m *tick) {
	if m.generation != a.generation {
		return
	}
	a.timer = nil
	if a.sweeping {
		a.arm()
		return
	}
	a.sweeping = true
	id, known, prefixes := a.id, a.known, slices.Sorted(maps.Keys(a.prefixes))
	if at := a.at.Load(); at != nil {
		id = at.name[len(at.name)-idLength:]
	}
	a.apart(func(ctx context.Context) { a.post(&swept{known: a.sweep(ctx, prefixes, id, known)}) })
}

func (a *addresses) onSwept(m *swept) {
	a.sweeping, a.known = false, m.known
	a.arm()
}

// arm sets the timer of the next round, if this process takes part.
func (a *addresses) arm() {
	takesPart := a.at.Load() != nil || time.Since(time.Unix(a.answered.Load(), 0)) < sweepFor
	if a.timer != nil || a.sweeping || !takesPart {
		return
	}
	a.generation++
	wake := &tick{generation: a.generation}
	a.timer = time.AfterFunc(sweepEvery, func() { a.post(wake) })
}

func (a *addresses) disarm() {
	a.generation++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

func (a *addresses) onStopping(ctx actor.Context) {
	a.disarm()
	if !a.cfg.Over() {
		a.respawn = a.life.Respawn(ctx)
		return
	}
	a.end()
}

// onStopped waits for what runs apart from the actor, and removes the inbox.
func (a *addresses) onStopped(ctx actor.Context) {
	if again := a.respawn; again != nil {
		a.respawn = nil
		a.log.Error("another actor stopped the addresses: they begin again", "pid", ctx.Self().Id)
		if err := again.Spawn(ctx, a.props); err != nil {
			a.log.Error("the addresses cannot begin again: questions get no answers any more", "error", err)
		}
		return
	}
	a.work.Wait()
	at := a.at.Swap(nil)
	if at == nil {
		return
	}
	end, cancel := context.WithTimeout(context.Background(), removeTime)
	defer cancel()
	if err := a.remove(end, at.url); err != nil {
		a.log.Warn("the inbox of this process cannot be removed: others remove it within a minute", "queue", at.name,
			"error", err)
	}
}

// removeTime bounds the removal of the inbox: less than what an actor has to stop.
const removeTime = 3 * time.Second

// refuse answers a message that the actor does not take.
func (a *addresses) refuse(ctx actor.Context) {
	if actors.Refuse(ctx, hint) {
		a.log.Warn("the addresses do not know this message", "type", fmt.Sprintf("%T", ctx.Message()))
	}
}

// post sends a message to the actor, until its stop.
func (c *core) post(message any) {
	if c.ctx.Err() == nil {
		c.root.Send(c.pid, message)
	}
}

// later is post after a time.
func (c *core) later(wait time.Duration, message any) {
	c.apart(func(ctx context.Context) {
		pause(ctx, wait)
		c.post(message)
	})
}

// apart runs f next to the actor, until its stop.
func (c *core) apart(f func(ctx context.Context)) {
	c.work.Go(func() { f(c.ctx) })
}
