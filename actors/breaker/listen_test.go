package breaker_test

import (
	"bytes"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sambatech/chassis/actors/breaker"
)

func TestListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBreaker(t, breaker.Settings{ClosedFailLimit: 1, LogSize: 8}, breaker.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
		var seen []uint64
		slow := make(chan struct{})
		listen := func(f func(breaker.Transition)) func() {
			stop, err := b.Listen(f)
			if err != nil {
				t.Fatal(err)
			}
			return stop
		}
		stop := listen(func(tr breaker.Transition) { seen = append(seen, tr.Seq); _ = b.Snapshot(); _ = b.Transitions(0) })
		listen(func(breaker.Transition) { panic("listener") })
		listen(func(breaker.Transition) { runtime.Goexit() })
		listen(func(breaker.Transition) { <-slow })
		for range 3 {
			_ = b.Do(t.Context(), "", fail)
			if err := b.Reset(""); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if !slices.Equal(seen, []uint64{1, 2, 3, 4, 5, 6}) {
			t.Errorf("seen %v", seen)
		}
		stop()
		_ = b.Do(t.Context(), "", fail)
		synctest.Wait()
		if len(seen) != 6 {
			t.Error("a stopped listener was called")
		}
		for range 20 {
			_ = b.Reset("")
			_ = b.Do(t.Context(), "", fail)
		}
		close(slow)
		synctest.Wait()
		log := b.Transitions(0)
		if len(log) < 8 || len(log) > 12 || log[len(log)-1].Seq != b.Snapshot().Seq {
			t.Errorf("%d transitions kept of log_size 8", len(log))
		}
		if got := b.Transitions(log[len(log)-3].Seq); len(got) != 2 {
			t.Errorf("%d transitions since the third last", len(got))
		}
		if got := b.Transitions(1 << 40); len(got) != 0 {
			t.Errorf("%d transitions from the future", len(got))
		}
		if text := out.String(); !strings.Contains(text, "transition.to=open") || !strings.Contains(text, "a listener of a circuit breaker panicked") {
			t.Errorf("log: %s", text)
		}
		if _, err := b.Listen(nil); err == nil {
			t.Error("a nil listener was taken")
		}
	})
}
