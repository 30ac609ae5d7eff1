// Package outboxtest tests package outbox with PostgreSQL, MariaDB and SQLite, each a
// real one, and measures it next to river. It has no code of its own to import.
package outboxtest
