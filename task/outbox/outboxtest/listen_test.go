//go:build unix

package outboxtest

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task/outbox"
	"github.com/sambatech/chassis/task/outbox/pgxoutbox"
)

// A relay hears of rows by LISTEN, and again after its connection was lost, which others
// do not notice for good (hangfire-postgres/Hangfire.PostgreSql#410, taskforcesh/bullmq#4729).
// It does not poll here.
func TestAListenerThatIsCutOffListensAgain(t *testing.T) {
	db := newDatabase(t, outbox.PostgreSQL)
	box := db.box(t)
	s := newService(t, queueServer(t), nil)
	s.handle()
	s.Add("outbox", box.Relay(s, outbox.Settings{Poll: time.Hour},
		outbox.WithListener(pgxoutbox.Listener(db.dsn, outbox.DefaultTable))))
	s.start(t)
	const listeners = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
	for round := range 3 {
		within(t, 20*time.Second, "it listens", func() bool { return db.count(t, "SELECT count(*) "+listeners) == 1 })
		conn, err := pgx.Connect(t.Context(), db.dsn)
		if err != nil {
			t.Fatal(err)
		}
		err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error { // by pgx's own transaction
			_, err := outbox.Send(t.Context(), box, pgxoutbox.Tx(tx), work, round)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		within(t, 20*time.Second, "it ran", func() bool { return len(s.ran()) == round+1 })
		db.exec(t, "SELECT pg_terminate_backend(pid) "+listeners)
		within(t, 20*time.Second, "the listener is cut off", func() bool { return db.count(t, "SELECT count(*) "+listeners) == 0 })
	}
}

// The statements need no prepared ones, which PgBouncer may not keep over transactions
// (QueueClassic/queue_classic#184 and others had to leave LISTEN as well: it polls here).
func TestWithoutPreparedStatements(t *testing.T) {
	for _, mode := range []string{"exec", "simple_protocol", "describe_exec"} {
		t.Run(mode, func(t *testing.T) {
			db := newDatabase(t, outbox.PostgreSQL)
			pool := db.open(t, "default_query_exec_mode="+mode)
			pool.SetMaxOpenConns(1) // which is asked below
			box, err := outbox.New(pool, outbox.PostgreSQL, outbox.Pool("jobs"))
			if err != nil {
				t.Fatal(err)
			}
			if err := box.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := newService(t, queueServer(t), nil)
			s.handle()
			relay := box.Relay(s, outbox.Settings{Poll: 10 * time.Millisecond})
			s.Add("outbox", relay)
			s.start(t)
			send(t, box, pool, []int{1, 2, 3})
			within(t, 20*time.Second, "they ran", func() bool { return len(s.ran()) == 3 })
			var n int
			if err := pool.QueryRow("SELECT count(*) FROM pg_prepared_statements").Scan(&n); err != nil || n != 0 {
				t.Errorf("%d prepared statements, error %v", n, err)
			}
		})
	}
}

// A database that is read-only for a while, as a server is that was the primary before,
// costs no row. The relay leaves the connections that it had.
func TestADatabaseThatIsReadOnlyForAWhile(t *testing.T) {
	db := newDatabase(t, outbox.PostgreSQL)
	box := db.box(t)
	pool := db.open(t)
	relayBox, err := outbox.New(pool, outbox.PostgreSQL)
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, queueServer(t), func(set *chassis.Settings) { set.Log.Level = "critical" })
	s.handle()
	relay := relayBox.Relay(s, outbox.Settings{Poll: 10 * time.Millisecond})
	s.Add("outbox", relay)
	name := db.count(t, "SELECT substr(current_database(), 2)::int")
	alter := func(to string) {
		db.exec(t, "DO $do$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET default_transaction_read_only = "+to+
			"'; END $do$")
	}
	send(t, box, db.DB, []int{name})
	alter("on")
	s.start(t)
	within(t, 20*time.Second, "the relay fails", func() bool { return relay.Stats().Error != "" })
	alter("off")
	within(t, 60*time.Second, "it ran", func() bool { return len(s.ran()) == 1 && relay.Stats().Error == "" })
}
