package dispatcher

import (
	"testing"
	"time"
)

func TestWhatCountsAsStalled(t *testing.T) {
	const endlessAfter = 20 * time.Minute
	begin := time.Unix(0, 0)
	none, one := func() bool { return false }, func() bool { return true }
	for _, c := range []struct {
		name  string
		seen  signs
		after time.Duration // since the look before, at the begin
		want  stallKind
	}{
		{"a handler under way", signs{begun: begin}, 19 * time.Minute, moving},
		{"a handler without an end", signs{begun: begin}, endlessAfter, endless},
		{"a handler with a deadline", signs{begun: begin, deadline: true}, 3 * time.Hour, moving},
		{"a handler that reports", signs{begun: begin.Add(2 * time.Hour)}, 2*time.Hour + time.Minute, moving},
		{"a task actor in its Receive", signs{begun: begin}, 2 * time.Minute, moving},
		{"a task actor that waits for a short time", signs{begun: begin, idle: true, parent: none}, 59 * time.Second, moving},
		{"a silent task actor", signs{begun: begin, idle: true, parent: none}, time.Minute, silent},
		{"a silent one with a deadline", signs{begun: begin, idle: true, parent: none, deadline: true}, time.Minute, silent},
		{"one that gets messages", signs{begun: begin, idle: true, parent: none, moves: 1}, 10 * time.Minute, moving},
		{"one with children", signs{begun: begin, idle: true, parent: one}, 10 * time.Minute, moving},
		{"one with children that do not end", signs{begun: begin, idle: true, parent: one}, endlessAfter, endless},
	} {
		s, _ := stall{}.look(begin, signs{begun: begin, idle: c.seen.idle, parent: none}, endlessAfter)
		if s, _ = s.look(begin.Add(c.after), c.seen, endlessAfter); s.kind != c.want {
			t.Errorf("%s: %v, want %v", c.name, s.kind, c.want)
		}
	}
}

func TestASilentTaskActorIsAskedForChildrenOnceAMinute(t *testing.T) {
	begin, asked := time.Unix(0, 0), 0
	s := stall{}
	for i := range 60 { // ten minutes of looks
		s, _ = s.look(begin.Add(time.Duration(i)*10*time.Second), signs{begun: begin, idle: true, parent: func() bool { asked++; return true }}, time.Hour)
	}
	if asked > 10 {
		t.Errorf("asked %d times in ten minutes", asked)
	}
}
