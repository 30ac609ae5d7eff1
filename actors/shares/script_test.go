package shares

import (
	"fmt"
	"strings"
	"testing"
)

// play does one line of a script: join, leave, ask, reserve, release,
// claim or unclaim, and the pool. It returns what the pools are to hear.
func (b *bench) play(t *testing.T, line string) string {
	t.Helper()
	f := strings.Fields(line)
	name, epoch, _ := strings.Cut(f[1], "#")
	number := func(i int) (n int) {
		if len(f) > i {
			if _, err := fmt.Sscan(f[i], &n); err != nil {
				t.Fatal(line, err)
			}
		}
		return n
	}
	e := uint64(1)
	if epoch != "" {
		e = uint64(epoch[0] - '0')
	}
	if f[0] == "join" {
		b.join(name, e, Share{Weight: number(2), Priority: number(3)})
	} else if p := b.find(name, e); p == nil {
		return "not known"
	} else {
		switch f[0] {
		case "leave":
			b.leave(p)
		case "ask":
			b.ask(p, number(2), number(3))
		case "reserve":
			b.reserve(p)
		case "release":
			b.release(p)
		case "claim":
			b.claim(p, f[2], number(3))
		case "unclaim":
			b.unclaim(p, f[2])
		default:
			t.Fatal(line)
		}
	}
	var heard []string
	for _, e := range b.take() {
		switch {
		case e.solo:
			heard = append(heard, e.to.name+" alone")
		case e.claimed != "":
			heard = append(heard, e.to.name+" claimed "+e.claimed)
		default:
			heard = append(heard, fmt.Sprintf("%s +%d free %d ahead %d", e.to.name, e.granted, e.free, e.ahead))
		}
	}
	return strings.Join(heard, ", ")
}

// Scripts of what pools say, and what each is to hear for it. Numbers after ask
// are permits returned and more permits wanted; after join weight and priority.
func TestWhatPoolsAreSent(t *testing.T) {
	for _, tc := range []struct {
		name  string
		limit int
		lines [][2]string
	}{
		{"a pool alone", 4, [][2]string{
			{"join a 1", "a +0 free 4 ahead 4"},
			{"ask a 0 1", "a +1 free 3 ahead 0"},
			{"ask a 0 3", "a +3 free 0 ahead 0"},
			{"ask a 0 1", ""},
			{"ask a 1 0", "a +1 free 0 ahead 0"},
			{"ask a 1 0", "a +0 free 1 ahead 0"},
			{"ask a 1 0", "a +0 free 2 ahead 0"},
			{"ask a 2 0", "a +0 free 4 ahead 4"},
			{"ask a 0 0", ""},
		}},
		{"the last permit of another", 2, [][2]string{
			{"join a 1", "a +0 free 2 ahead 2"},
			{"join b 1", "a +0 free 2 ahead 1, b +0 free 2 ahead 1"},
			{"ask a 0 1", "a +1 free 1 ahead 0"},
			{"ask b 0 1", "a +0 free 0 ahead 1, b +1 free 0 ahead 1"},
			{"ask a 1 0", "a +0 free 1 ahead 1, b +0 free 1 ahead 0"},
			{"ask a 0 2", "a +1 free 0 ahead 1, b +0 free 0 ahead 1"},
			{"ask b 1 0", "a +1 free 0 ahead 0"},
		}},
		{"one that only waits competes too", 1, [][2]string{
			{"join a 1", "a +0 free 1 ahead 1"},
			{"join b 1", "b +0 free 1 ahead 1"},
			{"ask a 0 1", "a +1 free 0 ahead 0, b +0 free 0 ahead 1"},
			{"ask b 0 1", "a +0 free 0 ahead 1"},
			{"ask b 0 -1", "a +0 free 0 ahead 0"},
		}},
		{"of equals the first to join goes first", 1, [][2]string{
			{"join a 1", "a +0 free 1 ahead 1"},
			{"join b 1", "b +0 free 1 ahead 1"},
			{"join c 1", "c +0 free 1 ahead 1"},
			{"ask c 0 1", "a +0 free 0 ahead 1, b +0 free 0 ahead 1, c +1 free 0 ahead 0"},
			{"ask b 0 1", "c +0 free 0 ahead 1"},
			{"ask a 0 1", ""},
			{"ask c 1 0", "a +1 free 0 ahead 1"},
			{"ask a 1 0", "b +1 free 0 ahead 0"},
		}},
		{"credits below zero are made good first", 3, [][2]string{
			{"join a 1", "a +0 free 3 ahead 3"},
			{"ask a 0 -2", ""},
			{"ask a 0 2", ""},
			{"ask a 0 1", "a +1 free 2 ahead 0"},
		}},
		{"a pool that joins again has lost what it had, and its old words are late", 2, [][2]string{
			{"join a 1", "a +0 free 2 ahead 2"},
			{"join b 1", "a +0 free 2 ahead 1, b +0 free 2 ahead 1"},
			{"ask a 0 2", "a +2 free 0 ahead 0, b +0 free 0 ahead 1"},
			{"ask b 0 1", "a +0 free 0 ahead 1"},
			{"join a#2 1", "a +0 free 1 ahead 1, b +1 free 1 ahead 0"},
			{"ask a 2 0", "not known"},
			{"ask c 0 1", "not known"},
			{"ask a#2 0 1", "a +1 free 0 ahead 1, b +0 free 0 ahead 1"},
		}},
		{"a pool that leaves", 2, [][2]string{
			{"join a 1", "a +0 free 2 ahead 2"},
			{"join b 1", "a +0 free 2 ahead 1, b +0 free 2 ahead 1"},
			{"ask a 0 2", "a +2 free 0 ahead 0, b +0 free 0 ahead 1"},
			{"ask b 0 2", "a +0 free 0 ahead 1"},
			{"leave a", "b +2 free 0 ahead 0"},
			{"ask a 1 0", "not known"},
		}},
		{"weights are bounded", 10, [][2]string{
			{"join a 0", "a +0 free 10 ahead 10"},
			{"join b 5000", "a +0 free 10 ahead 1, b +0 free 10 ahead 10"},
		}},
		{"a higher priority has all of its share", 4, [][2]string{
			{"join a 1", "a +0 free 4 ahead 4"},
			{"join b 1 1", "a +0 free 4 ahead 2, b +0 free 4 ahead 4"},
		}},
		{"one suspect at a time, and the others go on", 2, [][2]string{
			{"join a 1", "a +0 free 2 ahead 2"},
			{"join b 1", "a +0 free 2 ahead 1, b +0 free 2 ahead 1"},
			{"reserve a", "a alone"},
			{"reserve a", ""},
			{"ask b 0 1", "b +1 free 1 ahead 0"},
			{"reserve b", ""},
			{"ask b 0 1", "a +0 free 0 ahead 1, b +1 free 0 ahead 0"},
			{"release a", "b alone"},
			{"release a", ""},
		}},
		{"two that want to be alone", 2, [][2]string{
			{"join a 1", "a +0 free 2 ahead 2"},
			{"join b 1", "a +0 free 2 ahead 1, b +0 free 2 ahead 1"},
			{"join c 1", "c +0 free 2 ahead 1"},
			{"reserve a", "a alone"},
			{"reserve b", ""},
			{"reserve c", ""},
			{"release b", ""},
			{"ask b 0 1", "b +1 free 1 ahead 0"},
			{"release a", "c alone"},
			{"leave c", ""},
		}},
		{"one that was alone joins again", 1, [][2]string{
			{"join a 1", "a +0 free 1 ahead 1"},
			{"reserve a", "a alone"},
			{"join a#2 1", "a +0 free 1 ahead 1"},
			{"ask a#2 0 1", "a +1 free 0 ahead 0"},
		}},
		{"one that had its turn joins again: the next one has it", 1, [][2]string{
			{"join a 1", "a +0 free 1 ahead 1"},
			{"join b 1", "b +0 free 1 ahead 1"},
			{"reserve a", "a alone"},
			{"reserve b", ""},
			{"join a#2 1", "b alone, a +0 free 1 ahead 1"},
		}},
		{"a task's limit", 0, [][2]string{
			{"join a 1", "a +0 free 2147483647 ahead 0"},
			{"join b 1", "b +0 free 2147483647 ahead 0"},
			{"claim a x 2", "a claimed x"},
			{"claim b x 2", "b claimed x"},
			{"claim b x 2", ""},
			{"claim a x 2", ""},
			{"claim a y 1", "a claimed y"},
			{"unclaim a z", ""},
			{"unclaim a x", "b claimed x"},
			{"unclaim a x", ""}, // it has none
			{"claim b x 3", "a claimed x"},
			{"unclaim b x", "b claimed x"},
		}},
		{"what a pool had of a task's limit", 0, [][2]string{
			{"join a 1", "a +0 free 2147483647 ahead 0"},
			{"join b 1", "b +0 free 2147483647 ahead 0"},
			{"claim a x 1", "a claimed x"},
			{"claim a x 1", ""},
			{"claim b x 1", ""},
			{"join a#2 1", "b claimed x, a +0 free 2147483647 ahead 0"},
			{"claim a#2 x 1", ""},
			{"leave b", "a claimed x"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(tc.limit)
			for i, line := range tc.lines {
				if heard := b.play(t, line[0]); heard != line[1] {
					t.Fatalf("line %d, %s: %q, want %q", i+1, line[0], heard, line[1])
				}
			}
		})
	}
}

// A pool without a permit has no arrears to claim; one that works may catch up
// by a start of the lightest.
func TestArrears(t *testing.T) {
	b := newBench(2, Share{Weight: 1}, Share{Weight: 4})
	light, heavy := b.pools[0], b.pools[1]
	b.backlog(light, 1000)
	for range 100 {
		b.end(light)
	}
	if n := b.arrears(heavy); n != 0 {
		t.Errorf("a pool that was idle has arrears of %d", n)
	}
	b.ask(heavy, 0, 1)
	if behind := b.now[0] - heavy.tag; behind != 0 {
		t.Errorf("it begins %d behind", behind)
	}
	b.end(light)
	if heavy.held != 1 || heavy.starts != 1 || light.starts != 102 {
		t.Fatalf("it holds %d after %d starts, the other has had %d", heavy.held, heavy.starts, light.starts)
	}
	if n := b.arrears(heavy); n != light.stride() {
		t.Errorf("a pool at work may be %d behind, want a start of the lightest: %d", n, light.stride())
	}
	for range 50 {
		b.end(light)
	}
	b.ask(heavy, 0, 3)
	if behind := b.now[0] - heavy.tag; behind != light.stride() {
		t.Errorf("it is %d behind, want %d", behind, light.stride())
	}
	tag := heavy.tag
	b.ask(heavy, 0, 1)
	if heavy.tag != tag {
		t.Error("asking for more while it waits changes its turn")
	}
	p := b.join("pool1", 2, Share{Weight: 4})
	if p.starts != 1 {
		t.Error("starts are forgotten by joining again:", p.starts)
	}
}
