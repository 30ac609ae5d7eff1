package outbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// row is one row of the outbox.
type row struct {
	id                               int64
	execID, task, pool, key, message string
	tries                            int
	due                              bool // of rows that follow another one of their key

	verdict verdict
	err     error // of the send
}

func (r *row) fields() []any {
	return []any{&r.id, &r.execID, &r.task, &r.pool, &r.key, &r.message, &r.tries}
}

// executor is a transaction, or the pool of a SQLite database.
type executor interface {
	Execer
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// pass takes rows, sends them, and deletes what the queue has acknowledged. more
// reports whether there may be more rows at once. PostgreSQL and MySQL lock the rows for
// the time of the pass: if the process dies others may have them at once, and no clock
// counts. SQLite would lock the database, so there the send is outside a transaction,
// and one relay alone sends.
func (r *Relay) pass(ctx context.Context) (more bool, err error) {
	r.stats.passes.Add(1)
	if r.box.dialect == SQLite { // no connection is held for the send: the pool may have one alone
		rows, more, err := r.round(ctx, r.box.db)
		if err != nil || len(rows) == 0 {
			return false, err
		}
		return more, r.inTx(ctx, r.box.db, nil, func(_ context.Context, tx *sql.Tx) ([]*row, error) {
			return rows, r.settle(ctx, tx, rows)
		})
	}
	conn, err := r.box.db.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	defer func() {
		if err != nil { // it may be broken, or of a server that is read-only now
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		_ = conn.Close()
	}()
	// READ COMMITTED: MySQL's default would lock the gaps that others insert into.
	opts := &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	err = r.inTx(ctx, conn, opts, func(ctx context.Context, tx *sql.Tx) ([]*row, error) {
		rows, full, err := r.round(ctx, tx)
		if err != nil || len(rows) == 0 {
			return nil, err
		}
		more = full
		return rows, r.settle(ctx, tx, rows)
	})
	return more && err == nil, err
}

type beginner interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// inTx runs f in a transaction. It returns the rows that it has settled.
func (r *Relay) inTx(
	ctx context.Context, on beginner, opts *sql.TxOptions, f func(context.Context, *sql.Tx) ([]*row, error),
) error {
	ctx, cancel := context.WithTimeout(ctx, r.settings.SendTimeout+databaseTimeout)
	defer cancel()
	tx, err := on.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if r.box.dialect == PostgreSQL {
		// The rows of a machine that is gone are free after this time, not after TCP's.
		idle := fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d",
			(r.settings.SendTimeout + databaseTimeout).Milliseconds())
		if _, err := tx.ExecContext(ctx, idle); err != nil {
			return err
		}
	}
	rows, err := f(ctx, tx)
	if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for _, s := range rows {
		delete(r.unsure, s.execID)
	}
	return nil
}

// databaseTimeout bounds the statements of a pass together.
const databaseTimeout = 15 * time.Second

// round takes rows and sends them.
func (r *Relay) round(ctx context.Context, tx executor) (rows []*row, more bool, err error) {
	rows, full, err := r.claim(ctx, tx)
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	followers, err := r.followers(ctx, tx, rows)
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.settings.SendTimeout)
	defer cancel()
	all := rows
	r.send(ctx, rows)
	// The next row of a key is sent when the one before it has an end. A request has one
	// row of each key, so a refusal of one entry does not let a later one pass it.
	for next := following(rows, followers); len(next) > 0; next = following(next, followers) {
		r.send(ctx, next)
		all = append(all, next...)
	}
	r.judge(all)
	return all, full, nil
}

// claim takes the rows of a pass. full reports whether there may be more.
func (r *Relay) claim(ctx context.Context, tx executor) (rows []*row, full bool, err error) {
	found, err := tx.QueryContext(ctx, r.box.sql.claim(r.settings.Batch), r.paused.text(time.Now()))
	if err != nil {
		return nil, false, fmt.Errorf("take rows: %w", err)
	}
	defer func() { _ = found.Close() }()
	bytes := 0
	for found.Next() {
		next := &row{due: true}
		if err := found.Scan(next.fields()...); err != nil {
			return nil, false, fmt.Errorf("take rows: %w", err)
		}
		if bytes += len(next.message); bytes > r.settings.Bytes && len(rows) > 0 {
			return rows, true, nil // the lock of the rest ends with the transaction
		}
		rows = append(rows, next)
	}
	return rows, len(rows) == r.settings.Batch, found.Err()
}

// maxFollowers is how many rows of one key a pass sends after the first.
const maxFollowers = 9

// followers returns the later rows of the order keys of rows, and takes those from rows
// that turn out not to be the first of their key: it does so by a read that sees what
// others have locked.
func (r *Relay) followers(ctx context.Context, tx executor, rows []*row) (map[string][]*row, error) {
	firsts := map[string]*row{}
	var ids []int64
	for _, f := range rows {
		if f.key != "" {
			firsts[f.key], ids = f, append(ids, f.id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := tx.QueryContext(ctx, r.box.sql.keyed(ids, len(ids)*(1+maxFollowers)))
	if err != nil {
		return nil, fmt.Errorf("read the order: %w", err)
	}
	defer func() { _ = found.Close() }()
	after := map[string][]*row{}
	seen, closed, bytes := map[string]bool{}, map[string]bool{}, 0
	for found.Next() {
		next := &row{}
		if err := found.Scan(append(next.fields(), &next.due)...); err != nil {
			return nil, fmt.Errorf("read the order: %w", err)
		}
		first := firsts[next.key]
		switch {
		case first == nil || closed[next.key]:
		case !seen[next.key]:
			seen[next.key] = true
			if closed[next.key] = next.id != first.id; closed[next.key] {
				first.due = false // an earlier one is there
			}
		case !next.due || len(after[next.key]) == maxFollowers || bytes+len(next.message) > r.settings.Bytes:
			closed[next.key] = true
		default:
			bytes += len(next.message)
			after[next.key] = append(after[next.key], next)
		}
	}
	for _, f := range firsts {
		f.due = f.due && seen[f.key] // else the limit has cut it off
	}
	return after, found.Err()
}

// following takes from followers the next row of each key, after a row that was sent.
func following(before []*row, followers map[string][]*row) (next []*row) {
	for _, b := range before {
		if list := followers[b.key]; b.key != "" && b.due && b.err == nil && len(list) > 0 {
			next = append(next, list[0])
			followers[b.key] = list[1:]
		}
	}
	return next
}

// send sends rows, and sets their err.
func (r *Relay) send(ctx context.Context, rows []*row) {
	var outs []task.Outgoing
	var sending []*row
	for _, s := range rows {
		if !s.due || r.unsure[s.execID] {
			continue
		}
		out, err := s.read()
		if err != nil {
			s.err, s.verdict = err, aside
			continue
		}
		if out.Pool == "" {
			out.Pool = r.own
		}
		if isFIFO(out.Pool) && out.DedupID == "" {
			out.DedupID = out.ExecID // a row that is sent twice within five minutes is one message
		}
		outs, sending = append(outs, out), append(sending, s)
	}
	if len(outs) == 0 {
		return
	}
	spans := r.spans(ctx, outs)
	results, _ := r.sender.SendMany(ctx, outs) // each result has its error
	for i, result := range results {
		sending[i].err = result.Err
		if spans != nil {
			poller.EndSpan(spans[i], result.Err)
		}
	}
}

// spans begins a span for each message; nil without tracing.
func (r *Relay) spans(ctx context.Context, outs []task.Outgoing) (spans []trace.Span) {
	if r.tracer == nil {
		return nil
	}
	for i := range outs {
		of := trace.ContextWithRemoteSpanContext(ctx, task.TraceOf(outs[i].Attributes, outs[i].TraceHeader))
		_, span := poller.StartSpan(of, r.tracer, poller.OpSend, outs[i].Pool, outs[i].Pool)
		spans = append(spans, span)
	}
	return spans
}

// maxUnsure bounds the rows that are remembered after commits that failed.
const maxUnsure = 10_000

// judge sets the verdict of each row, and pauses the pools that took nothing.
func (r *Relay) judge(rows []*row) {
	took, refused := map[string]bool{}, map[string]error{}
	for _, j := range rows {
		if j.due && j.err == nil {
			took[j.pool] = true
		}
	}
	for _, j := range rows {
		switch {
		case !j.due:
		case j.verdict == aside: // unreadable
		default:
			j.verdict = judge(j.err, took[j.pool], j.tries, r.settings.MaxTries)
		}
		if j.verdict == stays && j.due {
			refused[j.pool] = j.err
		}
		if j.verdict == sent {
			if len(r.unsure) >= maxUnsure {
				clear(r.unsure)
			}
			r.unsure[j.execID] = true // until the commit
		}
	}
	now := time.Now()
	for pool := range took {
		if r.paused.worked(pool) {
			r.log.Info("a pool of the outbox is back", "pool", pool)
		}
	}
	for pool, err := range refused {
		if !took[pool] && !errors.Is(err, poller.ErrSenderClosed) && r.paused.fail(pool, now, r.random) {
			r.log.Error("a pool of the outbox is away: its rows wait in the table", "pool", pool, "error", err)
		}
	}
	if len(took)+len(refused) > 0 {
		r.stats.setAway(slices.Sorted(maps.Keys(r.paused)))
	}
}

// settle writes down what became of rows.
func (r *Relay) settle(ctx context.Context, tx *sql.Tx, rows []*row) error {
	var gone []int64
	for _, s := range rows {
		switch s.verdict {
		case sent:
			gone = append(gone, s.id)
		case failed:
			if _, err := tx.ExecContext(ctx, r.box.sql.postpone(s.id, retryWait(s.tries+1))); err != nil {
				return fmt.Errorf("postpone a row: %w", err)
			}
			r.stats.failed.Add(1)
		case aside:
			reason := clipReason(s.err)
			if _, err := tx.ExecContext(ctx, fmt.Sprintf(r.box.sql.putAside, s.id), reason); err != nil {
				return fmt.Errorf("set a row aside: %w", err)
			}
			gone = append(gone, s.id)
			r.stats.aside.Add(1)
			r.log.Error("a task of the outbox was set aside: no queue takes it", "task", s.task, "exec_id", s.execID,
				"pool", s.pool, "row", s.id, "error", s.err)
		}
	}
	if len(gone) > 0 {
		if _, err := tx.ExecContext(ctx, r.box.sql.remove(gone)); err != nil {
			return fmt.Errorf("delete rows: %w", err)
		}
		for _, s := range rows {
			if s.verdict == sent {
				r.stats.sent.Add(1)
			}
		}
	}
	return nil
}
