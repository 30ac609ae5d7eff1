package breaker

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestCountIsAReport: on any tree, a failure that is counted in place leads to the tree
// that a report of it leads to, and one that is not changes nothing. Where nothing but
// counts changes, it is counted in place.
func TestCountIsAReport(t *testing.T) {
	counted, changed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		paths := rapid.SampledFrom([]string{"", "/a", "/a/b", "/a/b/c", "/a/c", "/d", "//a//b?q"})
		set, err := newConfig(Settings{
			ClosedFailLimit: rapid.SampledFrom([]int{1, 3, 20}).Draw(t, "fail limit"), ClosedSuccessLimit: rapid.IntRange(1, 3).Draw(t, "success limit"),
			MaxDepth: rapid.IntRange(1, 3).Draw(t, "depth"), MaxEntries: rapid.IntRange(1, 5).Draw(t, "entries"),
			Blame: rapid.SampledFrom([]string{"", "all"}).Draw(t, "blame"),
			Trip:  rapid.SampledFrom([]string{"", "", "", "rate"}).Draw(t, "trip"),
		})
		if err != nil {
			t.Skip(err)
		}
		now := int64(time.Hour)
		at := tree{set: set, of: &origin{service: "https://mail.internal"}, root: &node{}}
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			now += int64(time.Second)
			path, gen := paths.Draw(t, "path"), at.gen-uint64(rapid.IntRange(0, int(min(at.gen, 2))).Draw(t, "behind"))
			failure := result{path: path, gen: gen, kind: evFailure}
			switch rapid.IntRange(0, 19).Draw(t, "what") {
			default:
				reported := begin(&tree{}, now, 0.5)
				reported.tree = at
				reported.tree.root = apart(at.root)
				reported.report(failure)
				v := (&tree{set: at.set, of: at.of, root: apart(at.root), seq: at.seq, gen: at.gen, forgot: at.forgot, slots: at.slots,
					entries: at.entries, forced: at.forced}).view()
				before := full(&v.tree)
				if v.count(failure, now) {
					counted++
					if got, want := full(&v.tree), full(&reported.tree); got != want || len(reported.changes) > 0 || len(reported.dues) > 0 {
						t.Fatalf("%+v counted in place leads to\n%s\nreported to\n%s", failure, got, want)
					}
				} else {
					changed++
					if got := full(&v.tree); got != before {
						t.Fatalf("%+v was not counted, and changed\n%s\nto\n%s", failure, before, got)
					}
				}
				at = reported.tree
			case 0, 1, 2:
				e := begin(&at, now, 0.5)
				e.report(result{path: path, gen: gen, kind: evSuccess})
				at = e.tree
			case 3:
				e := begin(&at, now+int64(time.Hour), 0.5)
				e.expire(path)
				at = e.tree
			case 4:
				e := begin(&at, now, 0.5)
				if rapid.Bool().Draw(t, "force") {
					_ = e.force(path, ForcedOpen, 0)
				} else {
					e.reset(path)
				}
				at = e.tree
			}
		}
	})
	t.Logf("%d counted in place, %d not", counted, changed)
	if 20*counted < changed {
		t.Errorf("only %d of %d failures were counted in place", counted, counted+changed)
	}
}

// full is dump with the times.
func full(t *tree) string {
	var b strings.Builder
	b.WriteString(t.dump())
	t.root.walk(func(n *node) { b.WriteString(time.Duration(n.last).String() + n.over.String() + " ") })
	return b.String()
}

// TestASuccessSeesAFailureThatIsCountedInPlace: the failure comes while the call of the
// success is under way, and changes no view.
func TestASuccessSeesAFailureThatIsCountedInPlace(t *testing.T) {
	type do = func(context.Context, func(context.Context) error) error
	calls := map[string]func(b *Breaker) do{
		"Do": func(b *Breaker) do {
			return func(ctx context.Context, fn func(context.Context) error) error { return b.Do(ctx, "/a", fn) }
		},
		"Route": func(b *Breaker) do { return b.Route("/a").Do },
	}
	for name, of := range calls {
		t.Run(name, func(t *testing.T) {
			b, err := Spawn(newSystem(t), "https://mail.internal", Settings{ClosedFailLimit: 10, ClosedSuccessLimit: 1})
			if err != nil {
				t.Fatal(err)
			}
			call := of(b)
			_ = b.Do(t.Context(), "/b", fail)
			_ = call(t.Context(), succeed) // clears the service's count; that of /b stays, and keeps the view mixed
			before := b.view.Load()
			_ = call(t.Context(), func(ctx context.Context) error {
				_ = b.Do(ctx, "/b", fail)
				if b.view.Load() != before {
					t.Error("the failure was not counted in place: this test tests nothing")
				}
				return nil
			})
			if n := b.Snapshot().Entries[0].Failures; n != 0 {
				t.Errorf("%d failures of the service are left after the success", n)
			}
		})
	}
}

// TestFailuresInPlaceAreAllCounted: none is lost or counted twice among callers that
// fail at a time, whichever way each took.
func TestFailuresInPlaceAreAllCounted(t *testing.T) {
	b, err := Spawn(newSystem(t), "https://mail.internal", Settings{ClosedFailLimit: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	const callers, each = 8, 2_000
	for range callers {
		group.Go(func() {
			for range each {
				_ = b.Do(t.Context(), "/a/b", fail)
			}
		})
	}
	group.Wait()
	for _, e := range b.Snapshot().Entries {
		if e.Failures != callers*each {
			t.Errorf("entry %q counts %d failures of %d", e.Entry, e.Failures, callers*each)
		}
	}
}
