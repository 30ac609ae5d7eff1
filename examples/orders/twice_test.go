package main

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/examples/orders/gateway"
)

// Each handler is run, killed at each place, and run again: Twice compares what comes of
// it with one whole run.
func TestHandlersTwice(t *testing.T) {
	chassistest.Twice(t, func(r *chassistest.Rerun) {
		dsn, bank := testDSN(r.TB().TempDir()), gateway.New(nil) // these outlive a death
		db := testStore(r.TB(), dsn).db
		insertOrder(r.TB(), db, "placed", Placed, 900)
		insertOrder(r.TB(), db, "no money", Placed, 913)
		insertOrder(r.TB(), db, "paid", Paid, 900)
		insertOrder(r.TB(), db, "cancelled", Cancelled, 900)
		r.State(func() any { return state(r.TB(), db, bank) })
		r.Process(func(p *chassistest.RerunProcess) {
			own, err := p.OpenDB("sqlite", dsn)
			if err != nil {
				r.TB().Fatal(err)
			}
			store, err := newStore(own, "sqlite")
			if err != nil {
				r.TB().Fatal(err)
			}
			newShop(p.System, store, testConfig(), p.Transport(inMemory{bank}))
		})
		for _, order := range []string{"placed", "no money", "paid", "cancelled"} {
			chassistest.Message(r, Charge, ForOrder{order})
		}
		for _, order := range []string{"placed", "paid", "cancelled"} {
			chassistest.Message(r, Refund, ForOrder{order})
		}
		for _, order := range []string{"paid", "cancelled"} {
			chassistest.Message(r, Invoice, ForOrder{order})
		}
		chassistest.Message(r, Mail, Letter{To: "ann@example.org", Subject: "Your invoice"})
		chassistest.Message(r, Report, ForNight{})
	})
}

// insertOrder keeps an order with an id of the test.
func insertOrder(t testing.TB, db *sql.DB, id string, status Status, cents int64) {
	t.Helper()
	paid := 0
	if status == Paid {
		paid = 1000
	}
	_, err := db.Exec(`INSERT INTO orders (id, idempotency_key, digest, status, customer, items, cents, placed_at, paid_at)
		VALUES ($1, $1, '', $2, 'ann@example.org', '[]', $3, $5, $4)`, id, status, cents, paid, time.Now().Add(-36*time.Hour).UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
}

// state is everything that is kept, without times.
func state(t testing.TB, db *sql.DB, bank *gateway.Gateway) string {
	var b strings.Builder
	for _, query := range []string{
		"SELECT id || ' ' || status || ' ' || (paid_at > 0) || ' ' || (refunded_at > 0) FROM orders ORDER BY id",
		"SELECT order_id || ' ' || cents || ' ' || text FROM invoices ORDER BY order_id",
		"SELECT exec_id || ' ' || task FROM chassis_outbox ORDER BY exec_id",
		"SELECT day || ' ' || orders || ' ' || cents || ' ' || refunded FROM reports ORDER BY day",
	} {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			b.WriteString(line + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	books := bank.Books()
	fmt.Fprintln(&b, books.Charged, books.Cents, books.Refunded, books.Mails)
	return b.String()
}
