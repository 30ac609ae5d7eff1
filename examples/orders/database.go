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

// openDatabase opens the database and brings its tables up to date.
func openDatabase(ctx context.Context, url string) (*sql.DB, error) {
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
	if driver == "sqlite" {
		db.SetMaxOpenConns(1) // it has one writer at a time in any case
	}
	if err := migrate(ctx, driver, db); err != nil {
		return nil, errors.Join(fmt.Errorf("database.url: bring the tables up to date: %w", err), db.Close())
	}
	return db, nil
}

// migrate applies what is new in the folder migrations. Several processes may start at once.
func migrate(ctx context.Context, driver string, db *sql.DB) error {
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
	provider, err := goose.NewProvider(dialect, db, files, opts...)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}
