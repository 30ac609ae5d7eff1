//go:build unix

package logger

import (
	"context"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cpuTime is what this process has used so far.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestStalledReader logs into a pipe without a reader. Memory stays within the
// buffer and 6 MiB, and waiting costs no processor time. The pipe stalls for half a
// second, with CHASSIS_SCALE=full for 10 s.
func TestStalledReader(t *testing.T) {
	stall := 500 * time.Millisecond
	if os.Getenv("CHASSIS_SCALE") == "full" {
		stall = 10 * time.Second
	}
	for _, policy := range []Policy{PolicyBlock, PolicyDropBelow, PolicyDropOldest} {
		t.Run(string(policy), func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			var before, now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			l := newLogger(t, Settings{Policy: policy}, w)
			start(t, l)
			end := make(chan struct{})
			var wg sync.WaitGroup
			const callers = 8
			for c := range callers {
				wg.Go(func() {
					log := l.Slog().With("caller", c)
					for i := 0; ; i++ {
						select {
						case <-end:
							return
						default:
							log.LogAttrs(t.Context(), slog.LevelInfo, "into a pipe without a reader", slog.Int("i", i))
						}
						if policy != PolicyBlock && i%2000 == 0 { // else the callers' own work is all there is
							time.Sleep(time.Millisecond)
						}
					}
				})
			}
			full := func() bool {
				s := l.Stats().Outputs[0]
				return s.Waiting == callers || s.Dropped > 0
			}
			for !full() {
				runtime.Gosched()
			}
			runtime.GC() // what the callers left behind while the buffer filled is not the stall's
			used, began := cpuTime(t), time.Now()
			var most uint64
			for time.Since(began) < stall {
				time.Sleep(stall / 10)
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
			used = cpuTime(t) - used
			grown := int64(most) - int64(before.HeapAlloc)
			if limit := int64(defaultBuffer + 6<<20); grown > limit && !raceEnabled { // with it sync.Pool drops at random
				t.Errorf("the heap grew by %d bytes, more than %d", grown, limit)
			}
			if policy == PolicyBlock && used > stall/20+20*time.Millisecond {
				t.Errorf("%v of processor time in a stall of %v", used, stall)
			}
			balanced(t, l)
			t.Logf("stalled %v: heap +%d KiB, processor time %v, %+v", stall, grown>>10, used, l.Stats().Outputs[0])
			close(end)
			var reader sync.WaitGroup
			reader.Go(func() {
				buf := make([]byte, 1<<20)
				for {
					if _, err := r.Read(buf); err != nil {
						return
					}
				}
			})
			wg.Wait()
			flush(t, l)
			stop(t, l)
			if s := l.Stats().Outputs[0]; s.Pending != 0 || policy == PolicyBlock && s.Dropped != 0 {
				t.Errorf("after the stall: %+v", s)
			}
			w.Close()
			reader.Wait()
			r.Close()
		})
	}
}

// TestAStalledOutputHeldUpAStop: with stdout a pipe without a reader, every call
// waited for room for ever, that of the signal's record first, and SIGTERM had no
// effect. Once a stop has begun, calls wait for two seconds.
func TestAStalledOutputHeldUpAStop(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	t.Cleanup(func() { _ = w.Close(); reader.Wait(); _ = r.Close() })
	l := newLogger(t, Settings{Policy: PolicyBlock}, w)
	start(t, l)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		for range 2 * defaultBuffer / 1000 {
			l.Slog().Info(strings.Repeat("x", 1000))
		}
		l.Slog().Error("is written before the call returns")
	}()
	for l.Stats().Outputs[0].Waiting == 0 {
		runtime.Gosched()
	}
	end := l.Hasten()
	within := func(what string, done <-chan struct{}) {
		t.Helper()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Errorf("%s waits for the stalled output", what)
		}
	}
	within("a call", returned)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = l.Stop(ctx) // the actor still writes
	end()
	last := make(chan struct{})
	go func() {
		defer close(last)
		l.Slog().Error("the service ended with an error")
	}()
	within("a call after the stop", last)
	if l.Stats().Outputs[0].Dropped == 0 {
		t.Error("what had no room is not counted")
	}
	reader.Go(func() { _, _ = io.Copy(io.Discard, r) })
}
