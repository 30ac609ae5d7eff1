package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/examples/orders/gateway"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// A fleet of three works on orders and cancellations, while processes die, answers are
// lost and the gateway fails. Deaths strike at statements, the queue and the gateway, and
// connections to the database break.
func TestOrdersInAStorm(t *testing.T) {
	const orders = 12
	seeds := 15
	if os.Getenv("CHASSIS_SCALE") == "full" {
		seeds = 500
	}
	chassistest.Storm(t, func(w *chassistest.World) {
		dsn, bank := testDSN(t.TempDir()), gateway.New(nil)
		upstream := w.Upstream("outside", bank)
		open(t, dsn, func(db *sql.DB) {
			for i := range orders {
				insertOrder(t, db, fmt.Sprintf("o%02d", i), Placed, 900)
			}
		})
		w.Service(func(p *chassistest.Process) {
			db, err := p.OpenDB("sqlite", dsn)
			if err != nil {
				t.Fatal(err)
			}
			store, err := newStore(db, "sqlite")
			if err != nil {
				t.Fatal(err)
			}
			p.Add("outbox", store.box.Relay(p.System, outbox.Settings{Poll: time.Second}, outbox.WithRandom(p.Random)))
			newShop(p.System, store, testConfig(), upstream)
		})
		w.Pending(func() (left bool) {
			open(t, dsn, func(db *sql.DB) {
				left = db.QueryRow("SELECT 1 FROM chassis_outbox LIMIT 1").Scan(new(int)) == nil
			})
			return left
		})
		for i := range orders {
			id := fmt.Sprintf("o%02d", i)
			chassistest.Submit(w, Charge, ForOrder{id}, task.ExecID("charge-"+id))
			if i%4 == 0 {
				chassistest.Submit(w, Refund, ForOrder{id}, task.ExecID("refund-"+id))
			}
		}
		w.Eventually("the books agree", func() (err error) {
			open(t, dsn, func(db *sql.DB) { err = agree(db, bank.Books()) })
			return err
		})
	}, chassistest.Seeds(seeds), chassistest.Databases(), chassistest.Without(chassistest.OneEnd)) // a task that two runs send has one exec_id
}

// open opens a database for a moment. The ctx of t is not of this bubble.
func open(t *testing.T, dsn string, do func(db *sql.DB)) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store, err := newStore(db, "sqlite")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.migrate(context.Background(), "sqlite"); err != nil {
		t.Fatal(err)
	}
	do(db)
}

// agree compares what the service has kept with the books of the gateway. It holds for
// any part of the sends.
func agree(db *sql.DB, books gateway.Books) error {
	rows, err := (&Store{db: db}).List(context.Background(), "", "", 1_000_000)
	if err != nil {
		return err
	}
	for _, o := range rows {
		var invoices int
		if err := db.QueryRow("SELECT count(*) FROM invoices WHERE order_id = $1", o.ID).Scan(&invoices); err != nil {
			return err
		}
		charged, refunded := books.Charged[o.ID], books.Refunded[o.ID]
		switch {
		case charged > 1:
			return fmt.Errorf("order %s was charged %d times", o.ID, charged)
		case o.Status == Placed && (charged != 0 || refunded):
			return fmt.Errorf("order %s is placed, and was charged %d times", o.ID, charged)
		case o.Status == Paid && (charged != 1 || refunded || invoices != 1):
			return fmt.Errorf("order %s is paid, was charged %d times, refunded %v, and has %d invoices", o.ID, charged, refunded, invoices)
		case o.Status == Declined && (charged != 0 || invoices != 0):
			return fmt.Errorf("order %s is declined, was charged %d times, and has %d invoices", o.ID, charged, invoices)
		case o.Status == Cancelled && (!refunded || o.RefundedAt.IsZero()):
			return fmt.Errorf("order %s is cancelled and not refunded", o.ID)
		}
	}
	return nil
}
