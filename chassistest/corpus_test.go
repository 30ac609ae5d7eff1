package chassistest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

// The corpus: handlers that are wrong, each in a way of its own, and next to each one
// that does the same work and is right. All of them charge customers.

type purchase struct{ ID int }

var (
	orderTask  = task.Define[purchase]("order", task.MaxFailures(60), task.Wait(2*time.Second, task.None))
	followTask = task.Define[purchase]("follow", task.MaxFailures(60), task.Wait(2*time.Second, task.None))
)

// office is one life of a process of the corpus: what it has in memory, and its way to
// the world.
type office struct {
	w    *chassistest.World
	p    *chassistest.Process
	bank *http.Client // fails now and then

	mu      sync.Mutex
	seen    map[string]bool
	counter int
	ctx     context.Context // of some handler
	batch   []purchase
}

// charge books a charge. A second one of the same key is booked as one; without a key
// each is booked.
func (o *office) charge(ctx context.Context, id int, key string) error {
	return o.w.Effect(ctx, "charge", id, key)
}

// done reports whether an effect has happened: it reads the database.
func (o *office) done(name string, id int) bool {
	return slices.ContainsFunc(o.w.Effects(name), func(e chassistest.Effect) bool { return e.Args[0] == id })
}

// first reports whether the process has not seen key before.
func (o *office) first(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() { o.seen[key] = true }()
	return !o.seen[key]
}

// call calls the bank.
func (o *office) call(ctx context.Context, id int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("https://bank.test/charges/%d", id), nil)
	if err != nil {
		return err
	}
	res, err := o.bank.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return errors.New(res.Status)
	}
	return nil
}

type officeHandler func(ctx context.Context, o *office, job task.Job[purchase]) error

// planted is one fault of the corpus.
type planted struct {
	name   string
	wrong  officeHandler
	right  officeHandler
	follow officeHandler // of the second task; nil if it has no second one
	holds  func(w *chassistest.World, n int) error
}

// chargedOnce holds if each order is booked once, and no key is used for two.
func chargedOnce(w *chassistest.World, n int) error {
	keys, orders := map[any]map[any]bool{}, map[any]any{}
	for i, e := range w.Effects("charge") {
		id, key := e.Args[0], e.Args[1]
		if key == "" {
			key = fmt.Sprint("charge ", i)
		}
		if other, ok := orders[key]; ok && other != id {
			return fmt.Errorf("orders %v and %v have the key %v: one of them is not booked", other, id, key)
		}
		orders[key] = id
		if keys[id] == nil {
			keys[id] = map[any]bool{}
		}
		keys[id][key] = true
	}
	for id := range n {
		if len(keys[id]) != 1 {
			return fmt.Errorf("order %d is booked %d times", id, len(keys[id]))
		}
	}
	return nil
}

// everyCall holds if the bank was called for each order.
func everyCall(w *chassistest.World, n int) error {
	called := map[any]bool{}
	for _, e := range w.Effects("bank") {
		called[e.Args[1]] = true
	}
	if len(called) != n {
		return fmt.Errorf("the bank was called for %d orders of %d", len(called), n)
	}
	return nil
}

// noOrphan holds if no follow-up ran before its order was committed, and each ran.
func noOrphan(w *chassistest.World, n int) error {
	if lost := w.Effects("orphan"); len(lost) > 0 {
		return fmt.Errorf("the follow-up of order %v ran, and the order was not there", lost[0].Args[0])
	}
	followed := map[any]bool{}
	for _, e := range w.Effects("followed") {
		followed[e.Args[0]] = true
	}
	if len(followed) != n {
		return fmt.Errorf("%d orders of %d have a follow-up", len(followed), n)
	}
	return nil
}

func followUp(ctx context.Context, o *office, job task.Job[purchase]) error {
	if !o.done("commit", job.Args.ID) {
		return o.w.Effect(ctx, "orphan", job.Args.ID)
	}
	return o.w.Effect(ctx, "followed", job.Args.ID)
}

// wait waits, or returns the cause of the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func keyed(ctx context.Context, o *office, job task.Job[purchase]) error {
	return o.charge(ctx, job.Args.ID, job.ExecID)
}

func sendFollow(ctx context.Context, o *office, job task.Job[purchase]) error {
	_, err := chassis.Send(ctx, o.p.System, followTask, job.Args, task.ExecID(job.ExecID+"/follow"))
	return err
}

var corpus = []planted{
	{name: "not idempotent", holds: chargedOnce, right: keyed,
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			return o.charge(ctx, job.Args.ID, "")
		}},
	{name: "sends before its commit", holds: noOrphan, follow: followUp,
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			return errors.Join(sendFollow(ctx, o, job), o.w.Effect(ctx, "commit", job.Args.ID))
		},
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			if !o.done("commit", job.Args.ID) {
				if err := o.w.Effect(ctx, "commit", job.Args.ID); err != nil {
					return err
				}
			}
			return sendFollow(ctx, o, job)
		}},
	{name: "keeps a ctx beyond its end", holds: chargedOnce,
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute) // its own, and for its own time
			defer cancel()
			return o.charge(ctx, job.Args.ID, job.ExecID)
		},
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			o.mu.Lock()
			if o.ctx == nil {
				o.ctx = ctx // of the first task, for all
			}
			ctx = o.ctx
			o.mu.Unlock()
			return o.charge(ctx, job.Args.ID, job.ExecID)
		}},
	{name: "loses a goroutine", holds: chargedOnce,
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			go func() { _ = o.charge(context.WithoutCancel(ctx), job.Args.ID, job.ExecID) }()
			return nil
		},
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			var err error
			var all sync.WaitGroup
			all.Go(func() { err = o.charge(ctx, job.Args.ID, job.ExecID) })
			all.Wait()
			return err
		}},
	{name: "swallows an error", holds: everyCall,
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			_ = o.call(ctx, job.Args.ID)
			return nil
		},
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error { return o.call(ctx, job.Args.ID) }},
	{name: "ignores a cancelled ctx", holds: chargedOnce,
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			if o.done("charge", job.Args.ID) {
				return nil
			}
			time.Sleep(20 * time.Second)
			return o.charge(context.WithoutCancel(ctx), job.Args.ID, "")
		},
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			select {
			case <-time.After(20 * time.Second):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			return o.charge(ctx, job.Args.ID, job.ExecID)
		}},
	{name: "counts in memory for identity", holds: chargedOnce,
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			return o.charge(ctx, job.Args.ID, fmt.Sprint("order ", job.Args.ID))
		},
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			o.mu.Lock()
			o.counter++
			key := fmt.Sprintf("%d-%d", o.p.Number(), o.counter)
			o.mu.Unlock()
			return o.charge(ctx, job.Args.ID, key)
		}},
	{name: "acknowledges early", holds: chargedOnce,
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			o.mu.Lock() // charges all that have come; each handler waits for its own
			o.batch = append(o.batch, job.Args)
			full := slices.Clone(o.batch)
			o.mu.Unlock()
			for _, one := range full {
				if err := o.charge(ctx, one.ID, fmt.Sprint("order ", one.ID)); err != nil {
					return err
				}
			}
			return nil
		},
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			o.mu.Lock()
			o.batch = append(o.batch, job.Args) // done, once three have come
			var full []purchase
			if len(o.batch) == 3 {
				full, o.batch = o.batch, nil
			}
			o.mu.Unlock()
			for _, one := range full {
				if err := o.charge(ctx, one.ID, fmt.Sprint("order ", one.ID)); err != nil {
					return err
				}
			}
			return nil
		}},
	{name: "relies on order", holds: noOrphan,
		follow: followUp,
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			// Another task commits the order, and was sent before.
			if job.Args.ID%2 == 1 && !o.done("commit", job.Args.ID-1) {
				return o.w.Effect(ctx, "orphan", job.Args.ID)
			}
			return errors.Join(o.w.Effect(ctx, "commit", job.Args.ID), sendFollow(ctx, o, job))
		},
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			if job.Args.ID%2 == 1 && !o.done("commit", job.Args.ID-1) {
				return task.Snooze(2 * time.Second)
			}
			if err := o.w.Effect(ctx, "commit", job.Args.ID); err != nil {
				return err
			}
			return sendFollow(ctx, o, job)
		}},
	{name: "relies on one process", holds: chargedOnce,
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			key := job.ExecID
			if o.done("charge", job.Args.ID) { // saves a request; the key is what counts
				return nil
			}
			return o.charge(ctx, job.Args.ID, key)
		},
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			if !o.first(job.ExecID) {
				return nil
			}
			return o.charge(ctx, job.Args.ID, "")
		}},
	{name: "reads the clock for identity", holds: chargedOnce,
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			return o.charge(ctx, job.Args.ID, fmt.Sprint(job.JobID, " ", job.Args.ID)) // the sender's job
		},
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			return o.charge(ctx, job.Args.ID, time.Now().Format(time.RFC3339))
		}},
	{name: "takes its lease for a lock", holds: chargedOnce, // a suspended process does not know that it is over
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			if o.done("charge", job.Args.ID) {
				return nil
			}
			if err := wait(ctx, 20*time.Second); err != nil {
				return err
			}
			return o.charge(ctx, job.Args.ID, "")
		},
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			if o.done("charge", job.Args.ID) {
				return nil
			}
			if err := wait(ctx, 20*time.Second); err != nil {
				return err
			}
			return o.charge(ctx, job.Args.ID, job.ExecID)
		}},
	{name: "marks before the work", holds: chargedOnce,
		wrong: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			if o.done("mark", job.Args.ID) {
				return nil
			}
			return errors.Join(o.w.Effect(ctx, "mark", job.Args.ID), o.charge(ctx, job.Args.ID, job.ExecID))
		},
		right: func(ctx context.Context, o *office, job task.Job[purchase]) error {
			if o.done("mark", job.Args.ID) {
				return nil
			}
			if err := o.charge(ctx, job.Args.ID, job.ExecID); err != nil {
				return err
			}
			return o.w.Effect(ctx, "mark", job.Args.ID)
		}},
}

// play is a world of ten orders.
func (c planted) play(handle officeHandler) func(*chassistest.World) {
	const n = 10
	return func(w *chassistest.World) {
		bank := w.Upstream("bank", nil)
		w.Service(func(p *chassistest.Process) {
			o := &office{w: w, p: p, bank: &http.Client{Transport: bank, Timeout: 30 * time.Second}, seen: map[string]bool{}}
			chassis.Handle(p.System, orderTask, func(ctx context.Context, job task.Job[purchase]) error {
				return handle(ctx, o, job)
			})
			chassis.Handle(p.System, followTask, func(ctx context.Context, job task.Job[purchase]) error {
				if c.follow == nil {
					return nil
				}
				return c.follow(ctx, o, job)
			})
		})
		for id := range n {
			chassistest.Submit(w, orderTask, purchase{id})
		}
		w.Eventually("the books are right", func() error { return c.holds(w, n) })
	}
}

// corpusKinds are the faults of the corpus: all but those that end a task by a decision.
func corpusKinds() chassistest.StormOption {
	return chassistest.Kinds(slices.DeleteFunc(chassistest.AllKinds(), func(k chassistest.Kind) bool {
		return k == chassistest.Cancel || k == chassistest.Redrive
	})...)
}

func TestStormFindsWrongHandlers(t *testing.T) {
	var table strings.Builder
	for _, c := range corpus {
		seeds, found := chassistest.SearchForTest(t, c.play(c.wrong), chassistest.Seeds(1000), corpusKinds())
		if len(found) == 0 {
			t.Errorf("%q was not found in %d seeds", c.name, seeds)
			continue
		}
		fmt.Fprintf(&table, "\n%-30s %4d seeds  %v", c.name, seeds, found[0])
	}
	t.Logf("found:%s", table.String())
}

func TestStormAcceptsRightHandlers(t *testing.T) {
	seeds := 15
	if os.Getenv("CHASSIS_SCALE") == "full" {
		seeds = 1000 // of each: 13 000 in all
	}
	for _, c := range corpus {
		t.Run(c.name, func(t *testing.T) {
			opts := []chassistest.StormOption{chassistest.Seeds(seeds), corpusKinds()}
			if c.follow != nil { // two runs send it under one exec_id, and each message ends
				opts = append(opts, chassistest.Without(chassistest.OneEnd))
			}
			played, found := chassistest.SearchForTest(t, c.play(c.right), opts...)
			if len(found) > 0 {
				t.Errorf("accused after %d seeds: %v", played, found)
			}
		})
	}
}
