package outbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
)

// unreachable is a database that nothing may connect to.
type unreachable struct{}

func (unreachable) Connect(context.Context) (driver.Conn, error) { return nil, errors.New("away") }
func (unreachable) Driver() driver.Driver                        { return nil }

func TestBadInputSaysWhatToDo(t *testing.T) {
	db := sql.OpenDB(unreachable{})
	defer db.Close()
	for want, try := range map[string]func() error{
		"the database is nil":    func() error { _, err := New(nil, MySQL); return err },
		"choose PostgreSQL":      func() error { _, err := New(db, 0); return err },
		"lower-case letters":     func() error { _, err := New(db, MySQL, Table("a; drop table b")); return err },
		"at most 40":             func() error { _, err := New(db, MySQL, Table(strings.Repeat("a", 41))); return err },
		"one schema":             func() error { _, err := New(db, MySQL, Table("a.b.c")); return err },
		"not all lower case":     func() error { _, err := New(db, MySQL, Pool("Mails")); return err },
		"no files for dialect 7": func() error { _, err := Files(7); return err },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	box, err := New(db, PostgreSQL)
	if err != nil {
		t.Fatal(err)
	}
	send := func(opts ...task.Option) func() error {
		return func() error { _, err := box.Send(t.Context(), nil, "welcome", 1, opts...); return err }
	}
	many := func(def *task.Definition[int], opts ...task.Option) func() error {
		return func() error {
			_, err := SendMany(t.Context(), box, nil, def, []int{1, 2}, opts...)
			return err
		}
	}
	once := func(job *task.Info, opts ...OnceOption) func() error {
		return func() error { return box.Once(t.Context(), job, nil, opts...) }
	}
	job := &task.Info{Task: "welcome", ExecID: "1"}
	for want, try := range map[string]func() error{
		"with task.Group":         send(task.Pool("mails.fifo")),
		"leave out task.Delay":    send(task.Pool("mails.fifo"), task.Group("a"), task.Delay(time.Second)),
		"leave out task.Dedup":    send(task.Pool("mails"), task.Dedup("a")),
		"not a name":              send(task.Pool("mails!")),
		"with a key of its own":   many(task.Define[int]("welcome"), task.Unique("a", time.Hour)),
		"SealedBy":                many(task.Define[int]("secret", task.Encrypted())),
		"at most 255":             send(task.ExecID(strings.Repeat("a", 256))),
		"give it job.Info":        once(nil),
		"no exec_id":              once(&task.Info{Task: "welcome"}),
		"the part has 101 bytes":  once(job, Part(strings.Repeat("a", 101))),
		`run task "welcome" once`: once(job),
		"make the tables":         func() error { return box.Migrate(t.Context()) },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	if err := (Settings{}).withDefaults(false).check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if polls, listens := (Settings{}).withDefaults(false).Poll, (Settings{}).withDefaults(true).Poll; polls >= listens {
		t.Errorf("polls every %v, and every %v with a listener", polls, listens)
	}
	for want, s := range map[string]Settings{
		"Poll":        {Poll: 1},
		"Batch":       {Batch: 1001},
		"Bytes":       {Bytes: -1},
		"SendTimeout": {SendTimeout: time.Hour},
		"MaxTries":    {MaxTries: -1},
		"Retention":   {Retention: time.Minute},
		"SweepEvery":  {SweepEvery: 1},
	} {
		if err := s.withDefaults(false).check(); err == nil || !strings.Contains(err.Error(), want+" is ") {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

// The files name each table, and an index has no schema.
func TestTableNamesInMigrations(t *testing.T) {
	db := sql.OpenDB(unreachable{})
	defer db.Close()
	for _, d := range []Dialect{PostgreSQL, MySQL, SQLite} {
		box, err := New(db, d, Table("billing.post"))
		if err != nil {
			t.Fatal(err)
		}
		all, err := box.Migrations()
		if err != nil || len(all) == 0 {
			t.Fatalf("%v: %d files, error %v", d, len(all), err)
		}
		for _, m := range all {
			if strings.Contains(m.SQL, DefaultTable) || strings.Contains(m.SQL, "EXISTS billing.post_by_key") {
				t.Errorf("%v: %s still has another name:\n%s", d, m.Name, m.SQL)
			}
			for _, statement := range split(m.SQL) {
				if !strings.HasPrefix(statement, "CREATE ") || strings.Contains(statement, "--") {
					t.Errorf("%v: %s: a statement is %q", d, m.Name, statement)
				}
			}
		}
	}
}
