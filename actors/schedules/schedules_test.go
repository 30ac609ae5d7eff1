package schedules

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/task/cron"
)

// Each tick comes once, as long as one process is there, and on its second.
func TestATickOfAFleetComesOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		j := job(t, "hourly", "0 * * * *")
		until("10:30:00")
		a, b := f.start("a", j), f.start("b", j)
		until("11:00:00")
		if got := f.text(); got != "hourly@11:00:00" {
			t.Error(got)
		}
		a.kill()
		until("12:00:00")
		c := f.start("c", j) // at the very second
		synctest.Wait()
		if got := f.text(); got != "hourly@12:00:00" {
			t.Error(got)
		}
		b.kill()
		c.kill()
		until("13:00:40") // between the end of one process and the begin of the next: sidekiq/sidekiq#6804
		d := f.start("d", j)
		synctest.Wait()
		if got := f.text(); got != "hourly@13:00:00" {
			t.Error(got)
		}
		st := d.s.Status()[0]
		if st.Sent != 1 || st.Missed != 0 || !st.Next.Equal(st.LastSent.Add(time.Hour)) || st.Error != "" {
			t.Errorf("%+v", st)
		}
		d.kill()
	})
}

// A process that was suspended sends nothing that is old, and asks nothing but the
// register what it has missed.
func TestASuspendedProcessSendsNothingTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		jobs := []Job{job(t, "never", "*/10 * * * *"), job(t, "all", "*/10 * * * *", cron.Late(cron.All(100)))}
		until("10:05:00")
		a, b := f.start("a", jobs...), f.start("b", jobs...)
		a.suspend()
		until("10:35:00")
		if got := f.text(); got != "never@10:10:00 all@10:10:00 never@10:20:00 all@10:20:00 never@10:30:00 all@10:30:00" {
			t.Error(got)
		}
		a.goOn()
		synctest.Wait()
		until("10:39:00")
		if got := f.text(); got != "" {
			t.Error("after it went on:", got)
		}
		until("10:40:00")
		if got := f.text(); got != "never@10:40:00 all@10:40:00" {
			t.Error(got)
		}
		a.suspend()
		b.kill()
		until("11:15:00") // nobody is left
		a.goOn()
		time.Sleep(time.Second)
		if got := f.text(); got != "all@10:50:00 all@11:00:00 all@11:10:00" {
			t.Error(got)
		}
		a.kill()
	})
}

func TestWhatAFleetThatWasDownSends(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		jobs := []Job{job(t, "never", "0 * * * *"), job(t, "once", "0 * * * *", cron.Late(cron.Once)),
			job(t, "all", "0 * * * *", cron.Late(cron.All(3)))}
		until("08:30:00")
		a := f.start("a", jobs...) // new: nothing is late
		synctest.Wait()
		if got := f.text(); got != "" {
			t.Error("new ones:", got)
		}
		a.kill()
		until("12:30:00")
		b := f.start("b", jobs...)
		synctest.Wait()
		c := f.start("c", jobs...)
		time.Sleep(time.Second)
		if got := f.text(); got != "all@10:00:00 all@11:00:00 once@12:00:00 all@12:00:00" {
			t.Error(got)
		}
		if st := b.s.Status(); st[1].SentLate != 1 || st[1].Missed != 3 || st[2].SentLate != 3 || st[2].Missed != 1 {
			t.Errorf("%+v", st)
		}
		b.kill()
		c.kill()
		time.Sleep(10 * time.Minute) // beyond the deduplication
		d := f.start("d", jobs...)
		time.Sleep(time.Second)
		if got := f.text(); got != "" {
			t.Error("a second start:", got)
		}
		until("13:00:00")
		if got := f.text(); got != "never@13:00:00 once@13:00:00 all@13:00:00" {
			t.Error(got)
		}
		d.kill()
	})
}

// While the queue is away nothing is lost for a minute, and then by the policy.
func TestAQueueThatIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		jobs := []Job{job(t, "never", "*/10 * * * *"), job(t, "once", "*/10 * * * *", cron.Late(cron.Once))}
		until("10:05:00")
		a := f.start("a", jobs...)
		synctest.Wait()
		away := func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") }
		a.instead(away)
		until("10:10:30")
		if st := a.s.Status()[0]; st.Error == "" {
			t.Error("the page says nothing of it")
		}
		a.instead(nil)
		time.Sleep(25 * time.Second)
		if got := f.text(); got != "never@10:10:00 once@10:10:00" {
			t.Error(got)
		}
		a.instead(away)
		until("10:35:00")
		a.instead(nil)
		time.Sleep(35 * time.Second)
		if got := f.text(); got != "once@10:30:00" {
			t.Error(got)
		}
		if st := a.s.Status(); st[0].Missed != 2 || st[1].Missed != 1 || st[0].Error != "" {
			t.Errorf("%+v", st)
		}
		a.kill()
	})
}

// Without the rights on tags, ticks are sent; what needs them is said once.
func TestTagsThatMayNotBeUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		until("10:05:00")
		a := f.start("a", job(t, "once", "*/10 * * * *", cron.Late(cron.Once)))
		a.instead(refuseTags)
		until("10:10:00")
		if got := f.text(); got != "once@10:10:00" {
			t.Error(got)
		}
		a.kill()
	})
}

// A clock that is wrong is measured by the Date of the queue's answers.
func TestTheQueuesClockCounts(t *testing.T) {
	for _, skew := range []time.Duration{-30 * time.Second, 30 * time.Second, -time.Hour, 2 * time.Hour} {
		bubble(t, func(t *testing.T) {
			f := newFleet(t)
			until("10:05:00")
			time.Sleep(300 * time.Millisecond)
			a := f.startSkewed("a", skew, job(t, "x", "*/10 * * * *"))
			for range 6 {
				time.Sleep(10 * time.Minute)
				f.take()
			}
			if len(f.seen) != 6 {
				t.Errorf("%v: %d ticks", skew, len(f.seen))
			}
			a.kill()
		})
		bubble(t, func(t *testing.T) {
			f := newFleet(t)
			until("10:05:00")
			time.Sleep(300 * time.Millisecond)
			a := f.startSkewed("a", skew, job(t, "x", "*/10 * * * *"))
			until("10:09:59")
			if got := f.text(); got != "" {
				t.Errorf("%v: a second early: %s", skew, got)
			}
			until("10:10:01")
			if got := f.text(); got != "x@10:10:00" {
				t.Errorf("%v: a second late: %s", skew, got)
			}
			a.kill()
		})
	}
}

// A pause of an operator holds for all processes, and for one that comes later.
func TestAPauseIsOfTheFleet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		jobs := []Job{job(t, "x", "*/10 * * * *", cron.Late(cron.All(9))), job(t, "y", "*/10 * * * *", cron.Paused())}
		until("10:05:00")
		a, b := f.start("a", jobs...), f.start("b", jobs...)
		if err := a.s.Pause(t.Context(), f.system, a.pid, "x", true); err != nil {
			t.Fatal(err)
		}
		if st := a.s.Status(); st[0].Paused != "operator" { // though its first round was under way
			t.Errorf("after the answer: %+v", st[0])
		}
		if err := a.s.Pause(t.Context(), f.system, a.pid, "z", true); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "x, y") {
			t.Error(err)
		}
		until("10:25:00")
		c := f.start("c", jobs...)
		until("10:35:00")
		if got := f.text(); got != "" {
			t.Error("while it was paused:", got)
		}
		for _, p := range []*process{a, b, c} {
			if st := p.s.Status(); st[0].Paused != "operator" || st[1].Paused != "settings" || !st[0].Next.IsZero() {
				t.Errorf("%+v", st)
			}
		}
		if err := b.s.Pause(t.Context(), f.system, b.pid, "x", false); err != nil {
			t.Fatal(err)
		}
		if st := b.s.Status(); st[0].Paused != "" || st[0].Next.Format(time.TimeOnly) != "10:40:00" {
			t.Errorf("after the end of the pause: %+v", st[0])
		}
		until("10:40:00")
		if got := f.text(); got != "x@10:40:00" {
			t.Error(got)
		}
		id, err := c.s.Send(t.Context(), f.system, c.pid, "y")
		if err != nil {
			t.Fatal(err)
		}
		f.take()
		if len(f.seen) != 1 || f.seen[0].execID != id || f.seen[0].jobID != "y@operator" {
			t.Errorf("sent by hand: %+v", f.seen)
		}
		a.kill()
		b.kill()
		c.kill()
	})
}

// What changes while the process runs is not late; what stays goes on.
func TestSchedulesThatChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		x := job(t, "x", "*/10 * * * *", cron.Late(cron.All(9)))
		until("10:05:00")
		a := f.start("a", x)
		until("10:10:00")
		f.system.Root.Send(a.pid, &Set{Jobs: []Job{x, job(t, "new", "*/5 * * * *", cron.Late(cron.All(9)))}})
		until("10:15:00")
		f.system.Root.Send(a.pid, &Set{Jobs: []Job{job(t, "x", "*/20 * * * *", cron.Late(cron.All(9)))}})
		until("10:41:00")
		if got := f.text(); got != "x@10:10:00 new@10:15:00 x@10:20:00 x@10:40:00" {
			t.Error(got)
		}
		f.system.Root.Send(a.pid, &Set{Jobs: []Job{x, x}})
		f.system.Root.Send(a.pid, &Set{})
		synctest.Wait()
		if st := a.s.Status(); len(st) != 0 {
			t.Errorf("%+v", st)
		}
		if _, err := actors.Ask[any](t.Context(), f.system, a.pid, "how are you?"); err == nil {
			t.Error("an unknown message is not refused")
		}
		a.kill()
	})
}

// A daily schedule costs a request in ten minutes, and none of them writes.
func TestRequestsOfAScheduleThatIsNotDue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		until("10:05:00")
		a := f.start("a", job(t, "x", "0 3 * * *", cron.Late(cron.Once)))
		until("11:05:30")
		a.mu.Lock()
		reads, writes := a.requests["AmazonSQS.ListQueueTags"], a.requests["AmazonSQS.TagQueue"]
		a.mu.Unlock()
		if reads != 7 || writes != 1 {
			t.Errorf("%d reads and %d writes in an hour", reads, writes)
		}
		a.kill()
	})
}
