package breaker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// entryModel is one entry by the words of the contract, with nothing of the
// machine's code: consecutive trips, one probe at a time.
type entryModel struct {
	state              State
	fails, succs       int
	openUntil          time.Duration
	generation, probes int
	probe              int // number of the one in flight
	probeUntil         time.Duration
}

type modelCall struct {
	permit     Permit
	generation int
	probe      int // 0 for none
}

func (m *entryModel) to(s State, now time.Duration) {
	m.state, m.fails, m.succs, m.probes = s, 0, 0, 0
	m.generation++
	if s == Open {
		m.openUntil = now + 10*time.Second
	}
}

// pass lets time pass up to now.
func (m *entryModel) pass(now time.Duration) {
	for {
		switch {
		case m.state == Open && now >= m.openUntil:
			m.to(HalfOpen, m.openUntil)
		case m.state == HalfOpen && m.probes > 0 && now >= m.probeUntil:
			m.probes = 0
			m.failHalf(m.probeUntil)
		default:
			return
		}
	}
}

func (m *entryModel) failHalf(now time.Duration) {
	if m.fails++; m.fails == 2 {
		m.to(Open, now)
	}
}

func (m *entryModel) admit(now time.Duration) bool {
	switch {
	case m.state == Open, m.state == HalfOpen && m.probes == 1:
		return false
	case m.state == HalfOpen:
		m.probe++
		m.probes, m.probeUntil = 1, now+5*time.Second
	}
	return true
}

func (m *entryModel) result(c modelCall, v Verdict, now time.Duration) {
	if c.generation != m.generation {
		return
	}
	if m.state == HalfOpen {
		if m.probes == 0 || c.probe != m.probe {
			return // its deadline has passed
		}
		m.probes = 0
	}
	switch {
	case v == Neutral:
	case v == Failure && m.state == Closed:
		if m.fails++; m.fails == 4 {
			m.to(Open, now)
		}
	case v == Failure:
		m.failHalf(now)
	case m.state == Closed && m.fails > 0:
		if m.succs++; m.succs == 2 {
			m.fails, m.succs = 0, 0
		}
	case m.state == HalfOpen:
		if m.succs++; m.succs == 3 {
			m.to(Closed, now)
		}
	}
}

// inBubble hides Deadline, which a bubble does not have.
type inBubble struct{ testing.TB }

// TestAgainstTheContract drives the whole breaker, timers and all, along with the model.
func TestAgainstTheContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := newSystem(t)
		rapid.Check(inBubble{t}, func(r *rapid.T) {
			b, err := Spawn(system, "https://mail.internal", Settings{ClosedFailLimit: 4, ClosedSuccessLimit: 2, HalfFailLimit: 2, HalfSuccessLimit: 3})
			if err != nil {
				r.Fatal(err)
			}
			defer func() { _ = b.Stop(t.Context()) }()
			start := time.Now()
			m := &entryModel{}
			var calls []modelCall
			now := func() time.Duration { return time.Since(start) }
			admit := func(r *rapid.T) {
				p, err := b.Acquire("")
				if want := m.admit(now()); (err == nil) != want || err != nil && !errors.Is(err, ErrOpen) {
					r.Fatalf("admitted: %v, want %v (%+v)", err, want, m)
				}
				if err == nil {
					calls = append(calls, modelCall{p, m.generation, m.probe})
				}
			}
			settle := func(v Verdict) func(*rapid.T) {
				return func(r *rapid.T) {
					if len(calls) == 0 {
						admit(r)
					}
					if len(calls) == 0 {
						return
					}
					i := rapid.IntRange(0, len(calls)-1).Draw(r, "call")
					c := calls[i]
					calls = append(calls[:i], calls[i+1:]...)
					m.result(c, v, now())
					c.permit.Settle(v)
				}
			}
			r.Repeat(map[string]func(*rapid.T){
				"admit": admit, "success": settle(Success), "failure": settle(Failure), "failure again": settle(Failure), "neutral": settle(Neutral),
				"wait": func(r *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 12_000).Draw(r, "ms")) * time.Millisecond)
					synctest.Wait()
					m.pass(now())
				},
				"": func(r *rapid.T) {
					if got := b.State(); got != m.state {
						r.Fatalf("the state is %v, want %v (%+v)", got, m.state, m)
					}
				},
			})
		})
	})
}
