package outbox

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Dialect is the SQL that a database speaks.
type Dialect int

// The dialects.
const (
	PostgreSQL Dialect = iota + 1 // PostgreSQL 11 and later
	MySQL                         // MySQL 8.0.1, MariaDB 10.6, and later
	SQLite                        // SQLite 3.35 and later; one relay sends
)

func (d Dialect) valid() bool { return d >= PostgreSQL && d <= SQLite }

// String returns the name, which is that of the folder of migrations.
func (d Dialect) String() string {
	switch d {
	case PostgreSQL:
		return "postgresql"
	case MySQL:
		return "mysql"
	case SQLite:
		return "sqlite"
	}
	return "dialect " + strconv.Itoa(int(d))
}

// statements are the texts of one box. Numbers stand in the text: a statement without
// arguments needs no prepared statement, which poolers like PgBouncer may not keep.
type statements struct {
	dialect Dialect
	table   string

	lockKey  string // before an ordered insert: key; empty: the insert does it
	insert   string // exec_id, task, pool, message
	ordered  string // exec_id, task, pool, order key, message
	done     string // task, exec_id, part
	putAside string // reason; %d: id
	depth    string

	step       string // task, exec_id, lane, number, name
	stepDone   string // task, exec_id, lane, number: name and result
	stepResult string // result, task, exec_id, lane, number

	uniqueHolder string // name: exec_id
	free         string // name
	release      string // name, exec_id
}

func newStatements(d Dialect, table string) *statements {
	s := &statements{dialect: d, table: table}
	channel := Channel(table)
	switch d {
	case PostgreSQL:
		// The lock and the notification are in the statement: one round trip. A row gets its
		// id after the lock.
		s.insert = "INSERT INTO " + table + " (exec_id, task, pool, message) " +
			"SELECT $1::text, $2::text, $3::text, $4::text FROM pg_notify('" + channel + "', '')"
		s.ordered = "INSERT INTO " + table + " (exec_id, task, pool, order_key, message) " +
			"SELECT $1::text, $2::text, $3::text, $4::text, $5::text FROM " +
			"(SELECT pg_advisory_xact_lock(hashtextextended('" + table + " ' || $4::text, 0)) OFFSET 0) l, " +
			"pg_notify('" + channel + "', '')"
		s.done = "INSERT INTO " + table + "_done (task, exec_id, part) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
		s.putAside = "INSERT INTO " + table +
			"_aside (id, exec_id, task, pool, order_key, message, tries, created, reason) " +
			"SELECT id, exec_id, task, pool, order_key, message, tries, created, $1::text FROM " + table +
			" WHERE id = %d ON CONFLICT DO NOTHING"
		s.depth = "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created)), 0)::float8, " +
			"(SELECT count(*) FROM " + table + "_aside) FROM " + table
	case MySQL:
		s.lockKey = "INSERT INTO " + table + "_slots (slot) VALUES (CRC32(?) % 1024) " +
			"ON DUPLICATE KEY UPDATE slot = slot"
		s.insert = "INSERT INTO " + table + " (exec_id, task, pool, message, created) " +
			"VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6))"
		s.ordered = "INSERT INTO " + table + " (exec_id, task, pool, order_key, message, created) " +
			"VALUES (?, ?, ?, ?, ?, UTC_TIMESTAMP(6))"
		// A second insert changes the row, so that it counts as two also with clientFoundRows.
		s.done = "INSERT INTO " + table + "_done (task, exec_id, part, done) VALUES (?, ?, ?, UTC_TIMESTAMP(6)) " +
			"ON DUPLICATE KEY UPDATE again = again + 1"
		s.putAside = "INSERT INTO " + table + "_aside (id, exec_id, task, pool, order_key, message, tries, created, " +
			"reason, since) SELECT id, exec_id, task, pool, order_key, message, tries, created, ?, UTC_TIMESTAMP(6) " +
			"FROM " + table + " WHERE id = %d ON DUPLICATE KEY UPDATE since = since"
		s.depth = "SELECT COUNT(*), " +
			"COALESCE(TIMESTAMPDIFF(MICROSECOND, MIN(created), UTC_TIMESTAMP(6)), 0) / 1000000.0, " +
			"(SELECT COUNT(*) FROM " + table + "_aside) FROM " + table
	case SQLite:
		s.insert = "INSERT INTO " + table + " (exec_id, task, pool, message) VALUES (?, ?, ?, ?)"
		s.ordered = "INSERT INTO " + table + " (exec_id, task, pool, order_key, message) VALUES (?, ?, ?, ?, ?)"
		s.done = "INSERT INTO " + table + "_done (task, exec_id, part) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
		s.putAside = "INSERT OR IGNORE INTO " + table + "_aside " +
			"(id, exec_id, task, pool, order_key, message, tries, created, reason) " +
			"SELECT id, exec_id, task, pool, order_key, message, tries, created, ? FROM " + table + " WHERE id = %d"
		s.depth = "SELECT count(*), coalesce((julianday('now') - min(created)) * 86400.0, 0.0), " +
			"(SELECT count(*) FROM " + table + "_aside) FROM " + table
	}
	s.steps()
	s.uniques()
	return s
}

// insertMany writes n rows: exec_id, task, pool and message of each.
func (s *statements) insertMany(n int) string {
	rows := func(row string) string { return strings.TrimSuffix(strings.Repeat(row+", ", n), ", ") }
	into := "INSERT INTO " + s.table + " (exec_id, task, pool, message"
	switch s.dialect {
	case PostgreSQL:
		return numbered(into + ") SELECT v.* FROM (VALUES " + rows("(?::text, ?::text, ?::text, ?::text)") +
			") v, pg_notify('" + Channel(s.table) + "', '')")
	case MySQL:
		return into + ", created) VALUES " + rows("(?, ?, ?, ?, UTC_TIMESTAMP(6))")
	default:
		return into + ") VALUES " + rows("(?, ?, ?, ?)")
	}
}

// look returns the number of rows and of those set aside, each up to a bound, and between
// them the age in seconds of the row with the lowest id.
func (s *statements) look() string {
	count := func(table string) string {
		return fmt.Sprintf("(SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %d) n)", table, mostCounted)
	}
	age := "(julianday('now') - created) * 86400.0"
	switch s.dialect {
	case PostgreSQL:
		age = "extract(epoch FROM clock_timestamp() - created)::float8"
	case MySQL:
		age = "TIMESTAMPDIFF(MICROSECOND, created, UTC_TIMESTAMP(6)) / 1000000.0"
	}
	return "SELECT " + count(s.table) + ", coalesce((SELECT " + age + " FROM " + s.table +
		" ORDER BY id LIMIT 1), 0), " + count(s.table+"_aside")
}

// steps writes the statements of Step.
func (s *statements) steps() {
	table := s.table + "_steps"
	s.step = "INSERT INTO " + table + " (task, exec_id, lane, number, name) VALUES (?, ?, ?, ?, ?) " +
		"ON CONFLICT DO NOTHING"
	if s.dialect == MySQL { // as in done
		s.step = "INSERT INTO " + table + " (task, exec_id, lane, number, name, result, done) " +
			"VALUES (?, ?, ?, ?, ?, '', UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE again = again + 1"
	}
	const row = " WHERE task = ? AND exec_id = ? AND lane = ? AND number = ?"
	s.stepDone = "SELECT name, result FROM " + table + row
	s.stepResult = "UPDATE " + table + " SET result = ?" + row
	if s.dialect == PostgreSQL {
		s.step, s.stepDone, s.stepResult = numbered(s.step), numbered(s.stepDone), numbered(s.stepResult)
	}
}

// numbered replaces each ? by $1, $2 and so on.
func numbered(text string) string {
	parts := strings.Split(text, "?")
	for i := range parts[:len(parts)-1] {
		parts[i] += "$" + strconv.Itoa(i+1)
	}
	return strings.Join(parts, "")
}

// Channel returns the name that PostgreSQL's NOTIFY has for a table: its name without
// the schema.
func Channel(table string) string {
	_, name, found := strings.Cut(table, ".")
	if !found {
		return table
	}
	return name
}

// columns are what a relay reads of a row.
const columns = "id, exec_id, task, pool, COALESCE(order_key, ''), message, tries"

func (s *statements) dueNow() string {
	return "(due IS NULL OR due <= " + s.after(0) + ")"
}

// after returns the database's time, d from now. SQLite runs in this process: its text has
// the time of the process, which may be simulated.
func (s *statements) after(d time.Duration) string {
	switch us := d.Microseconds(); s.dialect {
	case PostgreSQL:
		return fmt.Sprintf("clock_timestamp() + interval '%d microseconds'", us)
	case MySQL:
		return fmt.Sprintf("DATE_ADD(UTC_TIMESTAMP(6), INTERVAL %d MICROSECOND)", us)
	default:
		now := time.Now().Add(d)
		return fmt.Sprintf("%.9f", 2440587.5+float64(now.UnixMicro())/86_400_000_000) // the epoch's Julian day
	}
}

// claim takes at most n rows that are due, of other pools than those in its argument:
// names between line feeds. Of an order key only the first row is taken.
func (s *statements) claim(n int) string {
	other := "position(chr(10) || pool || chr(10) IN $1::text) = 0"
	index, lock := "", " FOR UPDATE OF o SKIP LOCKED"
	switch s.dialect {
	case MySQL:
		// It locks what it reads: with a sort that would be all rows.
		index, other = " FORCE INDEX (PRIMARY)", "LOCATE(CONCAT(CHAR(10), pool, CHAR(10)), ?) = 0"
		lock = " FOR UPDATE SKIP LOCKED"
	case SQLite:
		other, lock = "instr(?, char(10) || pool || char(10)) = 0", ""
	}
	return fmt.Sprintf("SELECT "+columns+" FROM %s o%s WHERE %s AND %s AND (order_key IS NULL OR NOT EXISTS "+
		"(SELECT 1 FROM %s e WHERE e.order_key = o.order_key AND e.id < o.id)) ORDER BY id LIMIT %d%s",
		s.table, index, s.dueNow(), other, s.table, n, lock)
}

// keyed reads all rows of the order keys of the rows ids in their order, at most n, and
// whether each is due. It takes no lock: the owner of the first row owns the key.
func (s *statements) keyed(ids []int64, n int) string {
	return fmt.Sprintf("SELECT "+columns+", CASE WHEN %s THEN 1 ELSE 0 END FROM %s WHERE order_key IN "+
		"(SELECT h.order_key FROM %s h WHERE h.id IN (%s)) ORDER BY id LIMIT %d",
		s.dueNow(), s.table, s.table, list(ids, ", "), n)
}

// remove deletes rows. With a list of ids MariaDB scans the whole table, and then waits
// for each row that a transaction of others has not committed. So it gets a join.
func (s *statements) remove(ids []int64) string {
	if s.dialect == MySQL {
		return fmt.Sprintf("DELETE o FROM (SELECT %s) v STRAIGHT_JOIN %s o ON o.id = v.id",
			list(ids, " AS id UNION ALL SELECT ")+" AS id", s.table)
	}
	return fmt.Sprintf("DELETE FROM %s WHERE id IN (%s)", s.table, list(ids, ", "))
}

// postpone counts a failed try of a row.
func (s *statements) postpone(id int64, d time.Duration) string {
	return fmt.Sprintf("UPDATE %s SET tries = tries + 1, due = %s WHERE id = %d", s.table, s.after(d), id)
}

// sweeps deletes at most n each of the oldest notes of Once, and of the results of Step,
// that are older than d, and of keys that are free.
func (s *statements) sweeps(d time.Duration, n int) []string {
	return []string{
		s.sweep("_done", "exec_id, task, part", "done", d, n),
		s.sweep("_steps", "exec_id, task, lane, number", "done", d, n),
		s.sweep("_unique", "name", "ends", time.Minute, n),
	}
}

func (s *statements) sweep(suffix, key, at string, d time.Duration, n int) string {
	table, old := s.table+suffix, fmt.Sprintf("%[1]s < %[2]s ORDER BY %[1]s LIMIT %[3]d", at, s.after(-d), n)
	switch s.dialect {
	case PostgreSQL:
		return fmt.Sprintf("DELETE FROM %[1]s WHERE ctid = ANY(ARRAY(SELECT ctid FROM %[1]s WHERE %[2]s "+
			"FOR UPDATE SKIP LOCKED))", table, old)
	case MySQL:
		return fmt.Sprintf("DELETE FROM %s WHERE %s", table, old)
	default:
		return fmt.Sprintf("DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s)", table, key, old)
	}
}

// lead makes owner the relay of a SQLite database for d, unless another one is. It
// changes a row if it is.
func (s *statements) lead(d time.Duration) string {
	return fmt.Sprintf("INSERT INTO %[1]s_relay (one, owner, until) VALUES (1, ?, %[2]s) ON CONFLICT (one) DO UPDATE "+
		"SET owner = excluded.owner, until = excluded.until WHERE owner = excluded.owner OR until < %[3]s",
		s.table, s.after(d), s.after(0))
}

func list(ids []int64, between string) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(strconv.FormatInt(id, 10))
	}
	return b.String()
}
