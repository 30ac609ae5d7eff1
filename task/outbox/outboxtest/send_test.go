//go:build unix

package outboxtest

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// What is committed is sent once, what is rolled back never, and the tables are made once
// by processes that start together.
func TestACommitSendsAndARollbackDoesNot(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		var makers sync.WaitGroup
		for range 4 {
			makers.Go(func() { db.box(t) })
		}
		makers.Wait()
		box := db.box(t)
		s := newService(t, queueServer(t), nil)
		s.handle()
		relay := box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond})
		s.Add("outbox", relay)
		s.start(t)
		var kept []string
		for i := range 40 {
			if i%2 == 0 {
				kept = append(kept, send(t, box, db.DB, []int{i, i + 1})...)
				continue
			}
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := outbox.Send(t.Context(), box, tx, work, 1000+i); err != nil {
				t.Fatal(err)
			}
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
		}
		within(t, 20*time.Second, "all ran", func() bool { return len(s.ran()) >= len(kept) })
		s.stop(t)
		for _, id := range kept {
			if len(s.runs[id]) != 1 {
				t.Errorf("%s ran %d times", id, len(s.runs[id]))
			}
		}
		if all := s.ran(); len(all) != len(kept) || slices.Max(all) >= 1000 {
			t.Errorf("%d ran of %d, the most %d", len(all), len(kept), slices.Max(all))
		}
		if d, err := box.Depth(t.Context()); err != nil || d != (outbox.Depth{}) {
			t.Errorf("left behind: %+v, error %v", d, err)
		}
		if st := relay.Stats(); st.Sent != int64(len(kept)) || st.Error != "" || st.Aside != 0 {
			t.Errorf("the relay says %+v", st)
		}
	})
}

// All that a message can carry goes through the table: job, attributes, time, and pool.
func TestARowCarriesTheWholeMessage(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t, outbox.Table(map[outbox.Dialect]string{outbox.SQLite: "post", outbox.MySQL: "post",
			outbox.PostgreSQL: "public.post"}[db.dialect]))
		srv := queueServer(t)
		s := newService(t, srv, func(set *chassis.Settings) {
			set.Tasks.Pools = map[string]chassis.PoolSettings{"other": {}}
		})
		type carried struct{ Text string }
		def := task.Define[carried]("carried", task.InPool("other"))
		got := make(chan task.Job[carried], 1)
		chassis.Handle(s.System, def, func(_ context.Context, job task.Job[carried]) error { got <- job; return nil })
		s.Add("outbox", box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond}))
		s.start(t)
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		text := "naïve 😀 'quoted' \\ \"double\" \n" + strings.Repeat("x", 100_000)
		at := time.Now().Add(time.Second).Truncate(time.Second)
		id, err := outbox.Send(task.WithOrigin(t.Context(), "4711", "sign-up"), box, tx, def, carried{text},
			task.Attribute("tenant", "blåhaj"), task.At(at), task.Group("fair"))
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		select {
		case job := <-got:
			extra := ""
			if v := job.Extra["tenant"].StringValue; v != nil {
				extra = *v
			}
			if job.ExecID != id || job.Args.Text != text || job.JobID != "4711" || job.JobName != "sign-up" || extra != "blåhaj" {
				t.Errorf("got exec_id %s (want %s), job %s %s, tenant %q, a text of %d bytes", job.ExecID, id, job.JobID,
					job.JobName, extra, len(job.Args.Text))
			}
			if !job.When.Equal(at) || time.Now().Before(at) {
				t.Errorf("for %v, ran at %v, want %v", job.When, time.Now(), at)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it did not run")
		}
	})
}

// Rows of a poison kind are set aside with their reason, and do not hold up others. They
// can be put back.
func TestAPoisonRowIsSetAsideAndReported(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		s := newService(t, queueServer(t), func(set *chassis.Settings) { set.Log.Level = "critical" })
		s.handle()
		relay := box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond})
		s.Add("outbox", relay)
		ids := send(t, box, db.DB, []int{1, 2, 3, 4})
		db.exec(t, "UPDATE chassis_outbox SET message = ? WHERE exec_id = ?", "{garbage", ids[0])
		db.exec(t, "UPDATE chassis_outbox SET message = ? WHERE exec_id = ?", `{"body": ""}`, ids[1])
		db.exec(t, "UPDATE chassis_outbox SET pool = ? WHERE exec_id = ?", "No Queue", ids[2])
		s.start(t)
		within(t, 20*time.Second, "the good one ran, and three are set aside", func() bool {
			d, err := box.Depth(t.Context())
			return err == nil && d.Rows == 0 && d.Aside == 3 && len(s.ran()) == 1
		})
		list, err := box.Aside(t.Context(), 10)
		if err != nil || len(list) != 3 {
			t.Fatalf("%d are listed, error %v", len(list), err)
		}
		for i, want := range []string{"cannot be read", "the body is empty", "not a name for a task pool"} {
			if !strings.Contains(list[i].Reason, want) || list[i].ExecID != ids[i] {
				t.Errorf("%+v: want the reason %q", list[i], want)
			}
		}
		if n := relay.Stats().Aside; n != 3 {
			t.Errorf("the relay counts %d", n)
		}
		if ok, err := box.PutBack(t.Context(), list[2].ID, "jobs"); !ok || err != nil {
			t.Fatalf("put back: %v, error %v", ok, err)
		}
		within(t, 20*time.Second, "what was put back ran", func() bool { return len(s.ran()) == 2 })
		if ok, err := box.PutBack(t.Context(), list[2].ID, ""); ok || err != nil {
			t.Errorf("put back twice: %v, error %v", ok, err)
		}
		if ok, err := box.Discard(t.Context(), list[0].ID); !ok || err != nil {
			t.Errorf("discard: %v, error %v", ok, err)
		}
		if d, err := box.Depth(t.Context()); err != nil || d.Aside != 1 {
			t.Errorf("left: %+v, error %v", d, err)
		}
	})
}

// A pool that is away leaves its rows in the table, also many of them at the front, and
// holds up no row of another pool. When it is there its rows go.
func TestAPoolThatIsAwayHoldsUpNoOther(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		srv := queueServer(t)
		s := newService(t, srv, func(set *chassis.Settings) { set.Log.Level = "critical" })
		s.handle()
		relay := box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond, Batch: 10})
		s.Add("outbox", relay)
		var many []int
		for i := range 200 {
			many = append(many, i)
		}
		send(t, box, db.DB, many, task.Pool("away"))
		send(t, box, db.DB, []int{1000, 1001})
		s.start(t)
		within(t, 20*time.Second, "those of the pool that is there ran", func() bool { return len(s.ran()) == 2 })
		if st := relay.Stats(); !slices.Equal(st.Away, []string{"away"}) || st.Aside != 0 || st.Failed != 0 {
			t.Errorf("the relay says %+v", st)
		}
		if n := db.count(t, "SELECT count(*) FROM chassis_outbox WHERE tries = 0 AND due IS NULL"); n != 200 {
			t.Errorf("%d of 200 rows wait untouched", n)
		}
		other := newService(t, srv, func(set *chassis.Settings) { set.Tasks.TaskPool = "away" })
		other.handle()
		other.start(t) // makes its queue
		within(t, 60*time.Second, "the others ran", func() bool { return len(other.ran()) == 200 })
	})
}

// Two calls of Once in one attempt would leave out the second effect: that is an error.
func TestTwoEffectsOfOneAttemptNeedNames(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		db.exec(t, "CREATE TABLE effects (n INT)")
		job := &task.Info{Task: "work", ExecID: "1"}
		effect := func(tx *sql.Tx) error { _, err := tx.Exec("INSERT INTO effects VALUES (1)"); return err }
		if err := box.Once(t.Context(), job, effect); err != nil {
			t.Fatal(err)
		}
		if err := box.Once(t.Context(), job, effect); !errors.Is(err, outbox.ErrTwiceInOneAttempt) {
			t.Errorf("the second call: %v", err)
		}
		if err := box.Once(t.Context(), job, effect, outbox.Part("receipt")); err != nil {
			t.Errorf("a part of another name: %v", err)
		}
		again := &task.Info{Task: "work", ExecID: "1"} // another delivery
		if err := box.Once(t.Context(), again, effect); err != nil {
			t.Errorf("a second delivery: %v", err)
		}
		if n := db.count(t, "SELECT count(*) FROM effects"); n != 2 || box.Repeated() != 1 {
			t.Errorf("%d effects, %d found again, want 2 and 1", n, box.Repeated())
		}
	})
}
