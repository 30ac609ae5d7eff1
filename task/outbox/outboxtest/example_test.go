//go:build unix

package outboxtest

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// A transaction that commits sends its task; one that is rolled back does not. The second
// delivery of the task has no second effect.
func Example() {
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "outbox-example-")
	must(err)
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "db")+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	must(err)
	defer func() { _ = db.Close() }()
	_, err = db.Exec("CREATE TABLE mails (address TEXT)")
	must(err)

	set := chassis.DefaultSettings()
	set.Tasks.TaskPool = "mails"
	sys := chassis.MustNew("shop", chassis.WithSettings(set), chassis.WithoutDefaultLogger(),
		chassis.WithLogOutput(io.Discard), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	box, err := outbox.New(db, outbox.SQLite)
	must(err)
	must(box.Migrate(ctx))
	sys.Add("outbox", box.Relay(sys, outbox.Settings{}))
	welcome := task.Define[string]("welcome")
	done := make(chan struct{}, 10)
	chassis.Handle(sys, welcome, func(ctx context.Context, job task.Job[string]) error {
		defer func() { done <- struct{}{} }()
		return box.Once(ctx, job.Info, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO mails VALUES (?)", job.Args)
			return err
		})
	})
	must(sys.Start(ctx))

	send := func(address string, commit bool) (execID string) {
		tx, err := db.Begin()
		must(err)
		execID, err = outbox.Send(ctx, box, tx, welcome, address)
		must(err)
		if commit {
			must(tx.Commit())
		} else {
			must(tx.Rollback())
		}
		return execID
	}
	send("rolled.back@example.org", false)
	id := send("ann@example.org", true)
	<-done
	_, err = chassis.Send(ctx, sys, welcome, "ann@example.org", task.ExecID(id)) // as a second delivery
	must(err)
	<-done
	must(sys.Stop(ctx))

	var n int
	var address string
	must(db.QueryRow("SELECT count(*), max(address) FROM mails").Scan(&n, &address))
	fmt.Println(n, "mail to", address)
	fmt.Println(box.Repeated(), "delivery found again")
	// Output:
	// 1 mail to ann@example.org
	// 1 delivery found again
}
