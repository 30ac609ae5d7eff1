package chassistest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

var index = task.Define[parcel]("index", task.MaxFailures(6), task.Wait(2*time.Second, task.None))

// bulks: handlers that take up to four tasks at once. Of a batch some members fail, one is
// snoozed, one is cancelled, and some batches fail or panic as a whole.
var bulks = playground{
	play: func(w *World) {
		indexed := func(m *task.Member[parcel]) error {
			switch id := m.Args.ID; {
			case id%5 == 1 && m.Attempt < 3:
				return errors.New("not this one")
			case id%7 == 2 && m.Attempt == 1:
				return task.Snooze(40 * time.Second)
			case id == 9:
				return task.Cancel(errors.New("never"))
			}
			return w.Effect(m.Ctx(), "index", m.Args.ID, m.ExecID)
		}
		w.Service(func(p *Process) {
			chassis.Handle(p.System, index, task.Bulk(4, 700*time.Millisecond, func(members []*task.Member[parcel]) error {
				first := members[0]
				switch mood := (first.Args.ID + 3*first.Attempt) % 13; mood {
				case 3:
					panic("the index is broken")
				case 5:
					return errors.New("the index is away")
				case 7:
					_ = pause(first.Ctx(), 5*time.Second)
				}
				for _, m := range members {
					m.Fail(indexed(m))
				}
				return nil
			}))
		})
		for i := range 30 {
			Submit(w, index, parcel{i})
		}
		w.Eventually("a success is a member's own", func() error {
			done := map[any]bool{}
			for _, e := range w.Effects("index") {
				done[e.Args[0]] = true
			}
			for _, f := range w.book.order {
				var id int
				if _, err := fmt.Sscanf(f.label, "index#%d", &id); err != nil {
					return err
				}
				if f.successes > 0 && !done[id] {
					return fmt.Errorf("%s has succeeded, and nothing was indexed", f.label)
				}
			}
			return nil
		})
	},
}

var (
	letterTask = task.Define[parcel]("letter", task.Behind("https://mail.internal/v1"), task.MaxFailures(6),
		task.Wait(2*time.Second, task.Exponential))
	memo = task.Define[parcel]("memo", task.MaxFailures(6), task.Wait(2*time.Second, task.Exponential))
)

// outage: a service that is down for ten minutes. Tasks that name it, tasks that do not, and
// tasks that have nothing to do with it. None of them is given up for the outage.
var outage = playground{
	play: func(w *World) {
		const from, to = 5 * time.Second, 10 * time.Minute
		mail := w.Upstream("https://mail.internal", http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
			if now := w.Now(); now >= from && now < to {
				res.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		w.Service(func(p *Process) {
			client := &http.Client{Transport: p.Breaker("https://mail.internal").Transport(mail)}
			mails := func(ctx context.Context, job task.Job[parcel]) error {
				if err := postTo(ctx, client, "https://mail.internal/v1/letters"); err != nil {
					return err
				}
				return w.Effect(ctx, "sent", job.Args.ID)
			}
			chassis.Handle(p.System, letterTask, mails)
			chassis.Handle(p.System, memo, mails)
			chassis.Handle(p.System, pack, succeeds(w, p))
		})
		for i := range 30 {
			at := time.Duration(i) * 4 * time.Second
			SubmitAt(w, at, []*task.Definition[parcel]{letterTask, memo, pack}[i%3], parcel{i}, task.Group(fmt.Sprint(i%5)))
		}
		w.Eventually("an outage gives up no task", func() error {
			for _, f := range w.book.order {
				if f.letters > 0 && f.redrives == 0 && f.touched[Cancel] == 0 && !f.takenForKiller() {
					return fmt.Errorf("%s is a dead letter after %d runs", f.label, len(f.runs))
				}
			}
			return nil
		})
	},
	opts: []StormOption{Fleet(2), Kinds(DieBefore, DieAfter, Deploy, DrainDie, CutOff, Suspend, LoseAnswer, LateAnswer,
		Throttle, SplitBatch, Apply, Pause, DeliverTwice),
		Tune(func(s *chassis.Settings) { s.CircuitBreaker.ClosedFailLimit = 2 })},
}

// takenForKiller reports whether the queue may have given out a message of a FIFO pool so
// often that it is given up without another run: more than MaxFailures and 3 times before.
// Where one of the deliveries was long, nothing tells short ones from silent ends.
func (f *fate) takenForKiller() bool {
	return f.ordered && len(f.runs) > 0 && f.deliveries > f.runs[0].info.MaxFailures+3
}

// postTo posts to a service, and reads its answer.
func postTo(ctx context.Context, client *http.Client, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return err
}

// pools: three pools of one fleet, one of them a FIFO pool, which share its executions; tasks of
// each send tasks to the next.
var pools = playground{
	play: func(w *World) {
		names := []string{"storm", "storm-slow", "storm-ordered.fifo"}
		hop := task.Define[parcel]("hop", task.MaxFailures(4), task.Wait(time.Second, task.None))
		w.Service(func(p *Process) {
			chassis.Handle(p.System, hop, func(ctx context.Context, job task.Job[parcel]) error {
				if err := pause(ctx, time.Duration(job.Args.ID%4)*time.Second); err != nil {
					return err
				}
				if err := w.Effect(ctx, "hop", job.Args.ID); err != nil {
					return err
				}
				if job.Args.ID%6 == 1 && job.Attempt < 3 {
					return errors.New("it stumbles")
				}
				if job.Args.ID >= 60 {
					return nil
				}
				next := parcel{job.Args.ID + 30}
				pool := names[(next.ID+next.ID/30)%3]
				opts := []task.Option{task.Pool(pool), task.Group(fmt.Sprint(next.ID % 4)), task.ExecID(job.ExecID + "/")}
				if strings.HasSuffix(pool, ".fifo") {
					opts = append(opts, task.Dedup(job.ExecID+"/"))
				}
				_, err := chassis.Send(ctx, p.System, hop, next, opts...)
				return err
			})
		})
		for i := range 24 {
			Submit(w, hop, parcel{i}, task.Pool(names[i/8]), task.Group(fmt.Sprint(i%4)))
		}
	},
	opts: []StormOption{Without(OneEnd), tuned(func(t *chassis.TaskSettings) {
		t.TotalWorkers = 5
		t.Pools = map[string]chassis.PoolSettings{"storm-slow": {Workers: 2, Weight: 2}, "storm-ordered.fifo": {Priority: 1}}
	})},
}
