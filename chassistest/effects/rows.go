package effects

import (
	"database/sql/driver"
	"io"
	"reflect"
)

// rows are read under the lock of their connection. Where a driver lacks an optional
// part, the answer is what database/sql takes in its place.
type rows struct {
	conn *conn
	next driver.Rows
}

// Columns implements [driver.Rows].
func (r *rows) Columns() (names []string) {
	_ = r.conn.call(func() error { names = r.next.Columns(); return nil }) // none of a connection that was cut
	return names
}

// Close implements [driver.Rows].
func (r *rows) Close() error {
	if err := r.conn.call(r.next.Close); err != driver.ErrBadConn {
		return err
	}
	return nil // they went with their connection
}

// Next implements [driver.Rows].
func (r *rows) Next(dest []driver.Value) error {
	return r.conn.call(func() error { return r.next.Next(dest) })
}

// HasNextResultSet implements [driver.RowsNextResultSet].
func (r *rows) HasNextResultSet() bool {
	next, ok := r.next.(driver.RowsNextResultSet)
	return ok && next.HasNextResultSet()
}

// NextResultSet implements [driver.RowsNextResultSet].
func (r *rows) NextResultSet() error {
	if next, ok := r.next.(driver.RowsNextResultSet); ok {
		return r.conn.call(next.NextResultSet)
	}
	return io.EOF
}

// ColumnTypeScanType implements [driver.RowsColumnTypeScanType].
func (r *rows) ColumnTypeScanType(i int) reflect.Type {
	if next, ok := r.next.(driver.RowsColumnTypeScanType); ok {
		return next.ColumnTypeScanType(i)
	}
	return reflect.TypeFor[any]()
}

// ColumnTypeDatabaseTypeName implements [driver.RowsColumnTypeDatabaseTypeName].
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	if next, ok := r.next.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return next.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

// ColumnTypeLength implements [driver.RowsColumnTypeLength].
func (r *rows) ColumnTypeLength(i int) (int64, bool) {
	if next, ok := r.next.(driver.RowsColumnTypeLength); ok {
		return next.ColumnTypeLength(i)
	}
	return 0, false
}

// ColumnTypeNullable implements [driver.RowsColumnTypeNullable].
func (r *rows) ColumnTypeNullable(i int) (nullable, known bool) {
	if next, ok := r.next.(driver.RowsColumnTypeNullable); ok {
		return next.ColumnTypeNullable(i)
	}
	return false, false
}

// ColumnTypePrecisionScale implements [driver.RowsColumnTypePrecisionScale].
func (r *rows) ColumnTypePrecisionScale(i int) (precision, scale int64, known bool) {
	if next, ok := r.next.(driver.RowsColumnTypePrecisionScale); ok {
		return next.ColumnTypePrecisionScale(i)
	}
	return 0, 0, false
}
