package effects_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/sambatech/chassis/chassistest/effects"
	"github.com/sambatech/chassis/chassistest/internal/memsql"
)

// plainConn has nothing but what a driver must have.
type plainConn struct{ next *memsql.Conn }

func (c plainConn) Prepare(query string) (driver.Stmt, error) { return c.next.Prepare(query) }
func (c plainConn) Close() error                              { return c.next.Close() }
func (c plainConn) Begin() (driver.Tx, error)                 { return c.next.Begin() }

// Its optional parts, one by one.
type (
	withExec  struct{ next *memsql.Conn }
	withQuery struct{ next *memsql.Conn }
	withReset struct{ next *memsql.Conn }
	withValid struct{ next *memsql.Conn }
	skipping  struct{ plainConn }
	checking  struct{ plainConn }
)

func (c withExec) ExecContext(ctx context.Context, q string, a []driver.NamedValue) (driver.Result, error) {
	return c.next.ExecContext(ctx, q, a)
}

func (c withQuery) QueryContext(ctx context.Context, q string, a []driver.NamedValue) (driver.Rows, error) {
	return c.next.QueryContext(ctx, q, a)
}
func (c withReset) ResetSession(ctx context.Context) error { return c.next.ResetSession(ctx) }
func (c withValid) IsValid() bool                          { return c.next.IsValid() }

// skipping leaves all statements to Prepare, as drivers do that do not put arguments in.
func (skipping) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return nil, driver.ErrSkip
}

func (skipping) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return nil, driver.ErrSkip
}

type money struct{ cents int64 }

// checking takes a type of its own.
func (checking) CheckNamedValue(v *driver.NamedValue) error {
	if m, ok := v.Value.(money); ok {
		v.Value = m.cents
		return nil
	}
	return driver.ErrSkip
}

// variants are connections of one database with more and less optional parts.
var variants = map[string]func(*memsql.Conn) driver.Conn{
	"all":   func(c *memsql.Conn) driver.Conn { return c },
	"least": func(c *memsql.Conn) driver.Conn { return plainConn{c} },
	"exec": func(c *memsql.Conn) driver.Conn {
		return struct {
			plainConn
			withExec
		}{plainConn{c}, withExec{c}}
	},
	"query, reset": func(c *memsql.Conn) driver.Conn {
		return struct {
			plainConn
			withQuery
			withReset
		}{plainConn{c}, withQuery{c}, withReset{c}}
	},
	"valid": func(c *memsql.Conn) driver.Conn {
		return struct {
			plainConn
			withValid
		}{plainConn{c}, withValid{c}}
	},
	"skips": func(c *memsql.Conn) driver.Conn { return skipping{plainConn{c}} },
}

type variant struct {
	*memsql.DB
	make func(*memsql.Conn) driver.Conn
}

func (v variant) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := v.DB.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return v.make(c.(*memsql.Conn)), nil
}

func recorder() (*effects.Recorder, *effects.Log, chan struct{}) {
	log, over := &effects.Log{}, make(chan struct{})
	return effects.New(log, effects.Open{}, 1, over), log, over
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStatementsAreRecordedWhateverADriverHas(t *testing.T) {
	for name, make := range variants {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			f, log, _ := recorder()
			store := memsql.New("t (id, n)")
			db := f.DB(variant{store, make})
			_, err := db.ExecContext(ctx, "INSERT INTO t (id, n) VALUES (?, 1)", "a")
			must(t, err)
			tx, err := db.BeginTx(ctx, nil)
			must(t, err)
			_, err = tx.ExecContext(ctx, "UPDATE t SET n = n + ? WHERE id = ?", 4, "a")
			must(t, err)
			must(t, tx.Commit())
			tx, err = db.BeginTx(ctx, nil)
			must(t, err)
			_, err = tx.ExecContext(ctx, "DELETE FROM t WHERE id = 'a'")
			must(t, err)
			must(t, tx.Rollback())
			var n int
			must(t, db.QueryRowContext(ctx, "SELECT n FROM t WHERE id = ?", "a").Scan(&n))
			if n != 5 {
				t.Errorf("n is %d", n)
			}
			var got []string
			for _, e := range log.List() {
				got = append(got, fmt.Sprint(e.Name, e.Detail, " ", e.Changed, e.Undone))
			}
			want := []string{"INSERT INTO t (id, n) VALUES (?, 1)[\"a\"] 1 false", "BEGIN -1 false",
				"UPDATE t SET n = n + ? WHERE id = ?[4 \"a\"] 1 false", "COMMIT 0 false", "BEGIN -1 false",
				"DELETE FROM t WHERE id = 'a' 1 true", "ROLLBACK 0 false", "SELECT n FROM t WHERE id = ?[\"a\"] -1 false"}
			if !slices.Equal(got, want) {
				t.Errorf("recorded\n%q, want\n%q", got, want)
			}
			f.End()
			if n := store.Open(); n != 0 {
				t.Errorf("%d connections are open after the end", n)
			}
		})
	}
}

// database/sql looks at what a connection has: a recorded one must have the same.
func TestOptionalPartsAreThoseOfTheDriver(t *testing.T) {
	for name, make := range variants {
		f, _, _ := recorder()
		store := memsql.New("t (id)")
		c, err := store.Connect(t.Context())
		must(t, err)
		plain := make(c.(*memsql.Conn))
		db := f.DB(variant{store, make})
		conn, err := db.Conn(t.Context())
		must(t, err)
		must(t, conn.Raw(func(recorded any) error {
			for part, has := range map[string]func(any) bool{
				"exec":  func(c any) bool { _, ok := c.(driver.ExecerContext); return ok },
				"query": func(c any) bool { _, ok := c.(driver.QueryerContext); return ok },
				"reset": func(c any) bool { _, ok := c.(driver.SessionResetter); return ok },
				"valid": func(c any) bool { _, ok := c.(driver.Validator); return ok },
			} {
				if has(recorded) != has(plain) {
					t.Errorf("%s: the recorded connection has %q: %v, the driver's: %v", name, part, has(recorded), has(plain))
				}
			}
			return nil
		}))
		must(t, conn.Close())
		f.End()
	}
}

func TestAValueThatOnlyItsDriverKnows(t *testing.T) {
	f, _, _ := recorder()
	store := memsql.New("t (id, n)")
	db := f.DB(variant{store, func(c *memsql.Conn) driver.Conn { return checking{plainConn{c}} }})
	defer f.End()
	_, err := db.ExecContext(t.Context(), "INSERT INTO t (id, n) VALUES ('a', ?)", money{7})
	must(t, err)
	if got := store.Rows("t"); !slices.Equal(got, []string{"id=a n=7"}) {
		t.Errorf("stored %q", got)
	}
	if _, err = db.ExecContext(t.Context(), "INSERT INTO t (id, n) VALUES ('b', ?)", struct{}{}); err == nil {
		t.Error("a value that nothing knows was taken")
	}
}

func TestADeathRollsBackAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log, over := recorder()
		store := memsql.New("t (id)")
		db := f.DB(store)
		tx, err := db.BeginTx(t.Context(), nil)
		must(t, err)
		_, err = tx.ExecContext(t.Context(), "INSERT INTO t (id) VALUES (1)")
		must(t, err)
		f.Die()
		if n := store.Open(); n != 0 {
			t.Errorf("%d connections are open after the death", n)
		}
		returned := make(chan error)
		go func() { returned <- tx.Commit() }()
		synctest.Wait()
		select {
		case err := <-returned:
			t.Errorf("the commit of a dead process has returned: %v", err)
		default:
		}
		other := effects.New(log, effects.Open{}, 2, over) // nothing is locked
		_, err = other.DB(store).ExecContext(t.Context(), "INSERT INTO t (id) VALUES (2)")
		must(t, err)
		close(over)
		if err := <-returned; !errors.Is(err, effects.ErrDied) {
			t.Errorf("the commit returned %v", err)
		}
		if got := store.Rows("t"); !slices.Equal(got, []string{"id=2"}) {
			t.Errorf("stored %q", got)
		}
		f.End()
		other.End()
	})
}

// A death waited for a statement that waited for another transaction of the dead
// process, whose connection was to be cut after it.
func TestADeathCutsConnectionsThatWaitForEachOther(t *testing.T) {
	for range 20 { // the order of the connections is that of a map
		synctest.Test(t, func(t *testing.T) {
			f, _, over := recorder()
			db := f.DB(memsql.New("t (id)"))
			tx, err := db.BeginTx(t.Context(), nil)
			must(t, err)
			_, err = tx.ExecContext(t.Context(), "INSERT INTO t (id) VALUES (1)")
			must(t, err)
			returned := make(chan error)
			go func() {
				_, err := db.ExecContext(t.Context(), "INSERT INTO t (id) VALUES (2)")
				returned <- err
			}()
			synctest.Wait() // it waits for the transaction
			f.Die()
			close(over)
			if err := <-returned; !errors.Is(err, effects.ErrDied) {
				t.Errorf("the statement of a dead process returned %v", err)
			}
			f.End()
		})
	}
}

func TestATransactionByStatements(t *testing.T) {
	f, log, _ := recorder()
	db := f.DB(statements{memsql.New("t (id)")})
	defer f.End()
	conn, err := db.Conn(t.Context())
	must(t, err)
	for _, q := range []string{"BEGIN IMMEDIATE", "INSERT INTO t (id) VALUES (1)", "ROLLBACK", "begin", "INSERT INTO t (id) VALUES (2)", "commit"} {
		_, err := conn.ExecContext(t.Context(), q)
		must(t, err)
	}
	must(t, conn.Close())
	all := log.List()
	if !all[1].Undone || all[4].Undone {
		t.Errorf("undone: %v, %v", all[1].Undone, all[4].Undone)
	}
}

// statements takes transactions as statements, as SQLite does.
type statements struct{ *memsql.DB }

func (s statements) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := s.DB.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &statementConn{Conn: c.(*memsql.Conn)}, nil
}

type statementConn struct {
	*memsql.Conn
	tx driver.Tx
}

func (c *statementConn) ExecContext(ctx context.Context, q string, a []driver.NamedValue) (_ driver.Result, err error) {
	switch q {
	case "BEGIN IMMEDIATE", "begin":
		c.tx, err = c.Conn.Begin()
	case "ROLLBACK":
		err = c.tx.Rollback()
	case "commit":
		err = c.tx.Commit()
	default:
		return c.Conn.ExecContext(ctx, q, a)
	}
	return driver.RowsAffected(0), err
}

func TestOpenDB(t *testing.T) {
	store := memsql.New("t (id)")
	sql.Register("effects-test", store.Driver())
	f, log, _ := recorder()
	db, err := f.OpenDB("effects-test", "any")
	must(t, err)
	_, err = db.ExecContext(t.Context(), "INSERT INTO t (id) VALUES (1)")
	must(t, err)
	f.End()
	if len(log.List()) != 1 || len(store.Rows("t")) != 1 {
		t.Errorf("recorded %v, stored %v", log.List(), store.Rows("t"))
	}
	if _, err := f.OpenDB("no such driver", ""); err == nil {
		t.Error("a driver that is not registered was opened")
	}
}
