package chassistest

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// TestADeathInACallIsNoLeak: a goroutine of an http.Client with a Timeout waited for that
// Timeout when its process had died in the middle of a call, and the handler was accused.
func TestADeathInACallIsNoLeak(t *testing.T) {
	r := newStorm(t, func(w *World) {
		bank := w.Upstream("bank", nil)
		w.Service(func(p *Process) {
			client := &http.Client{Transport: bank, Timeout: 10 * time.Minute}
			chassis.Handle(p.System, post, func(ctx context.Context, _ task.Job[parcel]) error {
				r, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://bank.test/", nil)
				if err != nil {
					return err
				}
				res, err := client.Do(r)
				if err != nil {
					return err
				}
				return res.Body.Close()
			})
		})
		SubmitAt(w, time.Second, post, parcel{1})
	}, nil).run(Schedule{Seed: 1, Fleet: 1, Faults: []Fault{{Kind: DieBefore, Process: 1, On: OnCall, Nth: 1, Back: time.Second}}})
	if len(r.findings) > 0 || len(r.struck) != 1 {
		t.Errorf("struck %d times, found %v", len(r.struck), r.findings)
	}
}

func TestOnlyTheGoroutinesOfABubbleAreLeft(t *testing.T) {
	all := "goroutine 1 [running]:\nmain.main()\n\t/a/main.go:7 +0x1d\n\n" +
		"goroutine 7 [select (durable), synctest bubble 4]:\nshop.wait()\n\t/a/wait.go:9 +0x2f\n\n" +
		"goroutine 9 [chan send (durable), synctest bubble 41]:\nshop.other()\n\t/a/wait.go:3 +0x2f\n"
	want := "goroutine 7 [select (durable), synctest bubble 4]:\n\tshop.wait()\n\t\t/a/wait.go:9"
	if got := leftOf(", synctest bubble 4]", all); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := leftOf("", all); got != "" {
		t.Errorf("without a bubble: %q", got)
	}
	many := strings.Repeat("goroutine 7 [select, synctest bubble 4]:\na()\n\n", 9)
	if got := strings.Count(leftOf(", synctest bubble 4]", many), "goroutine"); got != leftShown {
		t.Errorf("%d of 9 are shown", got)
	}
}

// TestADeathInAGoroutineIsNoLeak: a handler that waited for a goroutine with an effect waited
// for ever when its process died there, and was accused.
func TestADeathInAGoroutineIsNoLeak(t *testing.T) {
	for _, on := range []Step{OnEffect, OnCall} {
		r := newStorm(t, func(w *World) {
			bank := w.Upstream("bank", nil)
			w.Service(func(p *Process) {
				chassis.Handle(p.System, post, func(ctx context.Context, job task.Job[parcel]) error {
					results := make(chan error)
					go func() {
						err := w.Effect(ctx, "post", job.Args.ID)
						if err == nil {
							err = collect(ctx, bank)
						}
						results <- err
					}()
					return <-results
				})
			})
			SubmitAt(w, time.Second, post, parcel{1})
		}, nil).run(Schedule{Seed: 1, Fleet: 1, Faults: []Fault{{Kind: DieBefore, Process: 1, On: on, Nth: 1, Back: time.Second}}})
		if len(r.findings) > 0 || len(r.struck) != 1 {
			t.Errorf("%s: struck %d times, found %v", on, len(r.struck), r.findings)
		}
	}
}
