//go:build unix

package outboxtest

import (
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// Deliveries of one task at once, in several processes, have one effect. An error and a
// panic roll back the note with the effect, so that the next delivery runs.
func TestDeliveriesAtOnceHaveOneEffect(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		db.exec(t, "CREATE TABLE effects (id VARCHAR(40))")
		effect := func(id string) func(tx *sql.Tx) error {
			return func(tx *sql.Tx) error {
				_, err := tx.Exec(bind(db.dialect, "INSERT INTO effects VALUES (?)"), id)
				return err
			}
		}
		const tasks, deliveries = 10, 4
		var runs atomic.Int64
		var work sync.WaitGroup
		for i := range tasks * deliveries {
			work.Go(func() {
				id := fmt.Sprint("task ", i%tasks)
				err := box.Once(t.Context(), &task.Info{Task: "work", ExecID: id}, func(tx *sql.Tx) error {
					runs.Add(1)
					return effect(id)(tx)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		if n := db.count(t, "SELECT count(*) FROM effects"); n != tasks || runs.Load() != tasks {
			t.Errorf("%d effects in %d runs, want %d", n, runs.Load(), tasks)
		}
		if got := box.Repeated(); got != tasks*(deliveries-1) {
			t.Errorf("%d were found again, want %d", got, tasks*(deliveries-1))
		}
		wrong := errors.New("no money")
		err := box.Once(t.Context(), &task.Info{Task: "work", ExecID: "failing"}, func(tx *sql.Tx) error {
			return errors.Join(effect("failing")(tx), wrong)
		})
		if !errors.Is(err, wrong) {
			t.Errorf("the effect's error came back as %v", err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = box.Once(t.Context(), &task.Info{Task: "work", ExecID: "failing"}, func(tx *sql.Tx) error {
				_ = effect("failing")(tx)
				panic("on fire")
			})
		}()
		if n := db.count(t, "SELECT count(*) FROM effects"); n != tasks {
			t.Errorf("%d effects after an error and a panic, want %d", n, tasks)
		}
		if open := db.Stats().InUse; open != 0 {
			t.Errorf("%d connections are still in use", open)
		}
		for range 2 {
			if err := box.Once(t.Context(), &task.Info{Task: "work", ExecID: "failing"}, effect("failing")); err != nil {
				t.Error(err)
			}
		}
		// The same exec_id of another task is another task, also by case alone.
		for _, id := range []string{"task 0", "TASK 0", "task 0 "} {
			if err := box.Once(t.Context(), &task.Info{Task: "Work", ExecID: id}, effect(id)); err != nil {
				t.Error(err)
			}
		}
		if n := db.count(t, "SELECT count(*) FROM effects"); n != tasks+4 {
			t.Errorf("%d effects in the end, want %d", n, tasks+4)
		}
	})
}

// Notes are deleted after the retention, in batches, and not before.
func TestOldNotesAreSwept(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		const old, fresh = 2500, 10
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		past := map[outbox.Dialect]string{outbox.PostgreSQL: "now() - interval '2 hours'",
			outbox.MySQL: "UTC_TIMESTAMP(6) - INTERVAL 2 HOUR", outbox.SQLite: "julianday('now') - 2.0/24"}[db.dialect]
		for i := range old {
			if _, err := tx.Exec(fmt.Sprintf("INSERT INTO chassis_outbox_done (task, exec_id, part, done) VALUES "+
				"('work', 'old %d', '', %s)", i, past)); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		for i := range fresh {
			job := &task.Info{Task: "work", ExecID: fmt.Sprint("fresh ", i)}
			if err := box.Once(t.Context(), job, func(*sql.Tx) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		s := newService(t, queueServer(t), nil)
		s.handle()
		relay := box.Relay(s, outbox.Settings{Retention: time.Hour, SweepEvery: time.Second})
		s.Add("outbox", relay)
		s.start(t)
		within(t, 20*time.Second, "the old notes are gone", func() bool { return relay.Stats().Swept == old })
		if n := db.count(t, "SELECT count(*) FROM chassis_outbox_done"); n != fresh {
			t.Errorf("%d notes are left, want %d", n, fresh)
		}
	})
}
