// Package outbox sends tasks with the transaction that they belong to, and runs the
// effect of a task once, with any SQL database that database/sql has a driver for.
//
//	box, err := outbox.New(db, outbox.PostgreSQL)
//	err = box.Migrate(ctx) // or the files of Migrations, in the team's own tool
//	sys.Add("outbox", box.Relay(sys, outbox.Settings{}))
//
//	tx, err := db.BeginTx(ctx, nil)
//	... // the business rows
//	execID, err := outbox.Send(ctx, box, tx, Welcome, WelcomeArgs{Email: email}) // one more row
//	err = tx.Commit() // the task is sent if, and only if, this returns nil
//
//	chassis.Handle(sys, Welcome, func(ctx context.Context, job task.Job[WelcomeArgs]) error {
//		return box.Once(ctx, job.Info, func(tx *sql.Tx) error {
//			... // runs in one transaction with the note that the task was done
//		})
//	})
//
// [Send] writes a row in the caller's transaction. A [Relay] in each process takes rows,
// sends them in batches of ten, and deletes them after the queue's acknowledgement. A
// process that dies between the two sends a row again: [Box.Once] on the other side
// finds that out. With both, the effect of a task in the database happens exactly once.
// What is done elsewhere, a call of another service, is not part of the transaction:
// give the other side the idempotency key job.ExecID.
//
// # Order
//
// Rows of one message group on a FIFO pool reach the queue in the order of their
// commits, whichever relay sends them: Send holds a lock of the group until the
// transaction ends. Other rows have no order.
//
// # Who owns what
//
// The tables own all that is to be sent: a queue that is away costs rows, and no
// memory. A relay owns the rows of one pass, in one transaction. A row that no queue
// takes is set aside with its reason, logged and counted; see [Box.Aside].
//
// All methods may be called from any goroutine.
//
// # Debugging and testing
//
// [Box.Depth] returns how many rows wait and how old the oldest is, [Relay.Stats] what a
// relay has done. Tests with PostgreSQL, MariaDB and SQLite are in the module outboxtest.
package outbox
