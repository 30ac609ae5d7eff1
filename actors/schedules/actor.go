package schedules

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

const (
	// longestWait bounds the timer: a machine that slept, or a clock that was set, is
	// noticed after that long.
	longestWait = 10 * time.Second
	// lookEvery is how often the register is read when nothing is due.
	lookEvery = 10 * time.Minute
	// retryAfter is the pause after a round that has failed.
	retryAfter = time.Second
)

// schedules is the actor.
type schedules struct {
	*core
	generation uint64
	timer      *time.Timer
	rounding   bool
	again      bool // a round is wanted after the one under way
	failures   int  // rounds in a row
	looked     time.Time
	unseen     []*ended          // pauses that are written, and answered once a round has read them
	outdated   bool              // the round under way may have read the register before one of them
	next       map[*Job]nextTick // of each schedule, so that it is not looked for at each wake
	respawn    *life.Respawn     // nil unless another actor stops this one
}

// nextTick is the first tick after a time.
type nextTick struct {
	after time.Time
	tick  cron.Tick
}

// Receive implements actor.Actor.
func (a *schedules) Receive(ctx actor.Context) {
	message := ctx.Message()
	if actors.Nil(message) {
		a.refuse(ctx)
		return
	}
	switch m := message.(type) {
	case *actor.Started:
		a.round(ctx)
	case *Set:
		a.onSet(ctx, m)
	case *Run:
		a.onRun(ctx, m)
	case *Pause:
		a.onPause(ctx, m)
	case *wake:
		a.onWake(ctx, m)
	case *rounded:
		a.onRounded(ctx, m)
	case *ended:
		a.onEnded(ctx, m)
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

func (a *schedules) onSet(ctx actor.Context, m *Set) {
	if err := a.check(m.Jobs); err != nil {
		a.log.Error("new schedules are not taken: those before go on", "error", err)
		return
	}
	a.set(slices.Clone(m.Jobs), false)
	clear(a.next)
	a.readAgain() // new ones are written to the register
	a.round(ctx)
}

func (a *schedules) onWake(ctx actor.Context, m *wake) {
	if m.generation == a.generation {
		a.round(ctx)
	}
}

// round begins a round if something is due or to be looked at, else it sets the timer.
func (a *schedules) round(ctx actor.Context) {
	if a.rounding {
		a.again = true
		return
	}
	a.disarm()
	if len(a.jobs) == 0 {
		a.answerUnseen(ctx)
	}
	now := a.clock.now()
	look := a.failures > 0 || a.tags.due(a.clock.local()) || a.looked.IsZero() || now.Sub(a.looked).Abs() >= lookEvery
	if wait := a.nextDue(now); len(a.jobs) == 0 || wait > 0 && !look {
		a.arm(ctx, wait)
		return
	}
	a.rounding, a.again = true, false
	r := &round{core: a.core, tags: a.tags, jobs: slices.Clone(a.jobs), state: maps.Clone(a.states), cache: &a.cache}
	cache := a.cache
	r.cache = &cache
	post := a.poster(ctx)
	a.apart(func(ctx context.Context) {
		results, said := r.run(ctx)
		post(&rounded{results, said, r.tags})
	})
}

// nextDue is the time until the next tick; 0 or less: one is due.
func (a *schedules) nextDue(now time.Time) time.Duration {
	wait := longestWait
	for _, j := range a.jobs {
		st := a.states[j.Schedule.Name()]
		if st.decided.IsZero() || !st.known && a.cache.by != unread {
			return 0
		}
		n := a.next[j]
		if !n.after.Equal(st.decided) {
			n = nextTick{st.decided, j.Schedule.Next(st.decided)}
			a.next[j] = n
		}
		if !n.tick.At.IsZero() {
			wait = min(wait, n.tick.Due.Sub(now))
		}
	}
	return wait
}

func (a *schedules) onRounded(ctx actor.Context, m *rounded) {
	a.rounding = false
	a.cache, a.tags = m.said, m.tags
	now := a.clock.now()
	a.looked = now
	failed := m.said.by == unread
	for _, j := range a.jobs {
		name := j.Schedule.Name()
		res, ok := m.results[name]
		if !ok || j != res.job {
			continue // it has changed meanwhile
		}
		a.states[name] = res.state
		failed = failed || res.err != nil
		a.report(j, res)
	}
	a.board.saw(m.results, m.said.entries, a.jobs, a.states)
	if a.outdated {
		a.outdated = false
		a.readAgain()
	} else {
		a.answerUnseen(ctx)
	}
	switch {
	case failed:
		a.failures++
		a.arm(ctx, min(retryAfter<<min(a.failures-1, 2), 4*time.Second))
	default:
		a.failures = 0
		a.round(ctx)
	}
}

func (a *schedules) job(name string) *Job {
	for _, j := range a.jobs {
		if j.Schedule.Name() == name {
			return j
		}
	}
	return nil
}

// report logs what became of a schedule in a round.
func (a *schedules) report(j *Job, res result) {
	log := a.log.With("schedule", j.Schedule.Name())
	for i, t := range res.sent {
		if i < res.late {
			log.Info("a missed tick was sent", "tick", t.At, "late", a.clock.now().Sub(t.Due).Round(time.Second))
		} else {
			log.Debug("a tick was sent", "tick", t.At)
		}
	}
	if res.missed > 0 {
		log.Warn("ticks were missed, and are not sent: the fleet was down, this process was suspended, or the queue "+
			"away", "ticks", res.missed, "policy", j.Schedule.Late().String())
	}
	if res.err != nil && a.failures == 0 {
		log.Error("a tick was not sent; it is tried again for a minute", "error", res.err)
	}
}

// poster returns a function that sends to this actor, from any goroutine, until its stop.
func (a *schedules) poster(ctx actor.Context) func(message any) {
	self, root, over := ctx.Self(), actor.NewRootContext(ctx.ActorSystem(), nil), a.ctx
	return func(message any) {
		if over.Err() == nil {
			root.Send(self, message)
		}
	}
}

// apart runs f next to the actor, until its stop.
func (a *schedules) apart(f func(ctx context.Context)) {
	a.work.Add(1)
	go func() {
		defer a.work.Done()
		f(a.ctx)
	}()
}

func (a *schedules) arm(ctx actor.Context, wait time.Duration) {
	a.disarm()
	if len(a.jobs) == 0 {
		return
	}
	if len(a.tags.tags) > 0 {
		wait = min(wait, writeEvery)
	}
	wake, post := &wake{a.generation}, a.poster(ctx)
	a.timer = time.AfterFunc(max(min(wait, longestWait), time.Millisecond), func() { post(wake) })
}

func (a *schedules) disarm() {
	a.generation++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

// askTimeout bounds what an operator asks of the queue.
const askTimeout = 10 * time.Second

// onRun sends the task of a schedule now.
func (a *schedules) onRun(ctx actor.Context, m *Run) {
	j, to := a.job(m.Name), ctx.Sender()
	if j == nil {
		a.answer(ctx, to, a.unknown(m.Name))
		return
	}
	id := uuid.NewString()
	now := a.clock.now()
	s := j.Schedule
	group := s.Name()
	if s.Overlap() == cron.Allow {
		group = id
	}
	in, endSpan := a.ctx, func([]error) {}
	if a.cfg.Span != nil {
		in, endSpan = a.cfg.Span(a.ctx)
	}
	out, err := task.Encode(j.Task, j.Args, now, task.FromContext(in), task.Pool(a.cfg.Pool), task.Group(group),
		task.Dedup(id), task.ExecID(id), task.ForJob(s.Name()+"@operator", s.Name()))
	if err != nil {
		endSpan([]error{err})
		a.answer(ctx, to, err)
		return
	}
	post := a.poster(ctx)
	a.apart(func(context.Context) {
		ctx, cancel := context.WithTimeout(in, askTimeout)
		defer cancel()
		var answer any = &Ran{ExecID: id}
		errs := a.send(ctx, []*task.Outgoing{out})
		endSpan(errs)
		if errs[0] != nil {
			answer = errs[0]
		}
		post(&ended{to, answer})
	})
}

// onPause writes the pause to the register, which all processes read with the next tick.
func (a *schedules) onPause(ctx actor.Context, m *Pause) {
	to := ctx.Sender()
	if a.job(m.Name) == nil {
		a.answer(ctx, to, a.unknown(m.Name))
		return
	}
	key, value := tagPrefix+m.Name+tagPaused, unixText(a.clock.now())
	post := a.poster(ctx)
	a.apart(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		var err error
		if m.On {
			err = a.register.write(ctx, map[string]string{key: value})
		} else {
			err = a.register.remove(ctx, key)
		}
		var answer any = &Paused{m.On}
		if err != nil {
			answer = err
		}
		post(&ended{to, answer})
	})
}

// onEnded answers what was asked. A pause is answered once this process has read it, so that
// who looks then sees it, and no tick of this process comes after the answer.
func (a *schedules) onEnded(ctx actor.Context, m *ended) {
	if _, pause := m.answer.(*Paused); pause {
		a.unseen = append(a.unseen, m)
		a.outdated = a.rounding
		a.readAgain()
	} else {
		a.answer(ctx, m.to, m.answer)
	}
	a.round(ctx)
}

// readAgain makes the next round read the register, whatever is kept of it.
func (a *schedules) readAgain() {
	a.cache = reading{entries: a.cache.entries, refused: a.cache.refused}
	a.looked = time.Time{}
}

func (a *schedules) answerUnseen(ctx actor.Context) {
	for _, m := range a.unseen {
		a.answer(ctx, m.to, m.answer)
	}
	a.unseen = nil
}

func (a *schedules) answer(ctx actor.Context, to *actor.PID, answer any) {
	if to != nil {
		ctx.Send(to, answer)
	}
}

func (a *schedules) unknown(name string) error {
	var names []string
	for _, j := range a.jobs {
		names = append(names, j.Schedule.Name())
	}
	return fmt.Errorf("%w: %q; there are: %s", ErrUnknown, name, strings.Join(names, ", "))
}

func (a *schedules) onStopping(ctx actor.Context) {
	a.disarm()
	if !a.cfg.Over() {
		a.respawn = a.life.Respawn(ctx)
		return
	}
	a.end() // a round under way ends: what it has not sent is another process's
}

func (a *schedules) onStopped(ctx actor.Context) {
	if a.respawn == nil {
		a.work.Wait()
		return
	}
	again := a.respawn
	a.respawn = nil
	a.log.Error("another actor stopped the schedules: they begin again", "pid", ctx.Self().Id)
	if err := again.Spawn(ctx, a.props); err != nil {
		a.log.Error("the schedules cannot begin again: no tick is sent by this process any more", "error", err)
	}
}

// refuse answers a message that the actor does not take.
func (a *schedules) refuse(ctx actor.Context) {
	if actors.Refuse(ctx, hint) {
		a.log.Warn("the schedules do not know this message", "type", fmt.Sprintf("%T", ctx.Message()))
	}
}
