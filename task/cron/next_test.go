package cron

import (
	"os"
	"slices"
	"testing"
	"time"
)

// clockSpec is an expression as the oracle knows it: each field by hand.
type clockSpec struct {
	expr           string
	minutes, hours []int // empty: all
	days, weekdays []int // empty: all; with both, either
	months         []time.Month
}

func (c clockSpec) matches(w time.Time) bool {
	in := func(list []int, v int) bool { return len(list) == 0 || slices.Contains(list, v) }
	day := in(c.days, w.Day()) && in(c.weekdays, int(w.Weekday()))
	if len(c.days) > 0 && len(c.weekdays) > 0 {
		day = slices.Contains(c.days, w.Day()) || slices.Contains(c.weekdays, int(w.Weekday()))
	}
	return in(c.minutes, w.Minute()) && in(c.hours, w.Hour()) && day &&
		(len(c.months) == 0 || slices.Contains(c.months, w.Month()))
}

// minute is one minute of a zone, as its clock shows it.
type minute struct {
	at    time.Time
	shown time.Time // as a time in UTC
	again bool      // the clock has shown it before
	gap   time.Time // the first time on the clock that was left out just before; zero: none
}

// minutesOf looks at each minute of a time.
func minutesOf(zone *time.Location, from, until time.Time) (all []minute) {
	var last, latest time.Time
	for at := from.AddDate(0, 0, -3); !at.After(until); at = at.Add(time.Minute) {
		l := at.In(zone)
		m := minute{at: at, shown: time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)}
		m.again = !m.shown.After(latest)
		if next := last.Add(time.Minute); !last.IsZero() && m.shown.After(next) {
			m.gap = next
		}
		if last = m.shown; last.After(latest) {
			latest = last
		}
		if at.After(from) {
			all = append(all, m)
		}
	}
	return all
}

// oracle finds the ticks of a time by looking at each of its minutes.
func (c clockSpec) oracle(all []minute) (ticks []time.Time) {
	for _, m := range all {
		tick := c.matches(m.shown)
		if len(c.hours) > 0 { // a time on the clock
			tick = tick && !m.again
			for gap := m.gap; !gap.IsZero() && gap.Before(m.shown); gap = gap.Add(time.Minute) {
				tick = tick || c.matches(gap)
			}
		}
		if tick {
			ticks = append(ticks, m.at.UTC())
		}
	}
	return ticks
}

var clockSpecs = []clockSpec{
	{expr: "0 3 * * *", minutes: []int{0}, hours: []int{3}},
	{expr: "30 2 * * *", minutes: []int{30}, hours: []int{2}},
	{expr: "*/20 2 * * *", minutes: []int{0, 20, 40}, hours: []int{2}},
	{expr: "15,45 0-2 * * *", minutes: []int{15, 45}, hours: []int{0, 1, 2}},
	{expr: "@daily", minutes: []int{0}, hours: []int{0}},
	{expr: "0 */2 * * *", minutes: []int{0}, hours: []int{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22}},
	{expr: "*/15 * * * *", minutes: []int{0, 15, 30, 45}},
	{expr: "@hourly", minutes: []int{0}},
	{expr: "7 * * * 0", minutes: []int{7}, weekdays: []int{0}},
	{expr: "0 1 13 * 5", minutes: []int{0}, hours: []int{1}, days: []int{13}, weekdays: []int{5}},
	{expr: "0 2 * 3,11 SUN", minutes: []int{0}, hours: []int{2}, weekdays: []int{0}, months: []time.Month{3, 11}},
	{expr: "@monthly", minutes: []int{0}, hours: []int{0}, days: []int{1}},
	{expr: "59 23 31 * *", minutes: []int{59}, hours: []int{23}, days: []int{31}},
	{expr: "0 12 29 2 *", minutes: []int{0}, hours: []int{12}, days: []int{29}, months: []time.Month{2}},
}

// The zones and the years of these tests: daylight saving of an hour and of half an hour,
// at midnight, on the southern half, with a day left out, and with a change of the offset
// for good.
var clockZones = []struct {
	zone  string
	years []int
}{
	{"UTC", []int{2026}},
	{"Europe/Berlin", []int{2026}},
	{"America/New_York", []int{2026}},
	{"Australia/Lord_Howe", []int{2026}},
	{"Antarctica/Troll", []int{2026}},
	{"America/Sao_Paulo", []int{2018}},
	{"Pacific/Apia", []int{2011}},
	{"Africa/Casablanca", []int{2026}},
	{"Asia/Pyongyang", []int{2018}},
}

// TestTicksAreThoseOfEachMinuteOfAYear compares each schedule with an oracle that looks
// at all minutes of a year. People were hurt by days left out and by runs twice:
// robfig/cron#541, robfig/cron#12, nats-io/nats-server#8543, rundeck/rundeck#3234.
func TestTicksAreThoseOfEachMinuteOfAYear(t *testing.T) {
	zones := clockZones
	if os.Getenv("CHASSIS_SCALE") != "full" {
		zones = slices.Clone(zones[1:4])
	}
	for _, z := range zones {
		zone, err := time.LoadLocation(z.zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, year := range z.years {
			from := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			until := from.AddDate(1, 0, 0)
			all := minutesOf(zone, from, until)
			for _, c := range clockSpecs {
				s, err := New("x", c.expr, Zone(z.zone))
				if err != nil {
					t.Fatal(err)
				}
				var got []time.Time
				for tick := range s.Ticks(from, until) {
					got = append(got, tick.At)
				}
				if want := c.oracle(all); !slices.Equal(got, want) {
					t.Errorf("%s %d %q: %d ticks, want %d%s", z.zone, year, c.expr, len(got), len(want), firstOther(got, want))
				}
			}
		}
	}
}

func firstOther(got, want []time.Time) string {
	for i := range max(len(got), len(want)) {
		var a, b time.Time
		if i < len(got) {
			a = got[i]
		}
		if i < len(want) {
			b = want[i]
		}
		if !a.Equal(b) {
			return ": the first that differs is " + a.String() + ", want " + b.String()
		}
	}
	return ""
}

// The table of docs/schedules.md.
func TestDaylightSaving(t *testing.T) {
	for _, c := range []struct {
		expr, zone, after string
		want              []string
	}{
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		{"*/20 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
		{"0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"}},
		{"30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", []string{"2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"}},
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{"30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},
		{"0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", []string{"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}},
		{"@every 90m", "Europe/Berlin", "2026-10-25T00:00:00Z", []string{"2026-10-25T01:30:00Z", "2026-10-25T03:00:00Z"}},
	} {
		s, err := New("x", c.expr, Zone(c.zone))
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse(time.RFC3339, c.after)
		for _, want := range c.want {
			if at = s.Next(at).At; at.Format(time.RFC3339) != want {
				t.Errorf("%q in %s after %s: %s, want %s", c.expr, c.zone, c.after, at.Format(time.RFC3339), want)
			}
		}
	}
}

func TestNextIsAlwaysLater(t *testing.T) {
	for _, z := range clockZones {
		for _, expr := range []string{"* * * * *", "0 2 * * *", "L 0 L * *", "0 0 L * *", "0 9 15W * *", "0 9 * * FRI#3", "@every 7s", "0 0 29 2 *"} {
			s, err := New("x", expr, Zone(z.zone), Jitter(5*time.Second))
			if err != nil {
				continue
			}
			at := time.Date(z.years[0], 1, 1, 0, 0, 0, 0, time.UTC)
			for range 300 {
				next := s.Next(at)
				if !next.Due.After(at) || next.Due.Before(next.At) || next.Due.Sub(next.At) >= 5*time.Second {
					t.Fatalf("%s %q after %v: %v", z.zone, expr, at, next)
				}
				at = next.Due
			}
		}
	}
}

func BenchmarkNext(b *testing.B) {
	s, err := New("x", "*/5 * * * *", Zone("Europe/Berlin"))
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		at = s.Next(at).Due
	}
}
