package outbox

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed migrations
var migrations embed.FS

// Files returns the SQL files that make the tables of [DefaultTable], for a team's own
// tool: goose reads them as they are. A file does not change after a release.
func Files(d Dialect) (fs.FS, error) {
	if !d.valid() {
		return nil, fmt.Errorf("outbox: there are no files for %v: choose PostgreSQL, MySQL or SQLite", d)
	}
	return fs.Sub(migrations, path.Join("migrations", d.String()))
}

// Migration is one of the [Files].
type Migration struct {
	Name string
	SQL  string
}

// Migrations returns the files with the table names of the box, in their order.
func (b *Box) Migrations() ([]Migration, error) {
	files, err := Files(b.dialect)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var all []Migration
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		all = append(all, Migration{name, b.named(string(text))})
	}
	return all, nil
}

// named puts the box's table name into a migration. An index has no schema.
func (b *Box) named(text string) string {
	const index = "INDEX IF NOT EXISTS "
	return strings.NewReplacer(index+DefaultTable, index+Channel(b.table), DefaultTable, b.table).Replace(text)
}

// Migrate makes the tables that are not there. Processes that call it at once wait for
// each other, and a second call changes nothing. The role needs the right to create
// tables; where it has none, use [Files].
func (b *Box) Migrate(ctx context.Context) error {
	failed := func(err error) error { return fmt.Errorf("outbox: make the tables of %s: %w", b.table, err) }
	all, err := b.Migrations()
	if err != nil {
		return failed(err)
	}
	conn, err := b.db.Conn(ctx)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = conn.Close() }()
	end, err := b.lockMigration(ctx, conn)
	if err != nil {
		return failed(fmt.Errorf("take the lock: %w", err))
	}
	for _, m := range all {
		for _, statement := range split(m.SQL) {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				_ = end(false)
				first, _, _ := strings.Cut(statement, "\n")
				return failed(fmt.Errorf("file %s: %q: %w", m.Name, first, err))
			}
		}
	}
	if err := end(true); err != nil {
		return failed(err)
	}
	return nil
}

// lockMigration begins a migration. The function that it returns ends it.
func (b *Box) lockMigration(ctx context.Context, conn *sql.Conn) (end func(ok bool) error, err error) {
	name := b.table + " migrate"
	begin := []string{"BEGIN IMMEDIATE"}
	done, undo := "COMMIT", "ROLLBACK"
	switch b.dialect {
	case PostgreSQL:
		begin = []string{"BEGIN", "SELECT pg_advisory_xact_lock(hashtextextended('" + name + "', 0))"}
	case MySQL: // its CREATE TABLE commits
		begin = []string{"SELECT GET_LOCK('" + name + "', 60)"}
		done = "SELECT RELEASE_LOCK('" + name + "')"
		undo = done
	}
	end = func(ok bool) error {
		statement := done
		if !ok {
			statement = undo
		}
		_, err := conn.ExecContext(context.WithoutCancel(ctx), statement)
		return err
	}
	for i, statement := range begin {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			if i > 0 {
				_ = end(false)
			}
			return nil, err
		}
	}
	return end, nil
}

// split returns the statements of a file, without its comments. The files have neither
// "--" nor ";" within a text.
func split(text string) (list []string) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, "--")
		b.WriteString(strings.TrimRight(code, " \t\n") + "\n")
	}
	for statement := range strings.SplitSeq(b.String(), ";") {
		if statement = strings.TrimSpace(statement); statement != "" {
			list = append(list, statement)
		}
	}
	return list
}
