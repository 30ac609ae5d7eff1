package cron

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	day := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) // every minute has a tick
	min := func(n int) time.Time { return day.Add(time.Duration(n) * time.Minute) }
	for _, c := range []struct {
		name         string
		late         LatePolicy
		sent, now    time.Time
		fresh, late2 []time.Time
		missed       int
	}{
		{"nothing is due", All(5), min(0), min(1).Add(-1), nil, nil, 0},
		{"one is due", Never, min(0), min(1), []time.Time{min(1)}, nil, 0},
		{"one is a minute old", Never, min(0), min(2), []time.Time{min(1), min(2)}, nil, 0},
		{"one is older", Never, min(0), min(2).Add(1), []time.Time{min(2)}, nil, 1},
		{"never, after an hour", Never, min(0), min(60).Add(30 * time.Second), []time.Time{min(60)}, nil, 59},
		{"once, and a fresh one is the last", Once, min(0), min(60).Add(30 * time.Second), []time.Time{min(60)}, nil, 59},
		{"all", All(100), min(0), min(3).Add(30 * time.Second), []time.Time{min(3)}, []time.Time{min(1), min(2)}, 0},
		{"all up to a cap", All(3), min(0), min(60).Add(30 * time.Second), []time.Time{min(60)}, []time.Time{min(57), min(58), min(59)}, 56},
	} {
		s, err := New("x", "* * * * *", Late(c.late))
		if err != nil {
			t.Fatal(err)
		}
		d := s.Decide(c.sent, c.now)
		if !slices.Equal(times(d.Fresh), c.fresh) || !slices.Equal(times(d.Late), c.late2) || d.Missed != c.missed {
			t.Errorf("%s: %+v, want fresh %v, late %v, missed %d", c.name, d, c.fresh, c.late2, c.missed)
		}
	}
	daily, err := New("x", "0 3 * * *", Late(Once))
	if err != nil {
		t.Fatal(err)
	}
	d := daily.Decide(day.AddDate(0, 0, -3), day)
	if want := day.Add(-9 * time.Hour); len(d.Fresh) != 0 || len(d.Late) != 1 || !d.Late[0].At.Equal(want) || d.Missed != 2 {
		t.Errorf("once, after three days: %+v, want %v and two missed", d, want)
	}
}

// A fleet that was down for long is no error and no flood: kubernetes gives up at a hundred
// missed starts (kubernetes/kubernetes#42649, kubernetes/kubernetes#83642).
func TestAYearOfMissedTicksIsBounded(t *testing.T) {
	s, err := New("x", "@every 1s", Late(All(MaxLate)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	begun := time.Now()
	d := s.Decide(now.AddDate(-1, 0, 0), now)
	if len(d.Late) != MaxLate || len(d.Fresh) != 61 || !d.Late[MaxLate-1].At.Equal(now.Add(-61*time.Second)) {
		t.Errorf("%d late, %d fresh, the last late one %v", len(d.Late), len(d.Fresh), d.Late[len(d.Late)-1])
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestEachTickIsDecidedOnce cuts a time into pieces at random: what is sent in sum is
// what was due, each once, whatever the pieces are.
func TestEachTickIsDecidedOnce(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		s, err := New("x", []string{"*/3 * * * *", "@every 40s", "30 2 * * *"}[seed%3], Zone("Europe/Berlin"),
			Late(All(MaxLate)), Jitter(time.Duration(random.IntN(30))*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2026, 3, 28, 23, 0, 0, 0, time.UTC)
		sent, now := from, from
		var got []Tick
		for range 50 {
			now = now.Add(time.Duration(random.ExpFloat64() * float64(5*time.Minute)))
			d := s.Decide(sent, now)
			got = append(append(got, d.Late...), d.Fresh...)
			if d.Missed > 0 {
				t.Fatalf("seed %d: %d missed", seed, d.Missed)
			}
			if len(got) > 0 {
				sent = got[len(got)-1].Due
			}
		}
		if want := slices.Collect(s.Ticks(from, now)); !slices.Equal(got, want) {
			t.Errorf("seed %d: %d ticks, want %d", seed, len(got), len(want))
		}
	}
}

func times(ticks []Tick) (list []time.Time) {
	for _, t := range ticks {
		list = append(list, t.At)
	}
	return list
}
