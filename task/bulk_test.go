package task

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// play runs the members at the times at which they come, and returns their errors.
func play(h Handler[int], at []time.Duration, ctx func(i int) context.Context) []error {
	errs := make([]error, len(at))
	done := make(chan struct{})
	for i, after := range at {
		go func() {
			defer func() { done <- struct{}{} }()
			time.Sleep(after)
			errs[i] = ErrGoexit
			errs[i] = h(ctx(i), Job[int]{Args: i, Info: &Info{Task: "t"}})
		}()
	}
	for range at {
		<-done
	}
	return errs
}

func TestABulkIsCalledWhenItIsFullOrItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var mu sync.Mutex // calls of two batches may overlap
		var calls []string
		h := Bulk(3, time.Second, func(members []*Member[int]) error {
			mu.Lock()
			defer mu.Unlock()
			var ids []int
			for _, m := range members {
				ids = append(ids, m.Args)
			}
			calls = append(calls, fmt.Sprint(time.Since(begin), ids))
			return nil
		})
		ms := time.Millisecond
		errs := play(h, []time.Duration{0, 10 * ms, 20 * ms, 30 * ms, 900 * ms, 2 * time.Second},
			func(int) context.Context { return t.Context() })
		if want := []string{"20ms [0 1 2]", "1.03s [3 4]", "3s [5]"}; !slices.Equal(calls, want) || errors.Join(errs...) != nil {
			t.Errorf("%q, %v", calls, errs)
		}
	})
}

func TestEachMemberOfABulkHasAnErrorOfItsOwn(t *testing.T) {
	for name, c := range map[string]struct {
		handler func(members []*Member[int]) error
		want    [3]string
	}{
		"one fails": {func(ms []*Member[int]) error { ms[1].Fail(Cancel(errDown)); return nil },
			[3]string{"", "task cancelled: down", ""}},
		"the others too": {func(ms []*Member[int]) error { ms[1].Fail(errors.New("own")); return errDown },
			[3]string{"one of 3 tasks at once: down", "own", "one of 3 tasks at once: down"}},
		"a panic": {func(ms []*Member[int]) error { ms[1].Fail(errors.New("own")); panic("no") },
			[3]string{"one of 3 tasks at once: panic: no", "one of 3 tasks at once: panic: no", "one of 3 tasks at once: panic: no"}},
		"a goroutine that ends": {func([]*Member[int]) error { runtime.Goexit(); return nil }, [3]string{"Goexit", "Goexit", "Goexit"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			for i, err := range play(Bulk(3, time.Second, c.handler), []time.Duration{0, 1, 2}, func(int) context.Context { return t.Context() }) {
				if (err == nil) != (c.want[i] == "") || err != nil && !strings.Contains(err.Error(), c.want[i]) {
					t.Errorf("%s: member %d: %v", name, i, err)
				}
			}
		})
	}
}

// TestAMemberWhoseCtxEndsLeavesTheOthers: it is not run, and they wait no longer.
func TestAMemberWhoseCtxEndsLeavesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ids []int
		h := Bulk(3, time.Second, func(members []*Member[int]) error {
			for _, m := range members {
				if m.Ctx().Err() != nil {
					t.Error("its ctx has ended")
				}
				ids = append(ids, m.Args)
			}
			return nil
		})
		short, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, errDown)
		defer cancel()
		begin := time.Now()
		errs := play(h, []time.Duration{0, 100 * time.Millisecond}, func(i int) context.Context {
			if i == 0 {
				return short
			}
			return t.Context()
		})
		if !errors.Is(errs[0], errDown) || errs[1] != nil || !slices.Equal(ids, []int{1}) || time.Since(begin) != time.Second {
			t.Errorf("%v, ran %v after %v", errs, ids, time.Since(begin))
		}
		alone, cancel2 := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel2()
		if err := h(alone, Job[int]{Info: &Info{}}); !errors.Is(err, context.DeadlineExceeded) || len(ids) != 1 {
			t.Error(err, ids)
		}
	})
}
