package chassistest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// steps is a play of tasks that have an effect, call a service and send another task.
func steps(w *World) {
	bank := w.Upstream("https://bank.internal", http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(res, "a long receipt")
	}))
	w.Service(func(p *Process) {
		chassis.Handle(p.System, pack, func(ctx context.Context, job task.Job[parcel]) error {
			if err := w.Effect(ctx, "pack", job.Args.ID); err != nil {
				return err
			}
			if err := collect(ctx, bank); err != nil {
				return w.Effect(ctx, "failed", err.Error())
			}
			_, err := chassis.Send(ctx, p.System, post, job.Args)
			return err
		})
		chassis.Handle(p.System, post, func(ctx context.Context, job task.Job[parcel]) error {
			return w.Effect(ctx, "post", job.Args.ID)
		})
		chassis.Handle(p.System, deliver, func(ctx context.Context, job task.Job[parcel]) error {
			if err := w.Effect(ctx, "ship", job.Args.ID); err != nil || job.Args.ID > 0 {
				return err
			}
			return errors.New("it never works")
		})
	})
	SubmitAt(w, time.Second, pack, parcel{1})
	SubmitAt(w, 4*time.Second, pack, parcel{2})
}

func collect(ctx context.Context, bank http.RoundTripper) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://bank.internal/charges", strings.NewReader("7"))
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: bank}).Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// TestEachKindHappens: each kind of fault has the effect that it is named for. A kind
// that is ignored fails its row.
func TestEachKindHappens(t *testing.T) {
	const on = time.Second
	rows := map[Kind]struct {
		fault Fault
		play  func(w *World) // in addition
		says  func(h history) error
	}{
		DieBefore: {fault: Fault{On: OnEffect, Nth: 1, Back: on}, says: func(h history) error {
			return h.want(h.count("DIES", 1) && h.count("effect", 5, "pack"), "one pack by the second life")
		}},
		DieAfter: {fault: Fault{On: OnEffect, Nth: 1, Back: on}, says: func(h history) error {
			return h.want(h.count("DIES", 1) && h.effects("pack", 1) == 2, "a task that is packed twice")
		}},
		DrainDie: {fault: Fault{At: 1100 * time.Millisecond, For: time.Millisecond, Back: on}, says: func(h history) error {
			return h.want(h.index("stops") < h.index("DIES") && h.index("has stopped") < 0, "a stop that does not end")
		}},
		Deploy: {fault: Fault{At: 2 * time.Second, Back: on}, says: func(h history) error {
			return h.want(h.index("has stopped") > 0 && h.count("starts", 2), "a stop and a start")
		}},
		CutOff: {fault: Fault{At: 2 * time.Second, For: 9 * time.Second}, says: func(h history) error {
			return h.want(h.after("start", "pack#1") >= 11*time.Second, "a task that waits for the end of it")
		}},
		Suspend: {fault: Fault{At: 2 * time.Second, For: 9 * time.Second}, says: func(h history) error {
			return h.want(h.after("start", "pack#1") >= 11*time.Second, "a task that waits for the end of it")
		}},
		LoseRequest: {fault: Fault{On: OnSend, Nth: 1}, says: func(h history) error {
			return h.want(h.noted("send", "refused") && h.effects("post", 1) == 1, "a send that is made again")
		}},
		LoseAnswer: {fault: Fault{On: OnSend, Nth: 1}, says: func(h history) error {
			return h.want(h.effects("post", 1) == 2, "a task that is sent twice")
		}},
		LateRequest: {fault: Fault{On: OnSend, Nth: 1, For: 3 * time.Second}, says: func(h history) error {
			return h.want(h.after("start", "post#0") >= 4*time.Second, "a task that comes late")
		}},
		LateAnswer: {fault: Fault{On: OnReceive, Nth: 1, For: 3 * time.Second}, says: func(h history) error {
			return h.want(h.after("start", "pack#0") >= 4*time.Second, "a task that begins late")
		}},
		Repeat: {fault: Fault{On: OnSend, Nth: 1, For: on}, says: func(h history) error {
			return h.want(h.effects("post", 1) == 2, "a task that is sent twice")
		}},
		SplitBatch: {fault: Fault{On: OnDelete, Nth: 1}, says: func(h history) error {
			return h.want(h.index("FAULT") >= 0 && h.tasks("delete", "pack#0")+h.tasks("delete", "post#0") >= 3,
				"a delete that is made again")
		}},
		Fail: {fault: Fault{On: OnDelete, Nth: 1}, says: func(h history) error {
			return h.want(h.noted("delete", "refused"), "a delete that is refused")
		}},
		Throttle: {fault: Fault{On: OnDelete, At: on, For: 2 * time.Second}, says: refusedUntil(OnDelete, 3*time.Second)},
		Deny:     {fault: Fault{On: OnDelete, At: on, For: 2 * time.Second}, says: refusedUntil(OnDelete, 3*time.Second)},
		Expire:   {fault: Fault{At: on, For: 2 * time.Second}, says: refusedUntil(OnReceive, 3*time.Second)},
		DeliverTwice: {fault: Fault{On: OnReceive, Nth: 1, For: time.Millisecond}, says: func(h history) error {
			return h.want(h.tasks("receive answered", "pack#0") == 2, "a task that comes twice")
		}},
		Skew: {
			fault: Fault{At: time.Millisecond, For: 20 * time.Second},
			play: func(w *World) {
				SubmitAt(w, time.Second, deliver, parcel{1}, task.At(time.Now().Add(time.Minute)))
			},
			says: func(h history) error {
				return h.want(h.after("start", "deliver#0") < 45*time.Second, "a task that runs 20 s early")
			},
		},
		CallSlow: {fault: Fault{On: OnCall, Nth: 1, For: 4 * time.Second}, says: func(h history) error {
			return h.want(h.after("end", "pack#0") >= 5*time.Second, "a handler that waits")
		}},
		CallFails: {fault: Fault{On: OnCall, Nth: 1}, says: func(h history) error {
			return h.want(h.failure("Service Unavailable"), "a status of 503")
		}},
		CallHangs: {fault: Fault{On: OnCall, Nth: 1}, says: func(h history) error {
			return h.want(h.failure("deadline exceeded") && h.after("end", "pack#0") >= 11*time.Second, "a ctx that ends")
		}},
		CallPart: {fault: Fault{On: OnCall, Nth: 1}, says: func(h history) error {
			return h.want(h.failure("unexpected EOF"), "a body that breaks off")
		}},
		Apply: {fault: Fault{At: on, Arg: 1}, play: func(w *World) {
			w.Eventually("one worker", func() error {
				if n := w.seats[0].p.Settings().Tasks.Workers; n != 1 {
					return fmt.Errorf("%d", n)
				}
				return nil
			})
		}, says: func(history) error { return nil }},
		Pause: {fault: Fault{At: 2 * time.Second, For: 9 * time.Second}, says: func(h history) error {
			return h.want(h.after("start", "pack#1") >= 11*time.Second, "a task that waits for the end of it")
		}},
		Cancel: {
			fault: Fault{At: 2500 * time.Millisecond, Arg: 2},
			play: func(w *World) {
				SubmitAt(w, time.Second, deliver, parcel{})
			},
			says: func(h history) error {
				return h.want(h.effects("ship", 0) == 2, "a task that does not run again")
			},
		},
		Redrive: {
			fault: Fault{At: 20 * time.Second},
			play: func(w *World) {
				SubmitAt(w, time.Second, deliver, parcel{})
				SubmitAt(w, 40*time.Second, pack, parcel{9})
			},
			says: func(h history) error {
				return h.want(h.effects("ship", 0) == 8, "a task that fails four times, and again four times")
			},
		},
	}
	for _, kind := range AllKinds() {
		row, ok := rows[kind]
		if !ok {
			t.Errorf("the kind %q has no row", kind)
			continue
		}
		t.Run(string(kind), func(t *testing.T) {
			f := row.fault
			f.Kind, f.Process = kind, 1
			if kind == Expire || kind == Throttle || kind == Deny || kind == Cancel {
				f.Process = 0
			}
			s := newStorm(t, func(w *World) {
				steps(w)
				if row.play != nil {
					row.play(w)
				}
			}, nil)
			r := s.run(Schedule{Seed: 1, Fleet: 1, Faults: []Fault{f}})
			for _, found := range r.findings {
				t.Error(found)
			}
			if err := row.says(history{r}); err != nil || len(r.struck) == 0 {
				t.Errorf("%v; struck %d times:\n%s", err, len(r.struck), r.timeline())
			}
		})
	}
}

// refusedUntil says that requests were refused, but none after a time.
func refusedUntil(step Step, end time.Duration) func(h history) error {
	return func(h history) error {
		n := 0
		for _, e := range h.trace.events {
			if e.What == string(step) && strings.HasSuffix(e.Note, "refused") {
				if n++; e.At > end {
					return fmt.Errorf("a request is refused at %v", e.At)
				}
			}
		}
		return h.want(n > 0, "requests that are refused")
	}
}

// history is a result that a test looks through.
type history struct{ *result }

func (h history) want(ok bool, what string) error {
	if !ok {
		return errors.New("want " + what)
	}
	return nil
}

// index is the place of the first event of a kind, or -1.
func (h history) index(what string) int {
	return slices.IndexFunc(h.trace.events, func(e Event) bool { return e.What == what })
}

// count reports whether there are n events of a kind, or with a note as many at most.
func (h history) count(what string, n int, note ...string) bool {
	found := 0
	for _, e := range h.trace.events {
		if e.What == what && (len(note) == 0 || strings.HasPrefix(e.Note, note[0])) {
			found++
		}
	}
	return found == n || len(note) > 0 && found > 0 && found <= n
}

// tasks counts the events of a kind about a task.
func (h history) tasks(what, label string) (n int) {
	for _, e := range h.trace.events {
		if e.What == what && slices.Contains(e.Tasks, label) {
			n++
		}
	}
	return n
}

// after is when the first event of a kind about a task came.
func (h history) after(what, label string) time.Duration {
	for _, e := range h.trace.events {
		if e.What == what && slices.Contains(e.Tasks, label) {
			return e.At
		}
	}
	return -1
}

func (h history) noted(what, note string) bool {
	return slices.ContainsFunc(h.trace.events, func(e Event) bool { return e.What == what && strings.Contains(e.Note, note) })
}

func (h history) failure(text string) bool {
	return h.noted("effect", "failed") && h.noted("effect", text)
}

// effects counts the effects of a name with an argument.
func (h history) effects(name string, id int) (n int) {
	for _, e := range h.trace.events {
		if e.What == "effect" && e.Note == fmt.Sprintf("%s %d", name, id) {
			n++
		}
	}
	return n
}
