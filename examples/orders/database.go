package main

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // the driver "sqlite", without cgo

	"github.com/sambatech/chassis/task/outbox"
)

//go:embed migrations/*.sql
var migrations embed.FS

// driverOf returns the driver of database/sql for a URL, and what the driver calls it.
func driverOf(url string) (driver, dsn string) {
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return "pgx", url
	}
	return "sqlite", "file:" + url + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_txlock=immediate"
}

// openStore opens the database and brings its tables up to date.
func openStore(ctx context.Context, url string) (*Store, error) {
	driver, dsn := driverOf(url)
	if driver == "sqlite" {
		if err := os.MkdirAll(filepath.Dir(url), 0o700); err != nil {
			return nil, fmt.Errorf("database.url: %w", err)
		}
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, fmt.Errorf("database.url: %w", err)
	}
	s, err := newStore(db, driver)
	if err == nil {
		err = s.migrate(ctx, driver)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("database.url: bring the tables up to date: %w", err), db.Close())
	}
	return s, nil
}

// newStore returns the store in a database of a driver.
func newStore(db *sql.DB, driver string) (*Store, error) {
	dialect := outbox.PostgreSQL
	if driver == "sqlite" {
		dialect = outbox.SQLite
		db.SetMaxOpenConns(1) // it has one writer at a time in any case
	}
	box, err := outbox.New(db, dialect)
	return &Store{db, box}, err
}

// migrate applies what is new in the folder migrations, and in the outbox. Several
// processes may start at once.
func (s *Store) migrate(ctx context.Context, driver string) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	dialect, opts := goose.DialectSQLite3, []goose.ProviderOption(nil)
	if driver == "pgx" {
		one, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		dialect, opts = goose.DialectPostgres, append(opts, goose.WithSessionLocker(one))
	}
	provider, err := goose.NewProvider(dialect, s.db, files, opts...)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return err
	}
	return s.box.Migrate(ctx)
}
