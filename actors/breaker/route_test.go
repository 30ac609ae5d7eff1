package breaker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestRoute: a route follows the state of its path through every change.
func TestRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{ClosedFailLimit: 3, ClosedSuccessLimit: 2, HalfSuccessLimit: 1})
		route, other := b.Route("/v1/a/b/c"), b.Route("/v1/x")
		want := func(refused bool, state State, fails int) {
			t.Helper()
			for range 2 { // looked up, and as remembered
				err := route.Do(t.Context(), func(c context.Context) error { return Ignore(errBoom) })
				if open, ok := errors.AsType[*OpenError](err); ok != refused || ok && open.Entry != "/v1/a" {
					t.Errorf("%v", err)
				}
			}
			if got := b.StateOf("/v1/a"); got != state {
				t.Errorf("%v, want %v", got, state)
			}
			if got := b.view.Load().root.fails; int(got) != fails {
				t.Errorf("%d failures, want %d", got, fails)
			}
		}
		want(false, Closed, 0)
		_ = route.Do(t.Context(), fail)
		want(false, Closed, 1)
		_ = route.Do(t.Context(), succeed) // counts, for there is a failure
		_ = route.Do(t.Context(), fail)
		want(false, Closed, 2)
		_ = other.Do(t.Context(), succeed)
		_ = other.Do(t.Context(), succeed)
		want(false, Closed, 0)
		if err := b.ForceOpen("/v1/a", 0); err != nil {
			t.Fatal(err)
		}
		want(true, ForcedOpen, 0)
		if err := b.Reset("/v1/a"); err != nil {
			t.Fatal(err)
		}
		want(false, Closed, 0)
		for range 3 {
			_ = b.Do(t.Context(), "/v1/a", fail)
			_ = b.Do(t.Context(), "/v1", succeed)
			_ = b.Do(t.Context(), "/v1", succeed)
		}
		want(true, Open, 0)
		if err := other.Do(t.Context(), succeed); err != nil {
			t.Error("a neighbour is refused", err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if err := route.Do(t.Context(), succeed); err != nil {
			t.Error(err)
		}
		want(false, Closed, 0)
		func() {
			defer func() { _ = recover() }()
			_ = route.Do(t.Context(), func(context.Context) error { panic("fn") })
		}()
		want(false, Closed, 1)
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := route.Do(t.Context(), succeed); err != ErrStopped {
			t.Error(err)
		}
	})
}

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
