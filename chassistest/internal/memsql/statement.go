package memsql

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	insertForm = regexp.MustCompile(`(?i)^INSERT INTO (\w+) \(([^)]*)\) VALUES \((.*?)\)( ON CONFLICT DO NOTHING)?$`)
	updateForm = regexp.MustCompile(`(?i)^UPDATE (\w+) SET (.*) WHERE (\w+) = (\S+)$`)
	deleteForm = regexp.MustCompile(`(?i)^DELETE FROM (\w+) WHERE (\w+) = (\S+)$`)
	selectForm = regexp.MustCompile(`(?i)^SELECT (.*) FROM (\w+)(?: WHERE (\w+) = (\S+))?$`)
)

// arguments gives the values of a statement in their order.
type arguments struct {
	args []driver.NamedValue
	next int
}

func (a *arguments) value(text string) (driver.Value, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "?":
		if a.next >= len(a.args) {
			return nil, fmt.Errorf("memsql: %d arguments for more than as many marks", len(a.args))
		}
		a.next++
		return a.args[a.next-1].Value, nil
	case strings.HasPrefix(text, "'"):
		return strings.Trim(text, "'"), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("memsql: %q is no value", text)
	}
	return n, nil
}

// ExecContext implements [driver.ExecerContext].
func (c *Conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.closed {
		return nil, driver.ErrBadConn
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	query = strings.Join(strings.Fields(query), " ")
	a := &arguments{args: args}
	n, err := c.exec(ctx, query, a)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", query, err)
	}
	return driver.RowsAffected(n), nil
}

func (c *Conn) exec(ctx context.Context, query string, a *arguments) (int64, error) {
	if m := insertForm.FindStringSubmatch(query); m != nil {
		return c.insert(ctx, m[1], strings.Split(m[2], ","), strings.Split(m[3], ","), m[4] != "", a)
	}
	if m := updateForm.FindStringSubmatch(query); m != nil {
		return c.update(ctx, m[1], strings.Split(m[2], ","), m[3], m[4], a)
	}
	if m := deleteForm.FindStringSubmatch(query); m != nil {
		key, err := a.value(m[3])
		if err != nil {
			return 0, err
		}
		return c.write(ctx, m[1], func(rows map[string]row) (n int64, _ error) {
			for id, r := range rows {
				if fmt.Sprint(r[m[2]]) == fmt.Sprint(key) {
					delete(rows, id)
					n++
				}
			}
			return n, nil
		})
	}
	return 0, fmt.Errorf("memsql: this statement is not known")
}

func (c *Conn) insert(ctx context.Context, table string, names, texts []string, ignore bool,
	a *arguments) (int64, error) {
	columns, ok := c.db.columns[table]
	if !ok || len(names) != len(texts) {
		return 0, fmt.Errorf("memsql: %d values for %d columns of table %q", len(texts), len(names), table)
	}
	r := row{}
	for i, name := range names {
		name = strings.TrimSpace(name)
		if !slices.Contains(columns, name) {
			return 0, fmt.Errorf("memsql: table %q has no column %q", table, name)
		}
		value, err := a.value(texts[i])
		if err != nil {
			return 0, err
		}
		r[name] = value
	}
	return c.write(ctx, table, func(rows map[string]row) (int64, error) {
		key := fmt.Sprint(r[columns[0]])
		if r[columns[0]] == nil { // a serial number
			for n := 1; ; n++ {
				if key = strconv.Itoa(n); rows[key] == nil {
					r[columns[0]] = int64(n)
					break
				}
			}
		}
		if rows[key] != nil {
			if ignore {
				return 0, nil
			}
			return 0, ErrUnique
		}
		rows[key] = r
		return 1, nil
	})
}

var relative = regexp.MustCompile(`^(\w+) ([+-]) (\S+)$`)

func (c *Conn) update(ctx context.Context, table string, sets []string, column, text string,
	a *arguments) (int64, error) {
	type change struct {
		column string
		add    bool
		value  driver.Value
	}
	var changes []change
	for _, set := range sets {
		name, value, _ := strings.Cut(set, "=")
		ch := change{column: strings.TrimSpace(name)}
		value = strings.TrimSpace(value)
		sign := int64(1)
		if m := relative.FindStringSubmatch(value); m != nil {
			ch.add, value = true, m[3]
			if m[2] == "-" {
				sign = -1
			}
		}
		v, err := a.value(value)
		if err != nil {
			return 0, err
		}
		if n, ok := v.(int64); ok && ch.add {
			v = sign * n
		}
		ch.value = v
		changes = append(changes, ch)
	}
	key, err := a.value(text)
	if err != nil {
		return 0, err
	}
	return c.write(ctx, table, func(rows map[string]row) (n int64, _ error) {
		for id, r := range rows {
			if fmt.Sprint(r[column]) != fmt.Sprint(key) {
				continue
			}
			next := row{}
			for name, v := range r {
				next[name] = v
			}
			for _, ch := range changes {
				if ch.add {
					old, _ := r[ch.column].(int64)
					by, _ := ch.value.(int64)
					next[ch.column] = old + by
				} else {
					next[ch.column] = ch.value
				}
			}
			rows[id] = next
			n++
		}
		return n, nil
	})
}

// QueryContext implements [driver.QueryerContext].
func (c *Conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.closed {
		return nil, driver.ErrBadConn
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := selectForm.FindStringSubmatch(strings.Join(strings.Fields(query), " "))
	if m == nil {
		return nil, fmt.Errorf("memsql: %q is not known", query)
	}
	var key driver.Value
	if m[3] != "" {
		var err error
		if key, err = (&arguments{args: args}).value(m[4]); err != nil {
			return nil, err
		}
	}
	found := &result{}
	for column := range strings.SplitSeq(m[1], ",") {
		found.columns = append(found.columns, strings.TrimSpace(column))
	}
	for _, r := range c.see()[m[2]] {
		if m[3] != "" && fmt.Sprint(r[m[3]]) != fmt.Sprint(key) {
			continue
		}
		var values []driver.Value
		for _, column := range found.columns {
			values = append(values, r[column])
		}
		found.rows = append(found.rows, values)
	}
	if strings.EqualFold(m[1], "COUNT(*)") {
		found.rows = [][]driver.Value{{int64(len(found.rows))}}
	}
	return found, nil
}

// Prepare implements [driver.Conn].
func (c *Conn) Prepare(query string) (driver.Stmt, error) { return stmt{c, query}, nil }

// PrepareContext implements [driver.ConnPrepareContext].
func (c *Conn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return c.Prepare(query)
}

type stmt struct {
	conn  *Conn
	query string
}

func (s stmt) Close() error  { return nil }
func (s stmt) NumInput() int { return strings.Count(s.query, "?") }

func (s stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.conn.ExecContext(context.Background(), s.query, numbered(args))
}

func (s stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.conn.QueryContext(context.Background(), s.query, numbered(args))
}

func numbered(args []driver.Value) []driver.NamedValue {
	list := make([]driver.NamedValue, len(args))
	for i, v := range args {
		list[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return list
}

// result is the rows of a SELECT.
type result struct {
	columns []string
	rows    [][]driver.Value
}

func (r *result) Columns() []string { return r.columns }
func (r *result) Close() error      { return nil }

func (r *result) Next(dest []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(dest, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}
