package breaker

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNextIsNextSegment: the short way down a path is the long one.
func TestNextIsNextSegment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := &node{}
		for i := range rapid.IntRange(0, 2*fewKids).Draw(t, "kids") {
			n.kids = append(n.kids, &node{seg: strings.Repeat("a", i+1)})
		}
		path := rapid.StringMatching(`[/?#a]{0,20}`).Draw(t, "path")
		seg, rest := nextSegment(path)
		want := n.kid(seg)
		got, below := n.next(path)
		if got != want {
			t.Fatalf("%q: %v, want %v", path, got, want)
		}
		if got == nil {
			return
		}
		for { // what is left may differ in what ends it
			a, x := nextSegment(rest)
			b, y := nextSegment(below)
			if below != "" && (below[0] == '?' || below[0] == '#') {
				b, y = "", ""
			}
			if a != b {
				t.Fatalf("%q: %q is left, want %q", path, below, rest)
			}
			if a == "" {
				return
			}
			rest, below = x, y
		}
	})
}

// BenchmarkTree is the way of a call past an open entry.
func BenchmarkTree(b *testing.B) {
	for _, kids := range []int{1, 8, 1000} {
		br := newBreaker(b, Settings{ClosedFailLimit: 1, OpenTimeout: time.Hour, OpenMax: time.Hour})
		for i := range kids {
			if err := br.ForceOpen(fmt.Sprintf("/v1/a/b/c%d", i), 0); err != nil {
				b.Fatal(err)
			}
		}
		path := fmt.Sprintf("/v1/a/b/c%d", rand.IntN(kids))
		b.Run(fmt.Sprint("kids=", kids), func(b *testing.B) {
			for b.Loop() {
				_ = br.Check(path)
			}
		})
	}
}
