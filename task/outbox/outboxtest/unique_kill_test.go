//go:build unix

package outboxtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// The tasks of a test of keys: one with a key until it is done, one with a key for a window.
var (
	report = task.Define[string]("report", task.MaxFailures(1000), task.Wait(50*time.Millisecond, task.None))
	digest = task.Define[string]("digest", task.MaxFailures(1000), task.Wait(50*time.Millisecond, task.None))
)

const (
	uniqueKeys   = 4
	uniqueWindow = 2 * time.Second
)

// uniqueProcess is a client, a worker and a relay. The client orders tasks with keys as
// fast as it gets them, and notes what the transaction sees when it has one.
func uniqueProcess() error {
	p, err := newProcess("uniques")
	if err != nil {
		return err
	}
	for _, def := range []*task.Definition[string]{report, digest} {
		chassis.Handle(p.sys, def, func(ctx context.Context, job task.Job[string]) error {
			if rand.IntN(4) == 0 {
				return errors.New("not yet")
			}
			return p.box.Once(ctx, job.Info, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, bind(p.dialect, "INSERT INTO effects (id) VALUES (?)"), job.ExecID)
				return err
			})
		})
	}
	relay := p.box.Relay(p.sys, outbox.Settings{Poll: 20 * time.Millisecond, SendTimeout: time.Second, Batch: 4})
	p.sys.Add("outbox", relay)
	if p.point != nil {
		p.sys.Go("client", func(ctx context.Context) error {
			for ctx.Err() == nil {
				_ = p.orderUnique(ctx) // a failpoint's error, or a duplicate
				select {
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond): // the pace of the load
				}
			}
			return nil
		})
	}
	p.sys.OnStop("database", func(context.Context) error { return p.db.Close() })
	return p.sys.Run(context.Background())
}

// orderUnique sends a task with a key. One in four is rolled back.
func (p *process) orderUnique(ctx context.Context) error {
	key := fmt.Sprint("key ", rand.IntN(uniqueKeys))
	def, kind, opt := report, "report", task.UniqueUntilDone(key, time.Hour)
	if rand.IntN(2) == 0 {
		def, kind, opt = digest, "digest", task.Unique(key, uniqueWindow)
	}
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	id, err := outbox.Send(ctx, p.box, tx, def, key, opt)
	if err != nil {
		return err
	}
	seconds := map[outbox.Dialect]string{outbox.PostgreSQL: "extract(epoch FROM ends)", outbox.MySQL: "UNIX_TIMESTAMP(ends)",
		outbox.SQLite: "(ends - 2440587.5) * 86400"}[p.dialect]
	// With the key in its hand no other order of it is open.
	_, err = tx.ExecContext(ctx, bind(p.dialect, "INSERT INTO orders (id, kind, name, ends, undone) SELECT ?, ?, ?, "+
		"(SELECT "+seconds+" FROM chassis_outbox_unique WHERE exec_id = ?), count(*) "+
		"FROM orders o WHERE o.kind = ? AND o.name = ? AND NOT EXISTS (SELECT 1 FROM effects e WHERE e.id = o.id)"),
		id, kind, key, id, kind, key)
	if err != nil || rand.IntN(4) == 0 {
		return err
	}
	return tx.Commit()
}

// TestKeysUnderKills kills processes before and after each statement about a key, and cuts
// connections there. A key until it is done has one task that is not done, a key of a window
// one in it; each task that was committed has its effect once, and no key stays taken.
func TestKeysUnderKills(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		db.exec(t, "CREATE TABLE orders (id VARCHAR(40) PRIMARY KEY, kind VARCHAR(10), name VARCHAR(40), ends DOUBLE PRECISION, "+
			"undone INT)")
		db.exec(t, "CREATE TABLE effects (id VARCHAR(40))")
		endpoint, err := queueServer(t).Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var points []string
		for i, class := range uniqueClasses {
			for _, when := range []string{"before", "after"} {
				for _, how := range []string{"kill", "cut"} {
					points = append(points, fmt.Sprintf("%s:%s:%s:%d", class, when, how, 3+i%3))
				}
			}
		}
		if os.Getenv("CHASSIS_SCALE") == "full" {
			points = append(points, points...)
		} else {
			// The key that is taken and not committed, and the one that is freed; two by chance.
			points = []string{"take:after:kill:3", "commit-task:after:cut:3", points[rand.IntN(len(points))],
				points[rand.IntN(len(points))]}
		}
		b := &bank{t: t, db: db, endpoint: endpoint, role: "unique"}
		open := "SELECT count(*) FROM orders o WHERE NOT EXISTS (SELECT 1 FROM effects e WHERE e.id = o.id)"
		b.done = func() bool { return db.count(t, open) == 0 }
		b.runAll(points)
		b.settle()
		orders := db.count(t, "SELECT count(*) FROM orders")
		if n := db.count(t, "SELECT count(*) FROM orders WHERE kind = 'report' AND undone > 0"); n != 0 {
			t.Errorf("%d of %d tasks got their key while another one had it", n, orders)
		}
		for name, query := range map[string]string{
			"tasks have no effect":                open,
			"effects are of no committed task":    "SELECT count(*) FROM effects WHERE id NOT IN (SELECT id FROM orders)",
			"tasks have their effect twice":       "SELECT count(*) FROM (SELECT id FROM effects GROUP BY id HAVING count(*) > 1) d",
			"rows wait for ever, or are put back": "SELECT (SELECT count(*) FROM chassis_outbox) + (SELECT count(*) FROM chassis_outbox_aside)",
		} {
			if n := db.count(t, query); n != 0 {
				t.Errorf("%d %s", n, name)
			}
		}
		db.windows(t)
		for i := range uniqueKeys { // no crash keeps a key
			key := fmt.Sprint("key ", i)
			if err := trySend(t, box, db.DB, report, key, task.UniqueUntilDone(key, time.Hour)); err != nil {
				t.Errorf("all is done, and a key is still taken: %v", err)
			}
		}
		if b.killed+b.cut != len(points) || orders < uniqueKeys {
			t.Errorf("%d kills and %d cuts of %d, %d tasks", b.killed, b.cut, len(points), orders)
		}
		t.Logf("%d kills, %d cuts, %d tasks with keys", b.killed, b.cut, orders)
	})
}

// windows checks that the windows of a key do not overlap, by the clock of the database.
func (db *database) windows(t *testing.T) {
	t.Helper()
	rows, err := db.Query("SELECT name, ends FROM orders WHERE kind = 'digest' ORDER BY name, ends")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	last, lastEnd := "", 0.0
	for rows.Next() {
		var name string
		var end float64
		if err := rows.Scan(&name, &end); err != nil {
			t.Fatal(err)
		}
		if apart := end - lastEnd; name == last && apart < uniqueWindow.Seconds()-0.001 { // digits of a Julian day
			t.Errorf("two tasks of %s are %.3f s apart, the window is %v", name, apart, uniqueWindow)
		}
		last, lastEnd = name, end
	}
}

// trySend sends a task in a transaction that is rolled back.
func trySend(t *testing.T, box *outbox.Box, db *sql.DB, def *task.Definition[string], key string, opt task.Option) error {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	_, err = outbox.Send(t.Context(), box, tx, def, key, opt)
	return err
}
