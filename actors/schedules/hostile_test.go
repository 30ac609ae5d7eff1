package schedules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// A new schedule sends nothing from before its first process had it; a second process that
// starts in the same minute neither (laravel/framework#16700: a task runs at once after a deploy).
// What falls between the end of the last process and the begin of the next is still sent.
func TestANewScheduleSendsNothingFromBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		j := job(t, "x", "@every 10s")
		until("10:05:05")
		a := f.start("a", j)
		until("10:05:06")
		b := f.start("b", j)
		until("10:05:11")
		if got := f.text(); got != "x@10:05:10" {
			t.Errorf("of a new one came %q", got)
		}
		a.kill()
		b.kill()
		until("10:05:35")
		c := f.start("c", j)
		synctest.Wait()
		if got := f.text(); got != "x@10:05:20 x@10:05:30" {
			t.Errorf("after all had died came %q", got)
		}
		c.kill()
		until("10:45:05")
		d := f.start("d", j, job(t, "new", "@every 10s"))
		synctest.Wait()
		if got := f.text(); got != "x@10:44:10 x@10:44:20 x@10:44:30 x@10:44:40 x@10:44:50 x@10:45:00" {
			t.Errorf("of one that is known for long, with a new one, came %q", got)
		}
		d.kill()
	})
}

// The rights of a new role are refused for a while, and the first question to the register may get
// no answer. The fleet's word decides of what is from before the start, once it can be read.
func TestANewScheduleWhereTheRegisterRefusesAtFirst(t *testing.T) {
	for _, row := range []struct {
		name, at, want string
		refused        time.Duration
		known          bool // the fleet has had the schedule for long
	}{
		{"new", "10:05:19", "x@10:05:10", 10 * time.Second, false},
		{"new, and refused for nearly as long as it takes", "10:05:29", "x@10:05:10 x@10:05:20", 19 * time.Second, false},
		{"known", "10:05:19", "x@10:04:20 x@10:04:30 x@10:04:40 x@10:04:50 x@10:05:00 x@10:05:10", 10 * time.Second, true},
		{"the right is missing", "10:05:29", "x@10:04:30 x@10:04:40 x@10:04:50 x@10:05:00 x@10:05:10 x@10:05:20",
			time.Hour, false},
	} {
		bubble(t, func(t *testing.T) {
			f := newFleet(t)
			j := job(t, "x", "@every 10s")
			if row.known {
				until("09:05:05")
				a := f.start("a", j)
				synctest.Wait()
				a.kill()
			}
			until("10:05:05")
			over := time.Now().Add(row.refused)
			b := f.startInstead("b", func(r *http.Request) (*http.Response, error) {
				if time.Now().Before(over) {
					return refuseTags(r)
				}
				return nil, nil
			}, j)
			until(row.at)
			if got := f.text(); got != row.want {
				t.Errorf("%s: at %s came %q, want %q", row.name, row.at, got, row.want)
			}
			b.kill()
		})
	}
}

// A deploy changes the times of a schedule, and there are processes of both kinds for a
// while: what each has comes once, and nothing of the new times counts as missed.
func TestADeployThatChangesASchedule(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		old := job(t, "x", "0 * * * *", cron.Late(cron.All(100)))
		changed := job(t, "x", "*/20 * * * *", cron.Late(cron.All(100)))
		until("10:05:00")
		a, b := f.start("a", old), f.start("b", old)
		until("12:30:30")
		if got := f.text(); got != "x@11:00:00 x@12:00:00" {
			t.Error(got)
		}
		a.kill()
		c := f.start("c", changed)
		until("13:01:00")
		if got := f.text(); got != "x@12:40:00 x@13:00:00" {
			t.Errorf("with both came %q", got)
		}
		b.kill()
		c.kill()
		until("14:10:00")
		d := f.start("d", changed) // an outage is an outage
		synctest.Wait()
		if got := f.text(); got != "x@13:20:00 x@13:40:00 x@14:00:00" {
			t.Errorf("after an outage came %q", got)
		}
		d.kill()
		until("15:05:00")
		e := f.start("e", old) // a deploy that is taken back
		synctest.Wait()
		if got := f.text(); got != "x@15:00:00" {
			t.Errorf("after that was taken back came %q", got)
		}
		e.kill()
	})
}

// While the queue of ticks is gone nothing is sent, and it is said; once it is there again,
// without its tags, all goes on.
func TestAQueueOfTicksThatIsDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		until("10:05:00")
		a := f.start("a", job(t, "x", "*/10 * * * *"), job(t, "y", "*/10 * * * *", cron.Late(cron.All(9))))
		synctest.Wait()
		if _, err := f.client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &f.url}); err != nil {
			t.Fatal(err)
		}
		until("10:10:30")
		if st := a.s.Status()[0]; !strings.Contains(st.Error, "NonExistentQueue") && !strings.Contains(st.Error, "QueueDoesNotExist") {
			t.Errorf("the page says %q", st.Error)
		}
		if _, err := poller.EnsureQueue(t.Context(), f.client, pool, poller.EnsureOptions{Create: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := f.text(); got != "x@10:10:00 y@10:10:00" {
			t.Errorf("once it was there came %q", got)
		}
		until("10:20:00")
		if got := f.text(); got != "x@10:20:00 y@10:20:00" {
			t.Errorf("then came %q", got)
		}
		a.kill()
	})
}

// A name that is the tag of another schedule would pause that.
func TestNamesThatAreTagsOfOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		for _, name := range []string{"x/paused", "x/ran", "/ran"} {
			_, err := New(Config{Pool: pool, URL: f.url, Client: f.client, Jobs: []Job{job(t, name, "@daily")}})
			if err == nil || !strings.Contains(err.Error(), "cron.Name") {
				t.Errorf("%s: %v", name, err)
			}
		}
		names := []string{"a", "a/b", "a@b", "a:b", "A.B_c-d", "a@2026-01-01T00:00:00Z", strings.Repeat("n", 80)}
		var jobs []Job
		for _, name := range names {
			jobs = append(jobs, job(t, name, "*/10 * * * *", cron.Late(cron.Once)))
		}
		until("10:05:00")
		a := f.start("a", jobs...)
		until("10:10:00")
		f.take()
		if len(f.seen) != len(names) {
			t.Errorf("%d ticks of %d names", len(f.seen), len(names))
		}
		for _, s := range f.seen {
			if j, tick, ok := a.s.core.board.find(strings.TrimSuffix(s.jobID, "@2000-01-01T10:10:00Z"), s.jobID); !ok ||
				j.Schedule.JobID(tick) != s.jobID {
				t.Errorf("%s is not found again", s.jobID)
			}
		}
		until("10:15:00")
		if err := a.s.Pause(t.Context(), f.system, a.pid, "a/b", true); err != nil {
			t.Error(err)
		}
		for _, st := range a.s.Status() {
			if (st.Paused != "") != (st.Name == "a/b") {
				t.Errorf("%s is paused: %q", st.Name, st.Paused)
			}
		}
		a.kill()
	})
}

// Schedules that were renamed leave tags behind. When the queue is nearly full of tags,
// those that say nothing any more are removed.
func TestTagsOfSchedulesThatAreGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		until("10:05:00")
		now := time.Now()
		tags := map[string]string{"team": "billing"}
		for i := range 10 {
			tags[fmt.Sprintf("chassis.cron.gone-%d", i)] = unixText(now.Add(-15 * 24 * time.Hour))
			tags[fmt.Sprintf("chassis.cron.new-%d", i)] = unixText(now.Add(-time.Hour))
			tags[fmt.Sprintf("chassis.cron.slow-%d/ran", i)] = unixText(now.Add(-3*time.Hour)) + ":" + unixText(now.Add(-2*time.Hour))
			tags[fmt.Sprintf("chassis.cron.off-%d/paused", i)] = unixText(now.Add(-40 * 24 * time.Hour))
		}
		tags["chassis.cron.yearly"] = unixText(now.Add(-200 * 24 * time.Hour))
		if _, err := f.client.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: &f.url, Tags: tags}); err != nil {
			t.Fatal(err)
		}
		a := f.start("a", job(t, "yearly", "@yearly", cron.Late(cron.Once)))
		synctest.Wait()
		out, err := f.client.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: &f.url})
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for key := range out.Tags {
			key = strings.TrimPrefix(key, "chassis.")
			count[strings.SplitN(strings.TrimPrefix(key, "cron."), "-", 2)[0]]++
		}
		if want := (map[string]int{"team": 1, "new": 10, "off": 10, "yearly": 1, "known.0": 1}); fmt.Sprint(count) != fmt.Sprint(want) {
			t.Errorf("left are %v, want %v", count, want)
		}
		a.kill()
	})
}

// Ten thousand schedules that are due in one minute are sent within it.
func TestTenThousandSchedules(t *testing.T) {
	n := 1_000
	if os.Getenv("CHASSIS_SCALE") == "full" {
		n = 10_000
	}
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		var jobs []Job
		for i := range n {
			jobs = append(jobs, job(t, fmt.Sprintf("s%05d", i), "0 * * * *"))
		}
		until("10:59:50")
		a := f.start("a", jobs...)
		until("11:00:59")
		f.take()
		if len(f.seen) != n {
			t.Errorf("%d ticks came", len(f.seen))
		}
		a.kill()
	})
}

// A process dies with a run, and another gets that again after its lease. The ticks that came
// between are skipped, as in a run that lasted: not run one after the other, each a run late.
func TestTicksBehindARunThatDiedWithItsProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		j := job(t, "x", "* * * * *")
		until("10:05:30")
		a := f.start("a", j)
		ran := 0
		around := a.s.Around(func(context.Context, task.Job[json.RawMessage]) error {
			time.Sleep(30 * time.Second)
			ran++
			return nil
		})
		run := func(at string, received time.Time) {
			t.Helper()
			tick, _ := time.Parse(time.RFC3339, "2000-01-01T"+at+"Z")
			on := cron.Tick{At: tick, Due: tick}
			if err := around(t.Context(), task.Job[json.RawMessage]{Info: &task.Info{JobName: "x", JobID: j.Schedule.JobID(on),
				ExecID: j.Schedule.ID(pool, on), Attempt: 1, Received: received}}); err != nil {
				t.Error(err)
			}
		}
		until("10:06:00")
		first := time.Now()
		until("10:08:30") // it died in between
		run("10:06:00", first)
		run("10:07:00", time.Now())
		run("10:08:00", time.Now())
		if ran != 1 || a.s.Status()[0].Skipped != 2 {
			t.Errorf("%d runs, and %d skipped", ran, a.s.Status()[0].Skipped)
		}
		until("10:10:00")
		run("10:10:00", time.Now())
		if ran != 2 {
			t.Error("the next tick in time is not run")
		}
		a.kill()
	})
}

// A tick comes while the run before it is about to end, and is run in time in one process. That
// fails, or dies, and another process gets it, for which it is the first attempt: it is run again.
func TestATickThatHasRunIsNotSkipped(t *testing.T) {
	due := time.Date(2000, 1, 1, 10, 7, 0, 0, time.UTC)
	tick := cron.Tick{At: due, Due: due}
	const no = time.Duration(1<<62) * -1
	for _, row := range []struct {
		name             string
		from, upTo, came time.Duration // by the time of the tick
		want             bool
	}{
		{"no run is known", no, no, time.Minute, false},
		{"it came in time, and the run before it ended with it", -time.Minute, 18 * time.Millisecond, 20 * time.Millisecond, false},
		{"the run before it ended before it", -time.Minute, -time.Second, time.Minute, false},
		{"two clocks are a second apart", -time.Minute, onTime + twoClocks, onTime, false},
		{"it came after the run before it", -time.Minute, 30 * time.Second, 30 * time.Second, true},
		{"it came late, behind a short run", -time.Minute, time.Millisecond, onTime + time.Millisecond, true},
		{"it came in time, and waited behind the run in its process", -time.Minute, 30 * time.Second, 0, true},
		{"the run is its own", 0, 30 * time.Second, 0, false},
		{"the run began after it", time.Second, 30 * time.Second, 30 * time.Second, false},
	} {
		var e entry
		if row.upTo != no {
			e.ranFrom, e.ranUpTo = due.Add(row.from), due.Add(row.upTo)
		}
		if got := e.lastedOver(tick, due.Add(row.came)); got != row.want {
			t.Errorf("%s: lasted over it is %v", row.name, got)
		}
	}
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		j := job(t, "x", "* * * * *")
		until("10:05:30")
		a, b := f.start("a", j), f.start("b", j)
		var began []string
		run := func(p *process, at string, received time.Time, took time.Duration, failure error) {
			t.Helper()
			tick, _ := time.Parse(time.RFC3339, "2000-01-01T"+at+"Z")
			on := cron.Tick{At: tick, Due: tick}
			around := p.s.Around(func(context.Context, task.Job[json.RawMessage]) error {
				began = append(began, at)
				time.Sleep(took)
				return failure
			})
			if err := around(t.Context(), task.Job[json.RawMessage]{Info: &task.Info{JobName: "x", JobID: j.Schedule.JobID(on),
				ExecID: j.Schedule.ID(pool, on), Attempt: 1, Received: received}}); !errors.Is(err, failure) {
				t.Error(err)
			}
		}
		until("10:06:00")
		run(a, "10:06:00", time.Now(), time.Minute+18*time.Millisecond, nil)
		first := time.Now()
		run(b, "10:07:00", first, time.Second, errors.New("not yet"))
		until("10:07:03")
		run(a, "10:07:00", first, time.Second, nil)

		until("10:08:00") // the same with a tick that was sent by a clock that is ahead, and a run that lasts over the next
		early := time.Now().Add(-400 * time.Millisecond)
		run(b, "10:08:00", early, 70*time.Second, errors.New("not yet"))
		run(a, "10:08:00", early, time.Second, nil)
		run(a, "10:09:00", time.Now(), time.Second, nil)
		if got := strings.Join(began, " "); got != "10:06:00 10:07:00 10:07:00 10:08:00 10:08:00" {
			t.Errorf("the runs are %s", got)
		}
		if n := a.s.Status()[0].Skipped; n != 1 {
			t.Errorf("%d are skipped", n)
		}
		a.kill()
		b.kill()
	})
}
