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

// journey is a task of several steps in the database.
var journey = task.Define[string]("journey", task.MaxFailures(1000), task.Wait(50*time.Millisecond, task.None))

const journeySteps = 6

// journeyProcess is a worker and a relay. The handler fails here and there between its
// steps.
func journeyProcess() error {
	p, err := newProcess("journeys")
	if err != nil {
		return err
	}
	chassis.Handle(p.sys, journey, func(ctx context.Context, job task.Job[string]) error {
		sum := 0
		for i := range journeySteps {
			n, err := outbox.Step(ctx, p.box, fmt.Sprint("step ", i), func(ctx context.Context, tx *sql.Tx) (int, error) {
				id := fmt.Sprint(job.Args, " ", i)
				_, err := tx.ExecContext(ctx, bind(p.dialect, "INSERT INTO runs (id, seen) VALUES (?, ?)"), id, sum)
				return 1 << i, err
			})
			if err != nil {
				return err
			}
			if sum += n; rand.IntN(8) == 0 {
				return errors.New("between two steps")
			}
		}
		return p.box.Once(ctx, job.Info, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, bind(p.dialect, "INSERT INTO receipts (id) VALUES (?)"), job.Args)
			return err
		})
	})
	relay := p.box.Relay(p.sys, outbox.Settings{Poll: 20 * time.Millisecond, SendTimeout: time.Second, Batch: 4})
	p.sys.Add("outbox", relay)
	p.sys.OnStop("database", func(context.Context) error { return p.db.Close() })
	return p.sys.Run(context.Background())
}

// TestStepsUnderKills kills processes before and after each statement of a step, and cuts
// connections there. Each step of each execution has its effect once, after the results
// of those before it. At full size each boundary is struck twice, on more executions.
func TestStepsUnderKills(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		db.exec(t, "CREATE TABLE runs (id VARCHAR(60), seen INT)")
		db.exec(t, "CREATE TABLE receipts (id VARCHAR(40))")
		endpoint, err := queueServer(t).Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var points []string
		for i, class := range stepClasses {
			for _, when := range []string{"before", "after"} {
				for _, how := range []string{"kill", "cut"} {
					points = append(points, fmt.Sprintf("%s:%s:%s:%d", class, when, how, 3+2*i))
				}
			}
		}
		executions := 60
		if os.Getenv("CHASSIS_SCALE") == "full" {
			executions, points = 1000, append(points, points...)
		} else {
			// After the commit, and before its result is known; one more by chance.
			points = []string{"commit-step:after:kill:5", "commit-step:after:cut:3", points[rand.IntN(len(points))]}
		}
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for i := range executions {
			if _, err := outbox.Send(t.Context(), box, tx, journey, fmt.Sprint("j", i), task.Pool("journeys")); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		b := &bank{t: t, db: db, endpoint: endpoint, role: "journey"}
		b.done = func() bool { return db.count(t, "SELECT count(*) FROM receipts") >= executions }
		b.runAll(points)
		b.settle()
		runs, different := db.count(t, "SELECT count(*) FROM runs"), db.count(t, "SELECT count(DISTINCT id) FROM runs")
		if want := executions * journeySteps; runs != want || different != want {
			t.Errorf("%d effects of %d steps, want %d of each", runs, different, want)
		}
		if n := db.count(t, "SELECT count(*) FROM receipts"); n != executions {
			t.Errorf("%d executions have ended, want %d", n, executions)
		}
		for i := range journeySteps {
			if n := db.count(t, "SELECT count(*) FROM runs WHERE id LIKE ? AND seen <> ?", fmt.Sprint("% ", i), 1<<i-1); n != 0 {
				t.Errorf("%d runs of step %d had other results before", n, i)
			}
		}
		if b.killed+b.cut != len(points) {
			t.Errorf("%d kills and %d cuts of %d", b.killed, b.cut, len(points))
		}
		t.Logf("%d kills, %d cuts, %d executions of %d steps", b.killed, b.cut, executions, journeySteps)
	})
}
