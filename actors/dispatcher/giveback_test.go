package dispatcher_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// full puts a task on the queue that has no room for a copy with a count.
func (r *rig) full(name string) {
	r.t.Helper()
	out, err := task.Encode(name, nil, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	r.inspect(func(q *queue) {
		body := `"` + strings.Repeat("x", task.MaxSize-task.Size("", out.Attributes)-2) + `"`
		q.messages = append(q.messages, q.made(body, out.Attributes, "", 0))
	})
}

// TestAMessageTooFullForACopyWaitsInPlace: no copy can carry its failures, so this
// process counts them, and it is given up in the end.
func TestAMessageTooFullForACopyWaitsInPlace(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var at []time.Time
		r.handle("t", func(context.Context, raw) error { at = append(at, time.Now()); return errors.New("no") },
			task.MaxFailures(5), task.Wait(time.Hour, task.None))
		r.full("t")
		r.after(24 * time.Hour)
		if len(at) != 5 || r.left() != 0 {
			t.Fatalf("%d runs, %d left", len(at), r.left())
		}
		for i := 1; i < len(at); i++ {
			if wait := at[i].Sub(at[i-1]); wait != time.Hour {
				t.Errorf("wait %d is %v", i, wait)
			}
		}
		r.inspect(func(q *queue) {
			if dead := q.others["pool_dead"]; len(dead) != 1 || task.Size(dead[0].Body, dead[0].Attributes) > task.MaxSize {
				t.Errorf("%d dead letters", len(dead))
			}
			if len(q.settles) != 1 {
				t.Errorf("settled %+v", q.settles)
			}
		})
	})
}

// TestAFullMessageThatIsDueRunsThoughItCannotBeRenewed: it came and was hidden for
// ever, as fast as the queue gives it.
func TestAFullMessageThatIsDueRunsThoughItCannotBeRenewed(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		r.handle("t", func(context.Context, raw) error { runs++; return nil }, task.Window(0))
		out, err := task.Encode("t", nil, time.Now(), task.At(time.Now().Add(20*time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		r.inspect(func(q *queue) {
			body := `"` + strings.Repeat("x", task.MaxSize-task.Size("", out.Attributes)-2) + `"`
			q.messages = append(q.messages, q.made(body, out.Attributes, "", 0))
		})
		r.after(21 * time.Hour)
		if runs != 1 || r.left() != 0 {
			t.Errorf("%d runs, %d left", runs, r.left())
		}
		r.inspect(func(q *queue) {
			if len(q.settles) > 5 {
				t.Errorf("%d settles", len(q.settles))
			}
		})
	})
}

func TestAFullMessageIsGivenUpBeforeTheQueueDropsIt(t *testing.T) {
	bubble(t, dispatcher.Settings{RetentionPeriod: time.Hour}, func(r *rig) {
		runs := 0
		r.handle("t", func(context.Context, raw) error { runs++; return errors.New("no") }, task.MaxFailures(50), task.Wait(20*time.Minute, task.None))
		r.full("t")
		for range 12 {
			r.after(5 * time.Minute)
			r.inspect(func(q *queue) {
				for _, m := range q.messages {
					if age := time.Since(m.sent); age > 55*time.Minute {
						t.Errorf("the message is %v old, the queue keeps it for an hour", age)
					}
				}
			})
		}
		r.inspect(func(q *queue) {
			if len(q.others["pool_dead"]) != 1 {
				t.Errorf("%d runs, %d dead letters, %d left", runs, len(q.others["pool_dead"]), len(q.messages))
			}
		})
	})
}

// TestAnOldFIFOMessageIsADeadLetterBeforeItsEnd: and its group goes on behind it.
func TestAnOldFIFOMessageIsADeadLetterBeforeItsEnd(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 4, RetentionPeriod: time.Hour}, func(r *rig) {
		o := newOrder(t)
		r.handle("t", func(_ context.Context, job raw) error {
			g, name := o.enter(job)
			defer o.leave(g)
			if name == "0" {
				return errors.New("not yet")
			}
			return nil
		}, task.Wait(20*time.Minute, task.None), task.MaxFailures(100))
		r.sendAll("t", "a", pair{"a", "0"}, pair{"a", "1"})
		r.after(59 * time.Minute)
		if got := o.ran("a"); got != "[0 0 0 1]" { // after 0, 20 and 40 minutes; 52.5 are left
			t.Errorf("ran %s", got)
		}
		r.inspect(func(q *queue) {
			dead := q.others["pool_dead.fifo"]
			if len(dead) != 1 {
				t.Fatalf("%d dead letters", len(dead))
			}
			if m, _ := task.Decode(dead[0].Body, dead[0].Attributes); m.Reason != task.ReasonTooLate || m.Failures != 3 || !strings.Contains(m.LastError, "MessageRetentionPeriod 1h0m0s") || !strings.Contains(m.LastError, "not yet") {
				t.Errorf("dead letter %+v", m)
			}
		})
	})
}

// TestALeaseThatEndsWithTheQueuesRetentionIsNoEnd: on a FIFO pool what waits here
// becomes a dead letter, on a standard one a copy.
func TestALeaseThatEndsWithTheQueuesRetentionIsNoEnd(t *testing.T) {
	for pool, wantDead := range map[string]int{"pool": 0, "pool.fifo": 1} {
		bubbleOn(t, pool, dispatcher.Settings{RetentionPeriod: time.Hour}, func(r *rig) {
			r.handle("t", func(context.Context, raw) error { return nil })
			if err := r.client.Pause(r.ctx(), "t"); err != nil {
				t.Fatal(err)
			}
			r.sendAll("t", "g", 1)
			r.after(50 * time.Minute)
			r.system.Root.Send(r.pid, &poller.LeaseExpiring{Lease: 1, At: time.Now().Add(2*time.Minute + 30*time.Second)})
			r.settle()
			r.inspect(func(q *queue) {
				if dead := len(q.others[dispatcher.DeadLetterPool(pool)]); dead != wantDead || len(q.settles) != 1 || q.settles[0].Release || len(q.settles[0].Send) != 1 {
					t.Errorf("%s: %d dead letters, settled %+v", pool, dead, q.settles[0])
				}
			})
		})
	}
}

// TestAFIFOFollowerIsNotChargedForItsHead: the two are received and hidden
// together. Before its turn the follower has never run.
func TestAFIFOFollowerIsNotChargedForItsHead(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 4, RetentionPeriod: 14 * 24 * time.Hour}, func(r *rig) {
		runs := map[string]int{}
		r.handle("t", func(_ context.Context, job raw) error {
			runs[string(job.Args)]++
			if string(job.Args) == "0" || runs["1"] < 2 {
				return errors.New("no")
			}
			return nil
		}, task.Wait(7*time.Hour, task.None), task.MaxFailures(3))
		r.sendAll("t", "a", 0, 1)
		r.after(100 * time.Hour)
		if runs["0"] != 3 || runs["1"] != 2 || r.left() != 0 {
			t.Errorf("runs %v, %d left", runs, r.left())
		}
		r.inspect(func(q *queue) {
			if n := len(q.others["pool_dead.fifo"]); n != 1 {
				t.Errorf("%d dead letters, want that of the head", n)
			}
		})
	})
}

// TestManyHiddenAreNoticedBetweenTwoCounts: what is hidden here counts before the
// queue is asked again.
func TestManyHiddenAreNoticedBetweenTwoCounts(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 100, PostponedShare: 0.01}, func(r *rig) { // 1 200 messages
		r.handle("t", func(context.Context, raw) error { return nil })
		for range 3000 {
			r.send("t", nil, task.At(time.Now().Add(48*time.Hour)))
		}
		r.settle()
		r.inspect(func(q *queue) {
			hidden := 0
			for _, s := range q.settles {
				if s.Release {
					hidden++
				}
			}
			if hidden > 1500 {
				t.Errorf("%d messages were hidden at one instant, the share is 1 200", hidden)
			}
		})
	})
}

func TestPostponingKnowsTheQueueWithoutScalingAndWhenItIsEmptier(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 3, MaxWorkers: 3, PostponedShare: 0.1}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return nil })
		last := func() (s *poller.Settle) {
			for range 2 {
				r.send("t", nil, task.At(time.Now().Add(48*time.Hour)))
				r.after(11 * time.Second)
			}
			r.inspect(func(q *queue) { s = q.settles[len(q.settles)-1] })
			return s
		}
		r.inspect(func(q *queue) { q.inFlight = 20_000 })
		if s := last(); s.Release || len(s.Send) != 1 || s.Send[0].Delay != 15*time.Minute {
			t.Errorf("postponed by %+v", s)
		}
		r.inspect(func(q *queue) { q.inFlight = 10 })
		if s := last(); !s.Release {
			t.Errorf("crowded no more, but postponed by %+v", s)
		}
	})
}

func TestADeadLetterFitsWhateverTheMessageWas(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return task.Cancel(errors.New("no")) })
		out := r.send("t", nil)
		r.inspect(func(q *queue) {
			body := `"` + strings.Repeat("x", task.MaxSize-task.Size("", out.Attributes)-2) + `"`
			q.messages = append(q.messages, q.made(body, out.Attributes, "", 0))
		})
		r.after(time.Minute)
		r.inspect(func(q *queue) {
			list := q.others["pool_dead"]
			if len(list) != 2 || task.Size(list[1].Body, list[1].Attributes) > task.MaxSize {
				t.Errorf("%d dead letters, and the last does not fit", len(list))
			}
		})
	})
}
