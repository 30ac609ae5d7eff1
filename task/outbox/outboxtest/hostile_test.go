//go:build unix

package outboxtest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// Serialization failures and deadlocks of an effect roll the note back too: in any
// isolation, each of many deliveries at once ends with the one effect or with an error,
// after which another try works.
func TestOnceInAnyIsolation(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		levels := []sql.IsolationLevel{sql.LevelDefault}
		if db.dialect != outbox.SQLite {
			levels = append(levels, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable)
		}
		box := db.box(t)
		db.exec(t, "CREATE TABLE effects (id VARCHAR(60))")
		db.exec(t, "CREATE TABLE total (n INT)")
		db.exec(t, "INSERT INTO total VALUES (0)")
		failed, want := 0, 0
		var mu sync.Mutex
		for _, level := range levels {
			var all sync.WaitGroup
			for i := range 12 {
				want++
				all.Go(func() {
					id := fmt.Sprint(level, " ", i%4)
					for try := range 200 {
						err := box.Once(t.Context(), &task.Info{Task: "work", ExecID: id}, func(tx *sql.Tx) error {
							var n int
							if err := tx.QueryRow("SELECT n FROM total").Scan(&n); err != nil {
								return err
							}
							if _, err := tx.Exec("UPDATE total SET n = n + 1"); err != nil {
								return err
							}
							_, err := tx.Exec(bind(db.dialect, "INSERT INTO effects VALUES (?)"), id)
							return err
						}, outbox.TxOptions(&sql.TxOptions{Isolation: level}))
						if err == nil {
							return
						}
						mu.Lock()
						failed++
						mu.Unlock()
						if try == 199 {
							t.Errorf("%s still fails: %v", id, err)
						}
					}
				})
			}
			all.Wait()
		}
		if n := db.count(t, "SELECT count(*) FROM effects"); n != 4*len(levels) {
			t.Errorf("%d effects, want %d", n, 4*len(levels))
		}
		if n := db.count(t, "SELECT n FROM total"); n != 4*len(levels) {
			t.Errorf("the total is %d, want %d", n, 4*len(levels))
		}
		t.Logf("%d of the tries of %d deliveries failed", failed, want)
	})
}

// A queue that hangs keeps no connection of a SQLite pool that has one alone: the service
// goes on with its database meanwhile.
func TestAHangingQueueLeavesTheDatabaseFree(t *testing.T) {
	db := newDatabase(t, outbox.SQLite)
	db.SetMaxOpenConns(1)
	box := db.box(t)
	s := newService(t, queueServer(t), nil)
	s.handle()
	send(t, box, db.DB, []int{1}, task.Pool("http://127.0.0.1:1/000000000000/away"))
	relay := box.Relay(s, outbox.Settings{Poll: 10 * time.Millisecond, SendTimeout: 10 * time.Second})
	s.Add("outbox", relay)
	s.start(t)
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := db.ExecContext(ctx, "UPDATE chassis_outbox_done SET part = part"); err != nil {
			t.Errorf("the database is not free: %v", err)
		}
		cancel()
		time.Sleep(10 * time.Millisecond) // the relay's time, which is real
	}
}

// With many rows that wait, the relay takes its rows by an index, and a look is bounded.
func TestManyRowsThatWait(t *testing.T) {
	rows := 20_000
	if os.Getenv("CHASSIS_SCALE") == "full" {
		rows = 1_000_000
	}
	db := newDatabase(t, outbox.PostgreSQL)
	box := db.box(t)
	db.exec(t, fmt.Sprintf("INSERT INTO chassis_outbox (exec_id, task, pool, message) "+
		"SELECT 'e' || i, 'work', 'away', '{}' FROM generate_series(1, %d) i", rows))
	db.exec(t, "ANALYZE chassis_outbox")
	plan := ""
	found, err := db.Query("EXPLAIN SELECT id FROM chassis_outbox o WHERE (due IS NULL OR due <= clock_timestamp()) AND " +
		"position(chr(10) || pool || chr(10) IN 'x') = 0 AND (order_key IS NULL OR NOT EXISTS (SELECT 1 FROM chassis_outbox e " +
		"WHERE e.order_key = o.order_key AND e.id < o.id)) ORDER BY id LIMIT 100 FOR UPDATE OF o SKIP LOCKED")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		var line string
		if err := found.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan += line + "\n"
	}
	if !strings.Contains(plan, "Index Scan using chassis_outbox_pkey") {
		t.Errorf("the rows are not taken by the index:\n%s", plan)
	}
	begun := time.Now()
	if err := box.Check(time.Hour)(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("%d rows wait; a look takes %v", rows, time.Since(begun).Round(time.Millisecond))
}
