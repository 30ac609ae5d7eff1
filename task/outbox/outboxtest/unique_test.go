//go:build unix

package outboxtest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// sendOne sends a task with a key in a transaction of its own, which commits unless back.
func sendOne(t *testing.T, box *outbox.Box, db *sql.DB, back bool, opt task.Option) (string, error) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	id, err := outbox.Send(t.Context(), box, tx, work, 1, opt)
	if err == nil && !back {
		err = tx.Commit()
	}
	return id, err
}

// One of many senders at once gets the key, and the others know which task has it. A
// transaction that is rolled back, a window that is over and an operator free it; a second
// task of the key does not, nor does the end of another one.
func TestOneTaskForAKey(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		const day = 24 * time.Hour
		if _, err := sendOne(t, box, db.DB, true, task.Unique("invoice 7", day)); err != nil {
			t.Fatal(err)
		}
		var got sync.Map
		var duplicates atomic.Int64
		var senders sync.WaitGroup
		for range 8 {
			senders.Go(func() {
				id, err := sendOne(t, box, db.DB, false, task.Unique("invoice 7", day))
				var d *task.DuplicateError
				switch {
				case err == nil:
					got.Store(id, true)
				case errors.As(err, &d) && d.Task == "work" && d.Key == "invoice 7" && d.ExecID != "":
					duplicates.Add(1)
				default:
					t.Errorf("an error that is no duplicate: %v", err)
				}
			})
		}
		senders.Wait()
		var ids []string
		got.Range(func(id, _ any) bool { ids = append(ids, id.(string)); return true })
		if len(ids) != 1 || duplicates.Load() != 7 {
			t.Fatalf("sent %v, %d were told", ids, duplicates.Load())
		}
		if n := db.count(t, "SELECT count(*) FROM "+outbox.DefaultTable); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
		if _, err := sendOne(t, box, db.DB, false, task.Unique("invoice 8", day)); err != nil {
			t.Errorf("another key: %v", err)
		}
		if free, err := box.Free(t.Context(), "work", "invoice 7"); err != nil || !free {
			t.Errorf("free: %v, %v", free, err)
		}
		if _, err := sendOne(t, box, db.DB, false, task.Unique("invoice 7", time.Second)); err != nil {
			t.Errorf("after it was freed: %v", err)
		}
		var last error
		within(t, 5*time.Second, "the window is over", func() bool {
			_, last = sendOne(t, box, db.DB, false, task.UniqueUntilDone("invoice 7", day))
			return last == nil
		})
		if _, err := sendOne(t, box, db.DB, false, task.Unique("invoice 7", day)); err == nil {
			t.Error("a window that was over was taken twice")
		}
	})
}

// The transaction of a duplicate goes on: what else it does is committed.
func TestADuplicateLeavesTheTransaction(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		if _, err := sendOne(t, box, db.DB, false, task.Unique("k", time.Hour)); err != nil {
			t.Fatal(err)
		}
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		var d *task.DuplicateError
		if _, err := outbox.Send(t.Context(), box, tx, work, 1, task.Unique("k", time.Hour)); !errors.As(err, &d) {
			t.Fatalf("the error is %v", err)
		}
		if _, err := outbox.Send(t.Context(), box, tx, work, 2); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if n := db.count(t, "SELECT count(*) FROM "+outbox.DefaultTable); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
	})
}

// A key that is free when the task is done is not free before, and a delivery that comes
// twice frees no key that another task has taken.
func TestAKeyIsFreeWhenItsTaskIsDone(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		until := task.UniqueUntilDone("k", 24*time.Hour)
		for round, ends := range map[string]func(job *task.Info) error{
			"by Once": func(job *task.Info) error {
				return box.Once(t.Context(), job, func(*sql.Tx) error { return nil })
			},
			"by the middleware": func(job *task.Info) error {
				run := box.ReleaseUnique(func(context.Context, task.Job[json.RawMessage]) error { return nil })
				return run(t.Context(), task.Job[json.RawMessage]{Info: job})
			},
		} {
			id, err := sendOne(t, box, db.DB, false, until)
			if err != nil {
				t.Fatalf("%s: %v", round, err)
			}
			job := &task.Info{Task: "work", ExecID: id, Unique: "k"}
			fails := box.ReleaseUnique(func(context.Context, task.Job[json.RawMessage]) error { return errors.New("no") })
			_ = fails(t.Context(), task.Job[json.RawMessage]{Info: job})
			other := &task.Info{Task: "work", ExecID: fmt.Sprint("other ", round), Unique: "k"}
			if err := ends(other); err != nil {
				t.Fatal(err)
			}
			if _, err := sendOne(t, box, db.DB, false, until); err == nil {
				t.Errorf("%s: a failure, or another task, has freed it", round)
			}
			if err := ends(job); err != nil {
				t.Fatal(err)
			}
			next, err := sendOne(t, box, db.DB, false, until)
			if err != nil {
				t.Errorf("%s: the task is done: %v", round, err)
			}
			again := &task.Info{Task: "work", ExecID: id, Unique: "k"} // delivered a second time
			if err := ends(again); err != nil {
				t.Fatal(err)
			}
			if _, err := sendOne(t, box, db.DB, false, until); err == nil {
				t.Errorf("%s: the delivery of a task that is done has freed the key of the next", round)
			}
			if err := ends(&task.Info{Task: "work", ExecID: next, Unique: "k"}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
