package dispatcher

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// lab drives a turnover by a clock of its own.
type lab struct {
	turnover
	now time.Time
}

func (l *lab) start(n int) (list []*stint) {
	for range n {
		s := &stint{}
		l.began(s, l.now)
		list = append(list, s)
	}
	return list
}

func (l *lab) end(list []*stint) {
	for _, s := range list {
		l.ended(s, l.now.Sub(s.begun))
	}
}

func (l *lab) pass(d time.Duration) { l.now = l.now.Add(d) }

func TestWhatRunsLongIsNotExpectedToEndSoon(t *testing.T) {
	epoch := time.Unix(1000, 0)
	for _, tc := range []struct {
		name string
		play func(l *lab)
		want int
	}{
		{"nothing runs", func(l *lab) {}, 0},
		{"nothing has ended yet", func(l *lab) { l.start(5); l.pass(time.Hour) }, 5},
		{"as long as the others took", func(l *lab) {
			first := l.start(3)
			l.pass(time.Second)
			l.end(first)
			l.start(4)
			l.pass(8*time.Second - time.Millisecond)
		}, 4},
		{"longer than eight times that", func(l *lab) {
			first := l.start(3)
			l.pass(time.Second)
			l.end(first)
			l.start(4)
			l.pass(8*time.Second + time.Millisecond)
			l.start(2)
		}, 2},
		{"short attempts count for 10 ms", func(l *lab) {
			l.end(l.start(3))
			l.start(4)
			l.pass(10 * time.Millisecond)
		}, 4},
		{"and no longer", func(l *lab) {
			l.end(l.start(3))
			l.start(4)
			l.pass(10*time.Millisecond + 1)
		}, 0},
		{"long ones that begin to end are expected again", func(l *lab) {
			l.end(l.start(1))
			long := l.start(40)
			l.pass(10 * time.Second)
			if n := l.soon(l.now); n != 0 {
				panic("not yet")
			}
			l.end(long[:35])
			if n := l.soon(l.now); n != 5 {
				panic("not all")
			}
			l.end(long[35:37])
		}, 3},
		{"an old one ends among recent ones", func(l *lab) {
			l.end(l.start(1))
			old := l.start(2)
			l.pass(20 * time.Millisecond)
			young := l.start(3)
			l.soon(l.now)
			l.end(old[1:])
			l.end(young[:1])
			for range 50 {
				l.end(l.start(1)) // what the long one took is forgotten
			}
		}, 2},
		{"from seconds to milliseconds within 40 ends", func(l *lab) {
			long := l.start(64)
			l.pass(10 * time.Second)
			l.end(long[:6])
			for range 40 {
				s := l.start(1)
				l.pass(3 * time.Millisecond)
				l.end(s)
			}
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := &lab{now: epoch}
			tc.play(l)
			if n := l.soon(l.now); n != tc.want {
				t.Errorf("%d may end soon, want %d", n, tc.want)
			}
		})
	}
}

// The count is that of a plain search, whatever begins and ends when.
func TestTurnoverCountsAsASearchDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &lab{now: time.Unix(1000, 0)}
		var running []*stint
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				running = append(running, l.start(rapid.IntRange(1, 5).Draw(t, "n"))...)
			case 1:
				if len(running) > 0 {
					i := rapid.IntRange(0, len(running)-1).Draw(t, "ends")
					l.end(running[i : i+1])
					running = append(running[:i:i], running[i+1:]...)
				}
			case 2:
				l.pass(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pass")))
			case 3:
				want := 0
				for _, s := range running {
					if !l.known || !s.begun.Before(l.now.Add(-l.limit())) {
						want++
					}
				}
				if n := l.soon(l.now); n != want || n != l.recent {
					t.Fatalf("%d may end soon, a search finds %d", n, want)
				}
			}
		}
		l.end(running)
		for _, s := range running {
			if s.prev != nil || s.next != nil {
				t.Fatal("what has ended keeps another")
			}
		}
		if l.last != nil || l.edge != nil || l.soon(l.now) != 0 {
			t.Fatal("something is left of what has ended")
		}
	})
}
