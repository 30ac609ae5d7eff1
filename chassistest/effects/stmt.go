package effects

import (
	"context"
	"database/sql/driver"
	"errors"
)

// The parts of a connection that a driver may have or lack. database/sql looks for
// them by type, so a recorded connection has those of its driver and no others.
type (
	execer    struct{ c *conn }
	queryer   struct{ c *conn }
	resetter  struct{ c *conn }
	validator struct{ c *conn }
)

// whole returns c with the optional parts that its driver has.
func (c *conn) whole() driver.Conn {
	e, q, r, v := execer{c}, queryer{c}, resetter{c}, validator{c}
	parts := 0
	switch c.next.(type) {
	case driver.ExecerContext, driver.Execer: //nolint:staticcheck // as database/sql does
		parts |= 1
	}
	switch c.next.(type) {
	case driver.QueryerContext, driver.Queryer: //nolint:staticcheck // as database/sql does
		parts |= 2
	}
	if _, ok := c.next.(driver.SessionResetter); ok {
		parts |= 4
	}
	if _, ok := c.next.(driver.Validator); ok {
		parts |= 8
	}
	return [16]driver.Conn{
		c,
		struct {
			*conn
			execer
		}{c, e},
		struct {
			*conn
			queryer
		}{c, q},
		struct {
			*conn
			execer
			queryer
		}{c, e, q},
		struct {
			*conn
			resetter
		}{c, r},
		struct {
			*conn
			execer
			resetter
		}{c, e, r},
		struct {
			*conn
			queryer
			resetter
		}{c, q, r},
		struct {
			*conn
			execer
			queryer
			resetter
		}{c, e, q, r},
		struct {
			*conn
			validator
		}{c, v},
		struct {
			*conn
			execer
			validator
		}{c, e, v},
		struct {
			*conn
			queryer
			validator
		}{c, q, v},
		struct {
			*conn
			execer
			queryer
			validator
		}{c, e, q, v},
		struct {
			*conn
			resetter
			validator
		}{c, r, v},
		struct {
			*conn
			execer
			resetter
			validator
		}{c, e, r, v},
		struct {
			*conn
			queryer
			resetter
			validator
		}{c, q, r, v},
		struct {
			*conn
			execer
			queryer
			resetter
			validator
		}{c, e, q, r, v},
	}[parts]
}

// ResetSession implements [driver.SessionResetter].
func (r resetter) ResetSession(ctx context.Context) error {
	return r.c.call(func() error { return r.c.next.(driver.SessionResetter).ResetSession(ctx) })
}

// IsValid implements [driver.Validator].
func (v validator) IsValid() (valid bool) {
	_ = v.c.call(func() error { // cut: not valid
		valid = v.c.next.(driver.Validator).IsValid()
		return nil
	})
	return valid
}

// ExecContext implements [driver.ExecerContext].
func (x execer) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return x.c.exec(ctx, query, args, func() (driver.Result, error) {
		if next, ok := x.c.next.(driver.ExecerContext); ok {
			return next.ExecContext(ctx, query, args)
		}
		plain, err := values(ctx, args)
		if err != nil {
			return nil, err
		}
		return x.c.next.(driver.Execer).Exec(query, plain) //nolint:staticcheck // all that this driver has
	})
}

// QueryContext implements [driver.QueryerContext].
func (q queryer) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return q.c.query(ctx, query, args, func() (driver.Rows, error) {
		if next, ok := q.c.next.(driver.QueryerContext); ok {
			return next.QueryContext(ctx, query, args)
		}
		plain, err := values(ctx, args)
		if err != nil {
			return nil, err
		}
		return q.c.next.(driver.Queryer).Query(query, plain) //nolint:staticcheck // all that this driver has
	})
}

// exec records a statement and makes it by do, which calls the driver.
func (c *conn) exec(ctx context.Context, query string, args []driver.NamedValue,
	do func() (driver.Result, error)) (result driver.Result, err error) {
	e := c.statement(ctx, query, arguments(args))
	ctx, end := e.within(ctx)
	defer end()
	err = c.effects.Perform(ctx, []*Effect{e}, func() error {
		return c.call(func() (err error) {
			if result, err = do(); err == nil {
				c.note(e, query, result)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// query records a statement that returns rows. It may change something too: INSERT …
// RETURNING does.
func (c *conn) query(ctx context.Context, query string, args []driver.NamedValue,
	do func() (driver.Rows, error)) (found driver.Rows, err error) {
	e := c.statement(ctx, query, arguments(args))
	ctx, end := e.within(ctx)
	defer end()
	err = c.effects.Perform(ctx, []*Effect{e}, func() error {
		return c.call(func() (err error) {
			if found, err = do(); err == nil {
				c.note(e, query, nil)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return &rows{c, found}, nil
}

// Prepare implements [driver.Conn].
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext implements [driver.ConnPrepareContext] for drivers with and without
// it.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.effects.Alive(ctx); err != nil {
		return nil, err
	}
	var next driver.Stmt
	err := c.call(func() (err error) {
		if p, ok := c.next.(driver.ConnPrepareContext); ok {
			next, err = p.PrepareContext(ctx, query)
			return err
		}
		if next, err = c.next.Prepare(query); err == nil && ctx.Err() != nil {
			return errors.Join(ctx.Err(), next.Close())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s := &stmt{conn: c, next: next, query: query}
	if converter, ok := next.(driver.ColumnConverter); ok { //nolint:staticcheck // as database/sql does
		return struct {
			*stmt
			driver.ColumnConverter //nolint:staticcheck // as database/sql does
		}{s, converter}, nil
	}
	return s, nil
}

// stmt is a recorded statement.
type stmt struct {
	conn  *conn
	next  driver.Stmt
	query string
}

// Close implements [driver.Stmt].
func (s *stmt) Close() error {
	if err := s.conn.call(s.next.Close); !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	return nil // it went with its connection
}

// NumInput implements [driver.Stmt].
func (s *stmt) NumInput() int { return s.next.NumInput() }

// CheckNamedValue implements [driver.NamedValueChecker]: database/sql asks a
// statement first, and its connection if that has no checker.
func (s *stmt) CheckNamedValue(v *driver.NamedValue) error {
	if next, ok := s.next.(driver.NamedValueChecker); ok {
		return next.CheckNamedValue(v)
	}
	return s.conn.CheckNamedValue(v)
}

// Exec implements [driver.Stmt].
func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

// Query implements [driver.Stmt].
func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

// ExecContext implements [driver.StmtExecContext].
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.conn.exec(ctx, s.query, args, func() (driver.Result, error) {
		if next, ok := s.next.(driver.StmtExecContext); ok {
			return next.ExecContext(ctx, args)
		}
		plain, err := values(ctx, args)
		if err != nil {
			return nil, err
		}
		return s.next.Exec(plain) //nolint:staticcheck // all that this driver has
	})
}

// QueryContext implements [driver.StmtQueryContext].
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.query(ctx, s.query, args, func() (driver.Rows, error) {
		if next, ok := s.next.(driver.StmtQueryContext); ok {
			return next.QueryContext(ctx, args)
		}
		plain, err := values(ctx, args)
		if err != nil {
			return nil, err
		}
		return s.next.Query(plain) //nolint:staticcheck // all that this driver has
	})
}

// values are the arguments of a driver that knows no names and no ctx.
func values(ctx context.Context, args []driver.NamedValue) ([]driver.Value, error) {
	plain := make([]driver.Value, len(args))
	for i, a := range args {
		if a.Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		plain[i] = a.Value
	}
	return plain, ctx.Err()
}

func named(args []driver.Value) []driver.NamedValue {
	all := make([]driver.NamedValue, len(args))
	for i, v := range args {
		all[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return all
}
