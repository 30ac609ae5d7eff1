// Package memsql is a database in memory behind database/sql, for the tests of
// chassistest and of its recorders. It is small on purpose: tables with a primary key,
// the statements that a test needs, and real transactions.
//
//	db := memsql.New("orders (id, cents)")
//	pool := sql.OpenDB(db)
//
// It knows these statements, with arguments or literals as values:
//
//	INSERT INTO t (a, b) VALUES (?, 'text') [ON CONFLICT DO NOTHING]
//	UPDATE t SET a = ?, b = b + ? WHERE id = ?
//	DELETE FROM t WHERE id = ?
//	SELECT a, b FROM t [WHERE id = ?]      COUNT(*) is a column, too
//
// The first column of a table is its primary key. A transaction sees its own changes and
// what was committed before it wrote; one writes at a time, and others wait for it until
// their ctx ends.
//
// # Goroutines
//
// A [DB] may be used from several goroutines; [DB.Rows] shows what is committed.
package memsql
