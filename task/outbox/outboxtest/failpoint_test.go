//go:build unix

package outboxtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
)

// A failpoint is a place before or after a statement, "claim:after:kill:3": at the third
// claim of a process, after it, the process is killed. "cut" closes the connection
// instead, so that the driver does not know whether the statement has run.
type failpoint struct {
	class, when, how string
	nth              int64
	seen             atomic.Int64
}

func (f failpointName) parse() (*failpoint, error) {
	p := &failpoint{}
	fields := strings.Split(string(f), ":")
	if len(fields) != 4 {
		return nil, fmt.Errorf("%q is no failpoint", f)
	}
	p.class, p.when, p.how = fields[0], fields[1], fields[2]
	_, err := fmt.Sscan(fields[3], &p.nth)
	return p, err
}

type failpointName string

// classes are the statements of a bank. The commits are named by what they end.
var classes = []string{"begin", "intent", "send", "commit-client", "note", "debit", "credit", "effect", "receipt",
	"commit-task", "claim", "delete", "commit-relay"}

// stepClasses are the statements of a journey.
var stepClasses = []string{"step", "run", "result", "commit-step"}

// uniqueClasses are the statements about a key, and what stands around them. The second
// commit is that of the effect, which frees the key.
var uniqueClasses = []string{"take", "late", "send", "commit-client", "note", "free", "commit-task"}

// classOf names a statement.
func classOf(query string) string {
	for _, c := range []struct{ class, has string }{
		{"step", "INSERT INTO chassis_outbox_steps"}, {"result", "UPDATE chassis_outbox_steps"}, {"run", "INSERT INTO runs"},
		{"note", "INSERT INTO chassis_outbox_done"}, {"send", "INSERT INTO chassis_outbox "},
		{"claim", "ORDER BY id LIMIT"}, {"debit", "balance - "}, {"credit", "balance + "},
		{"take", "INSERT INTO chassis_outbox_unique"}, {"late", "UPDATE chassis_outbox_unique"},
		{"free", "DELETE FROM chassis_outbox_unique"},
		{"effect", "INSERT INTO effects"}, {"receipt", "INSERT INTO receipts"}, {"intent", "INSERT INTO intents"},
	} {
		if strings.Contains(query, c.has) {
			return c.class
		}
	}
	if strings.HasPrefix(query, "DELETE") && !strings.Contains(query, "_done") {
		return "delete"
	}
	return "other"
}

var errCut = errors.New("the connection was cut")

// at is called before and after each statement. It reports whether the connection is to
// be cut.
func (f *failpoint) at(class, when string) (cut bool) {
	if f == nil || f.class != class || f.when != when || f.seen.Add(1) != f.nth {
		return false
	}
	fmt.Fprintf(os.Stderr, "failpoint %s %s %s\n", class, when, f.how)
	if f.how == "kill" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
	return true
}

// failing wraps the driver of a database with a failpoint.
func failing(driverName, dsn string, f *failpoint) (*sql.DB, error) {
	db, err := sql.Open(driverName, dsn)
	if err != nil {
		return nil, err
	}
	inner := db.Driver()
	_ = db.Close()
	return sql.OpenDB(&failingConnector{inner, dsn, f}), nil
}

type failingConnector struct {
	inner driver.Driver
	dsn   string
	f     *failpoint
}

func (c *failingConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.inner.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &failingConn{Conn: conn, f: c.f}, nil
}

func (c *failingConnector) Driver() driver.Driver { return c.inner }

// failingConn is a connection with a failpoint. Only the goroutine that has it uses it.
type failingConn struct {
	driver.Conn
	f    *failpoint
	role string // of the transaction under way
	dead bool
}

func (c *failingConn) cut() error {
	c.dead = true
	_ = c.Conn.Close()
	return errCut
}

// around runs a statement between its two places.
func (c *failingConn) around(class string, run func() error) error {
	if c.dead {
		return driver.ErrBadConn
	}
	if c.f.at(class, "before") {
		return c.cut()
	}
	err := run()
	if err == nil && c.f.at(class, "after") {
		return c.cut()
	}
	return err
}

func (c *failingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (tx driver.Tx, err error) {
	c.role = "client"
	err = c.around("begin", func() error {
		tx, err = c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
		return err
	})
	return &failingTx{tx, c}, err
}

func (c *failingConn) class(query string) string {
	class := classOf(query)
	switch class {
	case "note":
		c.role = "task"
	case "step":
		c.role = "step"
	case "claim", "delete":
		c.role = "relay"
	}
	return class
}

func (c *failingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	err = c.around(c.class(query), func() error {
		r, err = c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
		return err
	})
	return r, err
}

func (c *failingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Rows, err error) {
	err = c.around(c.class(query), func() error {
		r, err = c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
		return err
	})
	return r, err
}

func (c *failingConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *failingConn) ResetSession(ctx context.Context) error {
	if c.dead {
		return driver.ErrBadConn
	}
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *failingConn) IsValid() bool {
	v, ok := c.Conn.(driver.Validator)
	return !c.dead && (!ok || v.IsValid())
}

func (c *failingConn) Close() error {
	if c.dead {
		return io.ErrClosedPipe
	}
	return c.Conn.Close()
}

type failingTx struct {
	driver.Tx
	c *failingConn
}

func (t *failingTx) Commit() error { return t.c.around("commit-"+t.c.role, t.Tx.Commit) }

func (t *failingTx) Rollback() error {
	if t.c.dead {
		return driver.ErrBadConn
	}
	return t.Tx.Rollback()
}
