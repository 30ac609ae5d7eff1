package pools

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A notice that comes by two ways, at the same time or later, is taken once, and answered alike.
func TestANoticeIsTakenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var known taken
		var calls atomic.Int32
		slowly := func() (int, error) {
			time.Sleep(time.Second)
			return int(calls.Add(1)), nil
		}
		var work sync.WaitGroup
		for range 10 {
			work.Go(func() {
				if n, err := known.once(t.Context(), "a", slowly); n != 1 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		synctest.Wait()
		hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := known.once(hurried, "a", slowly); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one that has no time: %v", err)
		}
		work.Wait()
		if n, err := known.once(t.Context(), "a", slowly); n != 1 || err != nil {
			t.Errorf("later: %d, %v", n, err)
		}
		for want := range 2 { // without an id, as processes of an older version send
			if n, _ := known.once(t.Context(), "", slowly); n != 2+want {
				t.Errorf("%d calls", n)
			}
		}
		time.Sleep(knownFor)
		if n, _ := known.once(t.Context(), "a", slowly); n != 4 {
			t.Errorf("after its time: %d calls", n)
		}
	})
}

// A notice that could not be taken is taken when it comes again.
func TestANoticeThatFailedIsTakenAgain(t *testing.T) {
	var known taken
	if _, err := known.once(t.Context(), "a", func() (int, error) { return 0, errors.New("no") }); err == nil {
		t.Error("no error")
	}
	if n, err := known.once(t.Context(), "a", func() (int, error) { return 1, nil }); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
