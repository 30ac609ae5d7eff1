// Package pgxoutbox lets package outbox work with pgx: it sends in a pgx.Tx, and wakes a
// relay by LISTEN.
//
//	sys.Add("outbox", box.Relay(sys, outbox.Settings{},
//		outbox.WithListener(pgxoutbox.Listener(os.Getenv("DATABASE_URL"), outbox.DefaultTable))))
//
//	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
//		... // the business rows
//		_, err := outbox.Send(ctx, box, pgxoutbox.Tx(tx), Welcome, args)
//		return err
//	})
//
// A [Listener] keeps a connection of its own to the server. LISTEN does not work through
// a pooler in transaction mode: give it the server's own address. It has no state, and may
// be called from any goroutine. To see whether it hears, look at the relay's log: it
// warns when the connection is lost.
package pgxoutbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sambatech/chassis/task/outbox"
)

// Executor is a pgx.Tx, or anything else of pgx with its method Exec.
type Executor interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
}

// Tx lets outbox.Send write into a transaction of pgx.
func Tx(tx Executor) outbox.Execer { return execer{tx} }

type execer struct{ tx Executor }

// ExecContext implements outbox.Execer.
func (e execer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	tag, err := e.tx.Exec(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return driver.RowsAffected(tag.RowsAffected()), nil
}

// ping is how often a silent connection is asked whether it is still there: a machine
// that is gone closes none.
const ping = 30 * time.Second

// Listener listens for the rows of a table on a connection of its own, by a connection
// string of pgx. It returns when the connection is lost; the relay calls it again.
func Listener(conn, table string) outbox.Listener {
	return func(ctx context.Context, wake func()) error {
		c, err := pgx.Connect(ctx, conn)
		if err != nil {
			return fmt.Errorf("pgxoutbox: connect: %w", err)
		}
		defer func() {
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = c.Close(end)
		}()
		channel := pgx.Identifier{outbox.Channel(table)}.Sanitize()
		if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
			return fmt.Errorf("pgxoutbox: LISTEN %s: %w", channel, err)
		}
		wake() // for what came before
		for {
			if err := next(ctx, c); err != nil {
				return fmt.Errorf("pgxoutbox: listen on %s: %w", channel, err)
			}
			wake()
		}
	}
}

// next returns at the next notification, or when the server has answered a ping.
func next(ctx context.Context, c *pgx.Conn) error {
	wait, cancel := context.WithTimeout(ctx, ping)
	defer cancel()
	_, err := c.WaitForNotification(wait)
	if err == nil || ctx.Err() != nil || !pgconn.Timeout(err) {
		return err
	}
	answer, cancel := context.WithTimeout(ctx, ping)
	defer cancel()
	return c.Ping(answer)
}
