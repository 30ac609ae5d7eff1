package flow

import (
	"testing"
	"time"
)

// TestDecide says what becomes of messages of one group that came together.
func TestDecide(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	reports := func(age time.Duration, count int, members ...int) (list []received) {
		for _, i := range members {
			p, err := decodePartial(report("q.fifo", seat{"g", i}, i%2 == 0).Body)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, received{part: p, count: count, sent: now.Add(-age)})
		}
		return list
	}
	head := received{part: &partial{Group: "g", Head: &head{Members: 3, Place: place{Queue: "q.fifo"}}}, count: 9, sent: now}
	day := 24 * time.Hour
	for _, c := range []struct {
		name string
		msgs []received
		full bool
		want string
	}{
		{"one report", reports(0, 1, 0), false, "1s"},
		{"all but one", append(reports(0, 1, 0, 1), head), false, "1s"},
		{"the whole set", append(reports(0, 1, 0, 1, 2), head), false, "whole"},
		{"the whole set with one more", append(reports(0, 1, 0, 1, 2, 77), head), false, "whole"},
		{"one twice", append(reports(0, 1, 0, 1, 1), head), false, "1s"},
		{"the members without the head", reports(0, 1, 0, 1, 2), false, "1s"},
		{"it has waited", reports(time.Hour, 90, 0, 1), false, "30s"},
		{"it has waited, and one is new", append(reports(time.Hour, 90, 0), reports(0, 1, 1)...), false, "1s"},
		{"it has waited for long", reports(day, 9000, 0, 1), false, "1m0s"},
		{"eight", reports(0, 1, 0, 1, 2, 3, 4, 5, 6, 7), false, "fold"},
		{"four of ten", reports(0, 1, 0, 1, 2, 3), true, "fold"},
		{"three of ten", reports(0, 1, 0, 1, 2), true, "1s"},
		{"its queue drops it soon", reports(8*day, 9000, 0, 1), false, "fold"},
		{"a duplicate that came too late", reports(8*day, 9000, 0), false, "1m0s"},
		{"a quarter of a year", reports(91*day, 9000, 0, 1), false, "drop"},
		{"a clock that is behind", reports(-day, 1, 0, 1), false, "1s"},
	} {
		d := decide(c.msgs, c.full, now)
		got := d.hide.String()
		switch {
		case d.whole:
			got = "whole"
		case d.fold:
			got = "fold"
		case d.drop:
			got = "drop"
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
