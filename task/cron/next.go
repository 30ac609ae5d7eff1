package cron

import "time"

// Next returns the first time after t, or the zero time without one.
func (s *Timetable) Next(t time.Time) time.Time {
	switch {
	case s.every > 0:
		return nextMultiple(t, s.every)
	case s.pace:
		return s.nextPace(t)
	}
	return s.nextClock(t)
}

// nextMultiple returns the first multiple of d since 1970 after t.
func nextMultiple(t time.Time, d time.Duration) time.Time {
	step := int64(d / time.Second)
	n := t.Unix() / step
	if t.Unix()%step < 0 { // before 1970
		n--
	}
	return time.Unix((n+1)*step, 0).UTC()
}

// nextClock maps each time on the clock that matches to one instant: the first of two,
// or the end of a gap. Later times on the clock are never earlier instants, so that the
// first that is after t is the next.
func (s *Timetable) nextClock(t time.Time) time.Time {
	for w := s.wall.Next(wallOf(t.In(s.zone))); !w.IsZero(); w = s.wall.Next(w) {
		if at := instantOf(w, s.zone); at.After(t) {
			return at.UTC()
		}
	}
	return time.Time{}
}

// nextPace looks from one change of the zone's offset to the next. Within them the clock
// has neither gaps nor doubles.
func (s *Timetable) nextPace(t time.Time) time.Time {
	for range maxChanges {
		local := t.In(s.zone)
		_, offset := local.Zone()
		w := s.wall.Next(wallOf(local))
		if w.IsZero() {
			return w
		}
		at := w.Add(-time.Duration(offset) * time.Second)
		_, end := local.ZoneBounds()
		if end.IsZero() || at.Before(end) {
			return at
		}
		// From one nanosecond before the change on, by the clock after it.
		_, after := end.Zone()
		from := wallOf(end).Add(-time.Nanosecond)
		if w = s.wall.Next(from); w.IsZero() {
			return w
		}
		at = w.Add(-time.Duration(after) * time.Second)
		if _, next := end.ZoneBounds(); next.IsZero() || at.Before(next) {
			return at
		}
		t = end
	}
	return time.Time{}
}

// maxChanges bounds the changes of a zone's offset that are looked at for one tick. An
// expression that ticks in no year of a hundred has no next.
const maxChanges = 200

// wallOf returns what the clock shows at t, as a time in UTC.
func wallOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.Add(time.Duration(offset) * time.Second).UTC()
}

// instantOf returns the instant at which the clock of a zone shows w: the first if there
// are two, and the end of the gap if it never does.
func instantOf(w time.Time, zone *time.Location) time.Time {
	x := time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), 0, zone)
	start, end := x.ZoneBounds()
	switch shown := wallOf(x); {
	case shown.Before(w):
		return end
	case shown.After(w):
		return start
	}
	if start.IsZero() {
		return x
	}
	_, before := start.Add(-time.Nanosecond).Zone()
	if earlier := w.Add(-time.Duration(before) * time.Second); earlier.Before(start) {
		return earlier
	}
	return x
}
