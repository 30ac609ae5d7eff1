package poller

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type item struct{ id, group, size int }

// Whatever is added comes out once, in the order of its group, at most ten and
// a request's bytes at a time, and not later than the linger.
func TestBatchProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		linger := time.Duration(rapid.IntRange(-1, 20).Draw(t, "linger")) * time.Millisecond
		b := batch[item]{linger: linger, size: func(i item) int { return i.size }}
		now := time.Unix(0, 0)
		var in, out []item
		at := map[int]time.Time{}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				for range rapid.IntRange(1, 15).Draw(t, "n") {
					i := item{len(in), rapid.IntRange(0, 3).Draw(t, "group"), rapid.SampledFrom([]int{0, 1, 300 << 10, 1 << 20}).Draw(t, "size")}
					in = append(in, i)
					at[i.id] = now
					b.add(i, now)
				}
			case 2:
				now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "ms")) * time.Millisecond)
			case 3:
				id := rapid.IntRange(0, len(in)).Draw(t, "remove")
				for _, i := range b.remove(func(i item) bool { return i.id == id }) {
					in = slices.DeleteFunc(in, func(j item) bool { return j == i })
					in = append(in, item{id: -1}) // keeps the ids apart
				}
			}
			company := rapid.Bool().Draw(t, "company")
			busy := rapid.IntRange(-1, 3).Draw(t, "busy")
			for b.due(now, company) {
				taken := b.take(func(i item) bool { return i.group != busy })
				if len(taken) == 0 {
					if slices.ContainsFunc(b.waiting, func(a arrival[item]) bool { return a.entry.group != busy }) {
						t.Fatal("nothing taken of what may go")
					}
					break
				}
				bytes := 0
				for _, i := range taken {
					bytes += i.size
					if i.group == busy {
						t.Fatal("a busy group was taken")
					}
				}
				if len(taken) > 10 || bytes > 1<<20 {
					t.Fatalf("%d entries, %d bytes", len(taken), bytes)
				}
				out = append(out, taken...)
			}
			for _, a := range b.waiting {
				if busy < 0 && !now.Before(at[a.entry.id].Add(linger)) {
					t.Fatal("one waits for longer than the linger")
				}
			}
			bytes := 0
			for _, a := range b.waiting {
				bytes += a.entry.size
			}
			if bytes != b.bytes {
				t.Fatalf("%d bytes wait, counted %d", bytes, b.bytes)
			}
		}
		for b.len() > 0 {
			out = append(out, b.take(nil)...)
		}
		last := map[int]int{}
		for _, i := range out {
			if n, ok := last[i.group]; ok && i.id <= n {
				t.Fatalf("group %d: %d after %d", i.group, i.id, n)
			}
			last[i.group] = i.id
		}
		in = slices.DeleteFunc(in, func(i item) bool { return i.id < 0 })
		if len(in) != len(out) {
			t.Fatalf("%d in, %d out", len(in), len(out))
		}
	})
}
