package outbox_test

import (
	"context"
	"database/sql"
	"log"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

type welcomeArgs struct{ Email string }

var welcome = task.Define[welcomeArgs]("welcome")

// A service sends a task with the row that it belongs to, and runs its effect once. db is
// opened by the driver of the service's choice. The module outboxtest has an example that
// runs, with SQLite.
func Example() {
	var db *sql.DB // sql.Open("pgx", url)
	ctx := context.Background()
	sys := chassis.MustNew("shop")
	box, err := outbox.New(db, outbox.PostgreSQL)
	if err != nil {
		log.Fatal(err)
	}
	if err := box.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	sys.Add("outbox", box.Relay(sys, outbox.Settings{}))

	signUp := func(ctx context.Context, email string) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, "INSERT INTO customers (email) VALUES ($1)", email); err != nil {
			return err
		}
		if _, err := outbox.Send(ctx, box, tx, welcome, welcomeArgs{email}); err != nil {
			return err
		}
		return tx.Commit()
	}
	_ = signUp // called by a request, for example

	chassis.Handle(sys, welcome, func(ctx context.Context, job task.Job[welcomeArgs]) error {
		return box.Once(ctx, job.Info, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE customers SET welcomed = true WHERE email = $1", job.Args.Email)
			return err
		})
	})
	if err := sys.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
