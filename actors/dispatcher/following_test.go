package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// following starts the dispatcher again with a follower that sends one message for each
// ending, which names it.
func following(r *rig) {
	r.crash()
	r.follow = func(e task.Ending) []task.Outgoing {
		if e.Message.Name == "panics" {
			panic("no")
		}
		out, err := task.Encode("next", fmt.Sprint(e.Message.Name, " ", e.Reason, " ", string(e.Result)), time.Now(),
			task.ExecID("after "+e.Message.ExecID))
		if err != nil {
			panic(err)
		}
		out.Pool = "elsewhere"
		return []task.Outgoing{*out}
	}
	r.up()
}

// followed are the bodies of the messages that followed, sorted.
func (r *rig) followed() (bodies []string) {
	r.inspect(func(q *queue) {
		for _, m := range q.others["elsewhere"] {
			bodies = append(bodies, strings.Trim(m.Body, `"`))
		}
	})
	slices.Sort(bodies)
	return bodies
}

// TestWhatFollowsIsSentForEachEnding: of one that is done, and of those that are given up
// with a dead letter or an on_fail task.
func TestWhatFollowsIsSentForEachEnding(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		following(r)
		no := func(context.Context, raw) error { return errors.New("no") }
		r.handle("done", func(ctx context.Context, _ raw) error { return task.Return(ctx, 7) })
		r.handle("late", func(ctx context.Context, job raw) error {
			if job.Attempt < 3 {
				return errors.Join(errors.New("no"), task.Return(ctx, 1)) // the result of an attempt that failed
			}
			return nil
		}, task.Wait(time.Hour, task.None))
		r.handle("dead", no, task.MaxFailures(2), task.Wait(time.Second, task.None))
		r.handle("never", func(context.Context, raw) error { return task.Cancel(errors.New("no")) })
		r.handle("panics", func(context.Context, raw) error { return nil })
		for _, name := range []string{"done", "late", "dead", "never", "panics"} {
			r.send(name, nil)
		}
		r.after(24 * time.Hour)
		want := []string{"dead exhausted ", "done  7", "late  ", "never cancelled "}
		if got := r.followed(); !slices.Equal(got, want) || r.left() != 0 {
			t.Errorf("%d left; got %q, want %q", r.left(), got, want)
		}
		if !strings.Contains(r.log.String(), "what follows the execution cannot be said") {
			t.Error("the panic is not logged")
		}
	})
}

// TestWhatFollowsIsSentThoughTheFirstSettleFails: without a second run of the handler.
func TestWhatFollowsIsSentThoughTheFirstSettleFails(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		following(r)
		runs := 0
		r.handle("done", func(ctx context.Context, _ raw) error { runs++; return task.Return(ctx, 7) })
		failures := 3
		r.inspect(func(q *queue) {
			q.refuse = func(s *poller.Settle) error {
				if len(s.Send) != 1 {
					return fmt.Errorf("%d messages are to be sent before the delete", len(s.Send))
				}
				if failures--; failures >= 0 { // it comes again when its lease is over
					m := q.leases[s.Lease]
					delete(q.leases, s.Lease)
					m.lease, m.visible = 0, time.Now().Add(30*time.Second)
					return errors.New("the queue is away")
				}
				return nil
			}
		})
		r.send("done", nil)
		r.after(24 * time.Hour)
		if got := r.followed(); runs != 1 || !slices.Equal(got, []string{"done  7"}) || r.left() != 0 {
			t.Errorf("%d runs, %d left, followed by %q", runs, r.left(), got)
		}
	})
}
