package chassistest

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest/internal/memsql"
	"github.com/sambatech/chassis/task"
)

// ledger is a play with a database: each task moves an amount from one account to another,
// in a transaction with a note of its own. Without the transaction a death between two
// statements loses money; without the note a second delivery moves it again.
func ledger(inTx, noted bool) func(w *World) {
	return func(w *World) {
		db := memsql.New("accounts (id, cents)", "notes (id)")
		own := sql.OpenDB(db)
		for i := range 4 {
			_, _ = own.Exec("INSERT INTO accounts (id, cents) VALUES (?, ?)", fmt.Sprint(i), 1000)
		}
		_ = own.Close()
		w.Service(func(p *Process) {
			pool := p.DB(db)
			chassis.Handle(p.System, pack, func(ctx context.Context, job task.Job[parcel]) error {
				if !inTx {
					return moveCents(ctx, pool, job, noted)
				}
				tx, err := pool.BeginTx(ctx, nil)
				if err != nil {
					return err
				}
				defer func() { _ = tx.Rollback() }()
				if err := moveCents(ctx, tx, job, noted); err != nil {
					return err
				}
				return tx.Commit()
			})
		})
		for i := range 25 {
			Submit(w, pack, parcel{i})
		}
		w.Eventually("the sum is as before", func() error {
			if got := strings.Join(db.Rows("accounts"), " "); sumOf(got) != 4000 {
				return fmt.Errorf("the accounts are %s", got)
			}
			return nil
		})
		w.Eventually("each has moved once", func() error {
			want := map[int]int{0: 1000, 1: 1000, 2: 1000, 3: 1000}
			for _, note := range db.Rows("notes") {
				var n int
				if _, err := fmt.Sscanf(note, "id=pack#%d", &n); err != nil {
					return err
				}
				want[n%4] -= 1 + n
				want[(n+1)%4] += 1 + n
			}
			for i, row := range db.Rows("accounts") {
				if row != fmt.Sprintf("id=%d cents=%d", i, want[i]) {
					return fmt.Errorf("account %d is %s, want %d", i, row, want[i])
				}
			}
			return nil
		})
	}
}

func sumOf(rows string) (sum int) {
	for _, field := range strings.Fields(rows) {
		var n int
		if _, err := fmt.Sscanf(field, "cents=%d", &n); err == nil {
			sum += n
		}
	}
	return sum
}

func moveCents(ctx context.Context, db interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}, job task.Job[parcel], noted bool) error {
	result, err := db.ExecContext(ctx, "INSERT INTO notes (id) VALUES (?) ON CONFLICT DO NOTHING", job.ExecID)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 && noted {
		return err
	}
	for i, by := range []int{-1 - job.Args.ID, 1 + job.Args.ID} {
		account := fmt.Sprint((job.Args.ID + i) % 4)
		if _, err := db.ExecContext(ctx, "UPDATE accounts SET cents = cents + ? WHERE id = ?", by, account); err != nil {
			return err
		}
	}
	return nil
}

// Transactions hold under deaths at each statement and connections that break; what does
// without them is found.
func TestADatabaseInAStorm(t *testing.T) {
	opts := []StormOption{Databases(), Seeds(12), Without(OneEnd, Budget)}
	Storm(t, ledger(true, true), opts...)
	for name, play := range map[string]func(*World){
		"no transaction": ledger(false, true), "no note": ledger(true, false),
	} {
		s := newStorm(t, play, append(opts, Seeds(60)))
		r := s.search()
		if r == nil {
			t.Errorf("%s: nothing was found", name)
			continue
		}
		if what := r.findings[0].Invariant; what != "the sum is as before" && what != "each has moved once" {
			t.Errorf("%s: found %v", name, r.findings[0])
		}
	}
}

// Each kind of fault at statements strikes, and one seed has one trace.
func TestFaultsAtStatements(t *testing.T) {
	s := newStorm(t, ledger(true, true), []StormOption{Databases(), Without(OneEnd, Budget)})
	struck := map[Kind]int{}
	for seed := range uint64(12) {
		var first *result
		for i := range 2 {
			procs := runtime.GOMAXPROCS([]int{1, 4}[i])
			r := s.run(s.draw(seed))
			runtime.GOMAXPROCS(procs)
			if first != nil && r.trace.sum != first.trace.sum {
				t.Errorf("seed %d differs: %s", seed, divergence(first, r))
			}
			first = r
		}
		for _, f := range first.struck {
			if f.On == OnStatement {
				struck[f.Kind]++
			}
		}
	}
	for _, kind := range []Kind{DieBefore, DieAfter, CutBefore, CutAfter} {
		if struck[kind] == 0 {
			t.Errorf("no fault %q has struck a statement: %v", kind, struck)
		}
	}
}

var brisk = task.Define[parcel]("brisk", task.MaxFailures(40), task.Wait(5*time.Second, task.None), task.Deadline(9*time.Second))

// A handler's ctx ends while a statement of its transaction stands at the gate, which knows
// nothing of that ctx: database/sql waits for the statement, and the storm for database/sql.
func TestAStatementEndsWithTheCtxOfItsTransaction(t *testing.T) {
	Replay(t, Schedule{Fleet: 1, Faults: []Fault{{Kind: Suspend, Process: 1, At: 2 * time.Second, For: time.Minute}}},
		func(w *World) {
			db := memsql.New("notes (id)")
			w.Service(func(p *Process) {
				pool := p.DB(db)
				chassis.Handle(p.System, brisk, func(ctx context.Context, job task.Job[parcel]) error {
					tx, err := pool.BeginTx(ctx, nil)
					if err != nil {
						return err
					}
					defer func() { _ = tx.Rollback() }()
					for i := range 5 {
						time.Sleep(time.Second)
						note := fmt.Sprint(job.ExecID, " ", job.Attempt, " ", i)
						if _, err := tx.Exec("INSERT INTO notes (id) VALUES (?) ON CONFLICT DO NOTHING", note); err != nil {
							return err
						}
					}
					return tx.Commit()
				})
			})
			SubmitAt(w, 0, brisk, parcel{1})
			w.Eventually("one attempt has committed", func() error {
				if n := len(db.Rows("notes")); n != 5 {
					return fmt.Errorf("%d notes, want 5", n)
				}
				return nil
			})
		})
}
