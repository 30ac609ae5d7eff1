package memsql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// ErrUnique says that a row with that primary key is there.
var ErrUnique = errors.New("memsql: unique constraint violated")

// DB is a database. It is a [driver.Connector].
type DB struct {
	columns map[string][]string
	writer  chan struct{} // holds a token while nothing writes

	mu     sync.Mutex
	tables tables
	opened int // connections
}

// tables are rows by table and primary key. The inner maps are copied on write.
type tables map[string]map[string]row

type row map[string]driver.Value

// New makes a database of tables like "orders (id, cents)".
func New(schema ...string) *DB {
	db := &DB{columns: map[string][]string{}, writer: make(chan struct{}, 1), tables: tables{}}
	db.writer <- struct{}{}
	for _, table := range schema {
		name, list, _ := strings.Cut(strings.TrimSuffix(table, ")"), "(")
		name = strings.TrimSpace(name)
		for column := range strings.SplitSeq(list, ",") {
			db.columns[name] = append(db.columns[name], strings.TrimSpace(column))
		}
		db.tables[name] = map[string]row{}
	}
	return db
}

// Rows are the committed rows of a table as text, sorted.
func (db *DB) Rows(table string) []string {
	db.mu.Lock()
	defer db.mu.Unlock()
	list := []string{}
	for _, r := range db.tables[table] {
		var values []string
		for _, c := range db.columns[table] {
			values = append(values, fmt.Sprintf("%s=%v", c, r[c]))
		}
		list = append(list, strings.Join(values, " "))
	}
	slices.Sort(list)
	return list
}

// Open is the number of open connections.
func (db *DB) Open() int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.opened
}

// Connect implements [driver.Connector].
func (db *DB) Connect(context.Context) (driver.Conn, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.opened++
	return &Conn{db: db}, nil
}

// Driver implements [driver.Connector].
func (db *DB) Driver() driver.Driver { return opener{db} }

type opener struct{ db *DB }

func (o opener) Open(string) (driver.Conn, error) { return o.db.Connect(context.Background()) }

// Conn is a connection. It has all the optional parts that database/sql knows of a
// connection, but for named values.
type Conn struct {
	db     *DB
	tx     *tx
	closed bool
}

// tx is an open transaction.
type tx struct {
	conn   *Conn
	writes tables // nil until it writes
}

// Close implements [driver.Conn].
func (c *Conn) Close() error {
	if c.closed {
		return driver.ErrBadConn
	}
	c.closed = true
	if c.tx != nil {
		_ = c.tx.Rollback() // it cannot fail
	}
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.db.opened--
	return nil
}

// Begin implements [driver.Conn].
func (c *Conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx implements [driver.ConnBeginTx].
func (c *Conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	if c.closed || c.tx != nil {
		return nil, driver.ErrBadConn
	}
	c.tx = &tx{conn: c}
	return c.tx, nil
}

// Ping implements [driver.Pinger].
func (c *Conn) Ping(context.Context) error { return nil }

// ResetSession implements [driver.SessionResetter].
func (c *Conn) ResetSession(context.Context) error { return nil }

// IsValid implements [driver.Validator].
func (c *Conn) IsValid() bool { return !c.closed }

// Commit implements [driver.Tx].
func (t *tx) Commit() error {
	if t.writes != nil {
		t.conn.db.mu.Lock()
		t.conn.db.tables = t.writes
		t.conn.db.mu.Unlock()
	}
	return t.Rollback()
}

// Rollback implements [driver.Tx].
func (t *tx) Rollback() error {
	t.conn.tx = nil
	if t.writes != nil {
		t.writes = nil
		t.conn.db.writer <- struct{}{}
	}
	return nil
}

// see returns the tables that the connection sees.
func (c *Conn) see() tables {
	if c.tx != nil && c.tx.writes != nil {
		return c.tx.writes
	}
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	return c.db.tables
}

// write changes the tables by f, in the open transaction or in one of its own.
func (c *Conn) write(ctx context.Context, table string, f func(map[string]row) (int64, error)) (int64, error) {
	own := c.tx == nil
	if own {
		c.tx = &tx{conn: c}
	}
	if c.tx.writes == nil {
		select {
		case <-c.db.writer:
		case <-ctx.Done():
			if own {
				c.tx = nil
			}
			return 0, ctx.Err()
		}
		c.tx.writes = maps.Clone(c.see())
	}
	rows := maps.Clone(c.tx.writes[table])
	n, err := f(rows)
	if err == nil {
		c.tx.writes[table] = rows
	}
	if !own {
		return n, err
	}
	if err != nil {
		return 0, errors.Join(err, c.tx.Rollback())
	}
	return n, c.tx.Commit()
}
