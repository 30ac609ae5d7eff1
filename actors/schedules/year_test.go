package schedules

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/task/cron"
)

// span is a time in which at least one process was up.
type span struct{ from, to time.Time }

// oracle says which ticks come, and when, from nothing but the times at which a process
// was up. It knows nothing of queues, registers and processes.
func oracle(s cron.Schedule, up []span, begin, end time.Time) map[time.Time]time.Time {
	want := map[time.Time]time.Time{}
	upAt := func(from, to time.Time) (time.Time, bool) { // the first time in it at which one is up
		for _, u := range up {
			if u.to.After(from) && !u.from.After(to) {
				if u.from.After(from) {
					return u.from, true
				}
				return from, true
			}
		}
		return time.Time{}, false
	}
	missed := map[time.Time][]time.Time{} // by the time at which one is up again
	for t := range s.Ticks(begin, end) {
		if at, ok := upAt(t.Due, t.Due.Add(cron.Fresh)); ok {
			want[t.Due] = at
			continue
		}
		if at, ok := upAt(t.Due, end); ok {
			missed[at] = append(missed[at], t.Due)
		}
	}
	for at, list := range missed {
		switch text := s.Late().String(); {
		case text == "once":
			fresh := slices.ContainsFunc(slices.Collect(dues(s, at.Add(-cron.Fresh).Add(-1), at)), func(time.Time) bool { return true })
			if !fresh {
				want[list[len(list)-1]] = at
			}
		case strings.HasPrefix(text, "all"):
			var most int
			_, _ = fmt.Sscanf(text, "all(%d)", &most)
			for _, due := range list[max(0, len(list)-most):] {
				want[due] = at
			}
		}
	}
	return want
}

func dues(s cron.Schedule, from, to time.Time) func(func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		for t := range s.Ticks(from, to) {
			if !yield(t.Due) {
				return
			}
		}
	}
}

// TestAFleetForAYear plays five processes that die, are suspended and are started at
// random, with outages of three days, over the changes of daylight saving in three zones:
// what comes is what an oracle says, policy by policy, each tick once. Without
// CHASSIS_SCALE=full it plays a week around one change.
func TestAFleetForAYear(t *testing.T) {
	begin, days, outages := time.Date(2026, 3, 25, 0, 0, 0, 0, time.UTC), 7, []int{2}
	if os.Getenv("CHASSIS_SCALE") == "full" {
		begin, days, outages = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 365, []int{40, 86, 200, 296}
	}
	bubble(t, func(t *testing.T) {
		time.Sleep(time.Until(begin))
		f := newFleet(t)
		random := rand.New(rand.NewPCG(2026, uint64(days)))
		var jobs []Job
		for _, z := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe"} {
			for i, late := range []cron.LatePolicy{cron.Never, cron.Once, cron.All(5), cron.All(200)} {
				for k, expr := range []string{"30 2 * * *", "17 * * * *", "5,35 1-3 * * *"} {
					name := fmt.Sprintf("%s-%d-%d", strings.ToLower(z[strings.LastIndex(z, "/")+1:]), i, k)
					jobs = append(jobs, job(t, name, expr, cron.Zone(z), cron.Late(late), cron.Jitter(time.Duration(k)*20*time.Second)))
				}
			}
		}
		const processes = 5
		fleet := make([]*process, processes)
		suspended := make([]bool, processes)
		var up []span
		lives, suspends := 0, 0
		count := func() (n int) {
			for i, p := range fleet {
				if p != nil && !suspended[i] {
					n++
				}
			}
			return n
		}
		was := 0
		note := func() { // call it after each change
			synctest.Wait()
			switch n := count(); {
			case n > 0 && was == 0:
				up = append(up, span{from: time.Now().UTC(), to: begin.AddDate(2, 0, 0)})
				was = n
			case n == 0 && was > 0:
				up[len(up)-1].to = time.Now().UTC()
				was = 0
			default:
				was = n
			}
		}
		start := func(i int) {
			lives++
			fleet[i] = f.start(fmt.Sprintf("p%d-%d", i, lives), jobs...)
			suspended[i] = false
		}
		kill := func(i int) {
			fleet[i].kill()
			fleet[i], suspended[i] = nil, false
		}
		change := func(i int) {
			switch p := fleet[i]; {
			case p == nil:
				start(i)
			case suspended[i]:
				suspended[i] = false
				p.goOn()
			case random.IntN(2) == 0:
				suspends++
				suspended[i] = true
				p.suspend()
			default:
				kill(i)
			}
		}
		end := begin.AddDate(0, 0, days)
		for i := range processes {
			start(i)
		}
		note()
		for time.Now().Before(end) {
			// At a third of a second: nothing dies at the very time of a tick.
			pause := time.Duration(random.ExpFloat64() * float64(5*time.Hour)).Truncate(time.Second)
			time.Sleep(pause + 333*time.Millisecond - time.Duration(time.Now().Nanosecond()))
			if day := int(time.Since(begin).Hours() / 24); len(outages) > 0 && day >= outages[0] {
				outages = outages[1:]
				for i, p := range fleet {
					if p != nil {
						kill(i)
					}
				}
				note()
				time.Sleep(72 * time.Hour)
				start(0)
				note()
			}
			change(random.IntN(processes))
			note()
			f.take()
		}
		for i := range processes { // what was missed at last comes too
			if fleet[i] == nil {
				start(i)
			}
			if suspended[i] {
				suspended[i] = false
				fleet[i].goOn()
			}
		}
		note()
		time.Sleep(time.Second)
		f.take()
		last := time.Now()
		for i := range processes {
			kill(i)
		}
		ticks, late := 0, 0
		for _, j := range jobs {
			name := j.Schedule.Name()
			want := oracle(j.Schedule, up, begin, last)
			got := map[time.Time]int{}
			for _, s := range f.seen {
				if s.name == name {
					tick, _ := j.Schedule.ParseJobID(s.jobID)
					got[tick.Due]++
				}
			}
			for due, n := range got {
				if _, ok := want[due]; !ok || n != 1 {
					t.Errorf("%s (%v): the tick of %v came %d times, the oracle has it: %v", name, j.Schedule.Late(), due, n, ok)
				}
			}
			for due, at := range want {
				if got[due] == 0 {
					t.Errorf("%s (%v): the tick of %v did not come, the oracle has it at %v", name, j.Schedule.Late(), due, at)
				}
				if ticks++; at.Sub(due) > cron.Fresh {
					late++
				}
			}
		}
		t.Logf("%d days, %d schedules, %d ticks, %d of them late; %d lives, %d suspends, %d outages of all", days, len(jobs), ticks, late, lives, suspends, len(up)-1)
	})
}
