package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/sambatech/chassis/task"
)

// DefaultTable is the name of the table of rows; the other tables have it as their prefix.
const DefaultTable = "chassis_outbox"

// Box is the outbox of one database. Make it with [New].
type Box struct {
	db      *sql.DB
	dialect Dialect
	table   string
	pool    string
	sealer  task.Sealer
	sql     *statements

	wake     chan struct{} // has one value if a local commit may have left rows
	repeated atomic.Int64
	attempts sync.Map // onceKey: the parts that an attempt has done, until its Info is collected
}

// onceKey is one part of one attempt. It does not keep the attempt in memory.
type onceKey struct {
	job  weak.Pointer[task.Info]
	part string
}

// Option changes a [Box].
type Option func(*Box)

// Table names the table of rows, with a schema if wanted: "billing.outbox". Services
// that share a database need a table each. The default is [DefaultTable], found by the
// connection's search path.
func Table(name string) Option { return func(b *Box) { b.table = name } }

// Pool names the pool of tasks that name none, neither in their definition nor at
// [Send]. The default is the pool of the service that relays the row.
func Pool(name string) Option { return func(b *Box) { b.pool = name } }

// SealedBy makes the envelopes of the arguments that [Send] writes, so that the table has
// none as plain text: an *envelope.Envelope, the one that the service is made with. Without
// it a task with an envelope is an error.
func SealedBy(s task.Sealer) Option { return func(b *Box) { b.sealer = s } }

// maxTable leaves room for the longest suffix within PostgreSQL's 63 bytes.
const maxTable = 40

var tableName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// New returns the outbox of a database. It does not connect.
func New(db *sql.DB, dialect Dialect, opts ...Option) (*Box, error) {
	b := &Box{db: db, dialect: dialect, table: DefaultTable, wake: make(chan struct{}, 1)}
	for _, opt := range opts {
		opt(b)
	}
	switch {
	case db == nil:
		return nil, errors.New("outbox: the database is nil")
	case !dialect.valid():
		return nil, fmt.Errorf("outbox: there is no dialect %d: choose PostgreSQL, MySQL or SQLite", dialect)
	case !tableName.MatchString(b.table) || len(b.table) > maxTable:
		return nil, fmt.Errorf("outbox: Table(%q): a name is at most %d lower-case letters, digits and _, "+
			"with at most one schema before a dot", b.table, maxTable)
	}
	if b.pool != "" {
		if err := checkPool(b.pool); err != nil {
			return nil, fmt.Errorf("outbox: Pool(%q): %w", b.pool, err)
		}
	}
	b.sql = newStatements(dialect, b.table)
	return b, nil
}

// Wake lets the relays of this process look for rows now. Call it after a commit where
// there is no LISTEN, so that the row does not wait for the next poll. It never blocks.
func (b *Box) Wake() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Repeated returns how often [Box.Once] has found in this process that a task was done.
func (b *Box) Repeated() int64 { return b.repeated.Load() }

// Depth is what waits in an outbox.
type Depth struct {
	Rows   int64
	Oldest time.Duration // age of the oldest row; 0 without one
	Aside  int64         // rows that no queue takes
}

// Depth counts the rows. With many rows it is a slow question: ask it once a minute.
func (b *Box) Depth(ctx context.Context) (Depth, error) {
	var d Depth
	var oldest float64
	if err := b.db.QueryRowContext(ctx, b.sql.depth).Scan(&d.Rows, &oldest, &d.Aside); err != nil {
		return d, fmt.Errorf("outbox: count the rows of %s: %w", b.table, err)
	}
	d.Oldest = max(time.Duration(oldest*float64(time.Second)), 0)
	return d, nil
}
