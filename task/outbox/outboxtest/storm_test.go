//go:build unix

package outboxtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// wire orders a transfer, in a transaction that is committed or rolled back.
var wire = task.Define[transferArgs]("wire", task.MaxFailures(1000), task.Wait(time.Second, task.None))

// stormBank plays the bank in simulated time: clients, workers and relays die at each
// statement and each request, connections break, and the queue does what it may.
func stormBank(t *testing.T, sends int) func(w *chassistest.World) {
	return func(w *chassistest.World) {
		dsn := "file:" + filepath.Join(t.TempDir(), "db") + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)" +
			"&_pragma=synchronous(OFF)&_txlock=immediate"
		const d = outbox.SQLite
		own := func(do func(db *sql.DB) error) error {
			db, err := sql.Open("sqlite", dsn)
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }()
			return do(db)
		}
		ctx := context.Background() // the test's is of another bubble
		if err := own(func(db *sql.DB) error {
			for _, table := range []string{"accounts (id INT PRIMARY KEY, balance INT NOT NULL)", "intents (id TEXT PRIMARY KEY)",
				"effects (id TEXT)", "receipts (id TEXT)", "runs (id TEXT, seen INT)"} {
				if _, err := db.Exec("CREATE TABLE " + table); err != nil {
					return err
				}
			}
			for i := range accounts {
				if _, err := db.Exec("INSERT INTO accounts VALUES (?, ?)", i+1, money); err != nil {
					return err
				}
			}
			box, err := outbox.New(db, d)
			if err != nil {
				return err
			}
			return box.Migrate(ctx)
		}); err != nil {
			t.Error(err)
			return
		}
		w.Service(func(p *chassistest.Process) {
			db, err := p.OpenDB("sqlite", dsn)
			if err != nil {
				t.Error(err)
				return
			}
			box, err := outbox.New(db, d)
			if err != nil {
				t.Error(err)
				return
			}
			chassis.Handle(p.System, wire, func(ctx context.Context, job task.Job[transferArgs]) error {
				args := job.Args
				args.ID = fmt.Sprintf("%s/%d.%d/%d", job.ExecID, p.Number(), p.Life(), job.Attempt)
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					return err
				}
				defer func() { _ = tx.Rollback() }()
				if _, err := tx.ExecContext(ctx, "INSERT INTO intents (id) VALUES (?)", args.ID); err != nil {
					return err
				}
				if _, err := outbox.Send(ctx, box, tx, transfer, args); err != nil {
					return err
				}
				if args.Amount%4 == 0 {
					return nil // rolled back
				}
				return tx.Commit()
			})
			chassis.Handle(p.System, transfer, func(ctx context.Context, job task.Job[transferArgs]) error {
				return box.Once(ctx, job.Info, func(tx *sql.Tx) error { return move(ctx, box, tx, d, job.Args) })
			})
			chassis.Handle(p.System, receipt, func(ctx context.Context, job task.Job[string]) error {
				return box.Once(ctx, job.Info, func(tx *sql.Tx) error {
					if _, err := tx.Exec("INSERT INTO receipts (id) VALUES (?)", job.Args); err != nil {
						return err
					}
					_, err := outbox.Send(ctx, box, tx, journey, job.Args)
					return err
				})
			})
			chassis.Handle(p.System, journey, func(ctx context.Context, job task.Job[string]) error {
				sum := 0
				for i := range 3 {
					n, err := outbox.Step(ctx, box, fmt.Sprint("step ", i), func(ctx context.Context, tx *sql.Tx) (int, error) {
						_, err := tx.ExecContext(ctx, "INSERT INTO runs (id, seen) VALUES (?, ?)", fmt.Sprint(job.Args, " ", i), sum)
						return 1 << i, err
					})
					if err != nil {
						return err
					}
					if sum += n; job.Attempt == i+1 {
						return errors.New("between two steps")
					}
				}
				return nil
			})
			p.Add("outbox", box.Relay(p.System, outbox.Settings{Poll: time.Second, SendTimeout: 5 * time.Second, Batch: 10},
				outbox.WithRandom(p.Random)))
		})
		for i := range sends {
			args := transferArgs{From: 1 + w.Rand().IntN(accounts), To: 1 + w.Rand().IntN(accounts), Amount: 1 + i}
			chassistest.Submit(w, wire, args)
		}
		count := func(db *sql.DB, query string) (n int) {
			if err := db.QueryRow(query).Scan(&n); err != nil {
				t.Errorf("%s: %v", query, err)
			}
			return n
		}
		w.Pending(func() (left bool) {
			_ = own(func(db *sql.DB) error { left = count(db, "SELECT count(*) FROM chassis_outbox") > 0; return nil })
			return left
		})
		w.Eventually("the books agree", func() error {
			return own(func(db *sql.DB) error {
				if sum := count(db, "SELECT sum(balance) FROM accounts"); sum != accounts*money {
					return fmt.Errorf("the sum is %d, was %d", sum, accounts*money)
				}
				intents := count(db, "SELECT count(*) FROM intents")
				for _, table := range []string{"effects", "receipts", "runs"} {
					each := 1
					if table == "runs" {
						each = 3
					}
					all := count(db, "SELECT count(*) FROM "+table)
					if n := count(db, "SELECT count(DISTINCT id) FROM "+table); n != intents*each || all != intents*each {
						return fmt.Errorf("%d transfers were committed, and have %d %s, %d different", intents, all, table, n)
					}
				}
				if n := count(db, "SELECT count(*) FROM effects WHERE id NOT IN (SELECT id FROM intents)"); n != 0 {
					return fmt.Errorf("%d transfers that were rolled back have effects", n)
				}
				if n := count(db, "SELECT count(*) FROM runs WHERE seen <> (1 << substr(id, -1)) - 1"); n != 0 {
					return fmt.Errorf("%d steps had other results before", n)
				}
				if n := count(db, "SELECT count(*) FROM chassis_outbox_aside"); n != 0 {
					return fmt.Errorf("%d rows were set aside", n)
				}
				return nil
			})
		})
	}
}

// TestBankInAStorm: the sum never differs, each committed send has its effect once, none
// that was rolled back has one, and no step runs again, in any of the storm's faults.
func TestBankInAStorm(t *testing.T) {
	seeds := 6
	if os.Getenv("CHASSIS_SCALE") == "full" {
		seeds = 500
		if n, err := strconv.Atoi(os.Getenv("STORM_SEEDS")); err == nil {
			seeds = n
		}
	}
	kinds := []chassistest.Kind{}
	for _, k := range chassistest.AllKinds() {
		if k != chassistest.Cancel { // an operator who cancels a transfer takes its effect away
			kinds = append(kinds, k)
		}
	}
	chassistest.Storm(t, stormBank(t, 12), chassistest.Databases(), chassistest.Seeds(seeds), chassistest.Kinds(kinds...),
		chassistest.Within(2*time.Hour), chassistest.Faults(24),
		// A row that is sent twice is one task with two ends, and a message that was deleted twice.
		chassistest.Without(chassistest.OneEnd))
}
