package effects

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
)

// DB opens a database by c and records its statements. The connections are the
// driver's own: what it offers beyond the least (contexts, named values, sessions)
// is passed through. Only [sql.Conn.Raw] sees the difference.
//
// A death cuts the connections of its process: their open transactions are rolled
// back. The database is closed at the end of the process.
func (f *Recorder) DB(c driver.Connector) *sql.DB {
	db := sql.OpenDB(&connector{f, c})
	f.OnEnd(func() { _ = db.Close() }) // the error is that of a connection that was cut
	return db
}

// OpenDB is [Recorder.DB] for a driver that was registered by its name: for drivers
// without a connector.
func (f *Recorder) OpenDB(driverName, dsn string) (*sql.DB, error) {
	plain, err := sql.Open(driverName, dsn)
	if err != nil {
		return nil, err
	}
	d := plain.Driver()
	if err := plain.Close(); err != nil {
		return nil, err
	}
	if c, ok := d.(driver.DriverContext); ok {
		connector, err := c.OpenConnector(dsn)
		if err != nil {
			return nil, err
		}
		return f.DB(connector), nil
	}
	return f.DB(dsnConnector{dsn, d}), nil
}

// OnEnd adds what is called at the end of the process, in reverse order.
func (f *Recorder) OnEnd(end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ends = append(f.ends, end)
}

// End frees what the process holds. It is called once, when the world is over or its
// process has stopped.
func (f *Recorder) End() {
	f.mu.Lock()
	ends := f.ends
	f.ends = nil
	f.mu.Unlock()
	for i := len(ends) - 1; i >= 0; i-- {
		ends[i]()
	}
}

// dsnConnector is what database/sql makes of a driver without connectors.
type dsnConnector struct {
	dsn    string
	driver driver.Driver
}

func (c dsnConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c dsnConnector) Driver() driver.Driver                        { return c.driver }

// connector makes recorded connections.
type connector struct {
	effects *Recorder
	next    driver.Connector
}

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.effects.Alive(ctx); err != nil {
		return nil, err
	}
	next, err := c.next.Connect(ctx)
	if err != nil {
		return nil, err
	}
	made := &conn{effects: c.effects, mu: make(lock, 1), next: next}
	if !c.effects.keep(made) { // it died meanwhile
		return nil, errors.Join(ErrDied, next.Close())
	}
	return made.whole(), nil
}

// Driver implements [driver.Connector].
func (c *connector) Driver() driver.Driver { return c.next.Driver() }

// Close implements io.Closer, for connectors that have something to close.
func (c *connector) Close() error {
	if closer, ok := c.next.(interface{ Close() error }); ok {
		return closer.Close()
	}
	return nil
}

func (f *Recorder) keep(c *conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.died {
		return false
	}
	f.conns[c] = struct{}{}
	return true
}

// transaction is one transaction of a connection.
type transaction struct {
	ctx       context.Context // of its begin; nil without BeginTx
	changed   bool            // it has changed something
	committed bool
}

// lock is a mutex that a bubble of testing/synctest takes for a wait: the statement that
// holds it may wait for a lock of its database.
type lock chan struct{}

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

// conn is a recorded connection. Its lock is held for each call of the driver, so
// that a death can cut the connection between two of them.
type conn struct {
	effects *Recorder
	mu      lock
	next    driver.Conn
	tx      driver.Tx    // that is open by BeginTx; else nil
	open    *transaction // that is open, by BeginTx or by a statement
	gone    bool         // it was cut or closed
}

// cut ends the connection as a server does when its client is gone.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	if c.tx != nil {
		_ = c.tx.Rollback() // the connection is closed in any case
	}
	_ = c.next.Close() // nothing is left that could be done about it
}

// call calls the driver. A connection that was cut is not called any more.
func (c *conn) call(f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return driver.ErrBadConn
	}
	return f()
}

// Close implements [driver.Conn].
func (c *conn) Close() error {
	c.effects.mu.Lock()
	delete(c.effects.conns, c)
	c.effects.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil
	}
	c.gone = true
	return c.next.Close()
}

// Begin implements [driver.Conn].
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx implements [driver.ConnBeginTx] for drivers with and without it, in the
// way of database/sql.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	begun := &transaction{ctx: ctx}
	e := c.statement(ctx, "BEGIN", "")
	e.ReadOnly, e.tx = true, nil
	var tx driver.Tx
	err := c.effects.Perform(ctx, []*Effect{e}, func() error {
		return c.call(func() (err error) {
			if tx, err = c.begin(ctx, opts); err == nil {
				c.tx, c.open = tx, begun
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return &recordedTx{conn: c, ctx: ctx, next: tx, begun: begun}, nil
}

func (c *conn) begin(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if next, ok := c.next.(driver.ConnBeginTx); ok {
		return next.BeginTx(ctx, opts)
	}
	if opts.Isolation != driver.IsolationLevel(sql.LevelDefault) {
		return nil, errors.New("sql: driver does not support non-default isolation level")
	}
	if opts.ReadOnly {
		return nil, errors.New("sql: driver does not support read-only transactions")
	}
	tx, err := c.next.Begin() //nolint:staticcheck // what database/sql does for this driver
	if err == nil && ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), tx.Rollback())
	}
	return tx, err
}

// Ping implements [driver.Pinger].
func (c *conn) Ping(ctx context.Context) error {
	return c.call(func() error {
		if next, ok := c.next.(driver.Pinger); ok {
			return next.Ping(ctx)
		}
		return nil
	})
}

// CheckNamedValue implements [driver.NamedValueChecker]; ErrSkip leaves the value to
// database/sql.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if next, ok := c.next.(driver.NamedValueChecker); ok {
		return next.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// statement begins the record of a statement on c.
func (c *conn) statement(ctx context.Context, query, detail string) *Effect {
	c.mu.Lock()
	defer c.mu.Unlock()
	return (&Effect{
		Kind: SQL, Name: strings.Join(strings.Fields(query), " "), Detail: detail, Process: c.effects.process,
		tx: c.open, conn: c, Changed: -1, ReadOnly: !changesState(query),
	}).of(ctx)
}

// within returns the ctx of a statement, which ends with that of its transaction too:
// database/sql ends a transaction once its statement has returned. A value that the one
// does not have is the other's.
func (e *Effect) within(ctx context.Context) (context.Context, func()) {
	if e.tx == nil || e.tx.ctx == nil || e.tx.ctx == ctx {
		return ctx, func() {}
	}
	both, cancel := context.WithCancelCause(&twoContexts{ctx, e.tx.ctx})
	stop := context.AfterFunc(e.tx.ctx, func() { cancel(context.Cause(e.tx.ctx)) })
	return both, func() { stop(); cancel(nil) }
}

type twoContexts struct {
	context.Context
	other context.Context
}

// Value implements [context.Context].
func (c *twoContexts) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.other.Value(key)
}

// recordedTx is a transaction by [driver.Tx].
type recordedTx struct {
	conn  *conn
	ctx   context.Context // of its begin
	next  driver.Tx
	begun *transaction
}

// Commit implements [driver.Tx].
func (t *recordedTx) Commit() error {
	e := &Effect{Kind: SQL, Name: "COMMIT", Process: t.conn.effects.process, tx: t.begun, conn: t.conn}
	committed := false
	err := t.conn.effects.Perform(t.ctx, []*Effect{e.of(t.ctx)}, func() error {
		return t.finish(func() error {
			err := t.next.Commit()
			committed = err == nil
			t.conn.effects.log.change(func() { t.begun.committed = committed })
			return err
		})
	})
	if err != nil && !committed && !errors.Is(err, ErrDied) && !errors.Is(err, ErrCut) {
		_ = t.finish(t.next.Rollback) // it was refused before it reached the driver: database/sql calls no more
	}
	return err
}

// Rollback implements [driver.Tx]. The death of its process has done it already.
func (t *recordedTx) Rollback() error {
	if t.conn.effects.Died() {
		return ErrDied
	}
	e := &Effect{Kind: SQL, Name: "ROLLBACK", Process: t.conn.effects.process, ReadOnly: true}
	return t.conn.effects.Perform(t.ctx, []*Effect{e.of(t.ctx)}, func() error { return t.finish(t.next.Rollback) })
}

// finish ends the transaction by f, once.
func (t *recordedTx) finish(f func() error) error {
	return t.conn.call(func() error {
		if t.conn.tx != t.next {
			return nil
		}
		t.conn.tx, t.conn.open = nil, nil
		return f()
	})
}

// note reads the result of a statement.
func (c *conn) note(e *Effect, query string, result driver.Result) {
	changed := int64(-1)
	if result != nil {
		if n, err := result.RowsAffected(); err == nil {
			changed = n
		}
	}
	c.effects.log.change(func() {
		e.Changed = changed
		if e.tx != nil && !e.ReadOnly {
			e.tx.changed = true
		}
	})
	switch verb(query) { // transactions without BeginTx
	case "BEGIN", "START":
		c.open = &transaction{}
	case "COMMIT", "END":
		if open := c.open; open != nil {
			c.effects.log.change(func() { open.committed = true })
		}
		c.open = nil
	case "ROLLBACK":
		if !strings.Contains(strings.ToUpper(query), " TO ") { // a savepoint's
			c.open = nil
		}
	}
}

// arguments writes the arguments of a statement.
func arguments(args []driver.NamedValue) string {
	if len(args) == 0 {
		return ""
	}
	texts := make([]string, len(args))
	for i, a := range args {
		switch v := a.Value.(type) {
		case string:
			texts[i] = fmt.Sprintf("%q", v)
		case []byte:
			texts[i] = digest(v)
		default:
			texts[i] = fmt.Sprint(v)
		}
		if a.Name != "" {
			texts[i] = a.Name + "=" + texts[i]
		}
	}
	return "[" + strings.Join(texts, " ") + "]"
}
