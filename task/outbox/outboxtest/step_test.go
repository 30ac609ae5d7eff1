//go:build unix

package outboxtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// attempts plays the attempts of one execution, as the dispatcher does.
type attempts struct {
	id      string
	journal *task.Journal
}

// next is the next attempt. With forget the process before it was killed: what its
// journal had is lost.
func (a *attempts) next(t *testing.T, forget bool) context.Context {
	info := &task.Info{Task: "order", ExecID: a.id}
	if a.journal != nil && !forget {
		info.Resume(task.NewJournal(a.journal.Wire()))
	}
	return task.WithInfo(t.Context(), info)
}

func (a *attempts) end(ctx context.Context) { a.journal = task.JobFrom(ctx).EndSteps() }

// A step that has committed is not run again, with its journal or without; its result is
// the same. An error and a panic leave nothing, and the step runs again.
func TestAStepThatHasCommittedIsNotRunAgain(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		db.exec(t, "CREATE TABLE runs (id VARCHAR(40))")
		x, wrong := &attempts{id: "exec é 1"}, errors.New("down")
		step := func(ctx context.Context, name string, fail bool) (string, error) {
			return outbox.Step(ctx, box, name, func(ctx context.Context, tx *sql.Tx) (string, error) {
				if _, err := tx.ExecContext(ctx, bind(db.dialect, "INSERT INTO runs VALUES (?)"), name); err != nil {
					return "", err
				}
				if fail {
					return "", wrong
				}
				return name + " ä \x00 🙂", nil
			})
		}
		for round, forget := range []bool{false, true, false, true, true} {
			ctx := x.next(t, forget)
			for i := range round {
				name := fmt.Sprint("s", i)
				got, err := step(ctx, name, i == round-1 && forget && round < 4)
				if i == round-1 && forget && round < 4 {
					if !errors.Is(err, wrong) {
						t.Errorf("the step's error came back as %v", err)
					}
				} else if err != nil || got != name+" ä \x00 🙂" {
					t.Errorf("round %d, %s: %q, %v", round, name, got, err)
				}
			}
			x.end(ctx)
		}
		func() {
			ctx := x.next(t, true)
			defer func() { _ = recover() }()
			_, _ = outbox.Step(ctx, box, "s0", func(context.Context, *sql.Tx) (int, error) { panic("run again") })
			x.end(ctx)
		}()
		if n, all := db.count(t, "SELECT count(DISTINCT id) FROM runs"), db.count(t, "SELECT count(*) FROM runs"); n != 4 || all != 4 {
			t.Errorf("%d steps have %d effects, want 4 and 4", n, all)
		}
		if open := db.Stats().InUse; open != 0 {
			t.Errorf("%d connections are still in use", open)
		}
		// The table says which step it was, when the message does not.
		ctx := x.next(t, true)
		_, err := step(ctx, "renamed", false)
		var other *task.StepMismatchError
		if !errors.As(err, &other) || other.Was != "s0" || other.Is != "renamed" {
			t.Errorf("a step that was renamed: %v", err)
		}
	})
}

// Two deliveries of one task come to one step at once: the second waits, and finds the
// result of the first.
func TestDeliveriesAtOnceRunAStepOnce(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		db.exec(t, "CREATE TABLE runs (id VARCHAR(40))")
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				x := &attempts{id: fmt.Sprint("e", i%6)}
				got, err := outbox.Step(x.next(t, true), box, "book", func(ctx context.Context, tx *sql.Tx) (string, error) {
					_, err := tx.ExecContext(ctx, bind(db.dialect, "INSERT INTO runs VALUES (?)"), x.id)
					return x.id, err
				})
				if err != nil || got != x.id {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
		all.Wait()
		if n := db.count(t, "SELECT count(*) FROM runs"); n != 6 {
			t.Errorf("%d effects, want 6", n)
		}
		if got := box.Repeated(); got != 18 {
			t.Errorf("%d were found again, want 18", got)
		}
	})
}

// A large result stays in the table. When it is gone from there the step is not run a
// second time.
func TestALargeResultStaysInTheTable(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box, x, runs := db.box(t), &attempts{id: "e1"}, 0
		large := strings.Repeat("x", 200_000)
		step := func(ctx context.Context) (string, error) {
			return outbox.Step(ctx, box, "load", func(context.Context, *sql.Tx) (string, error) { runs++; return large, nil })
		}
		for _, forget := range []bool{true, false, true, false} {
			ctx := x.next(t, forget)
			if got, err := step(ctx); err != nil || got != large {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			x.end(ctx)
			if n := len(x.journal.Wire()); n > 1000 {
				t.Errorf("the message carries %d bytes", n)
			}
		}
		db.exec(t, "DELETE FROM chassis_outbox_steps")
		if _, err := step(x.next(t, false)); !errors.Is(err, outbox.ErrStepGone) {
			t.Errorf("a result that is gone: %v", err)
		}
		if runs != 1 || db.count(t, "SELECT count(*) FROM chassis_outbox_steps") != 0 {
			t.Errorf("it was run %d times", runs)
		}
	})
}
