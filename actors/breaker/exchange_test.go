package breaker

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// unruly is a base with answers, bodies and errors that come at random moments
// around the patience of the breaker.
type unruly struct{}

func (unruly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		go func() { // net/http reads it on a goroutine of its own, too
			_, _ = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
		}()
	}
	if !pauseOr(r.Context(), 1500*time.Microsecond) {
		return nil, r.Context().Err()
	}
	res := &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Request: r, Body: &unrulyBody{ctx: r.Context(), closed: make(chan struct{})}}
	if rand.IntN(4) == 0 {
		res.Header.Set("Content-Type", "text/event-stream")
	}
	return res, nil
}

// pauseOr waits for up to most, and reports whether ctx is still good.
func pauseOr(ctx context.Context, most time.Duration) bool {
	select {
	case <-time.After(rand.N(most)):
		return true
	case <-ctx.Done():
		return false
	}
}

type unrulyBody struct {
	ctx    context.Context
	once   sync.Once
	closed chan struct{}
}

func (u *unrulyBody) Read(p []byte) (int, error) {
	select {
	case <-time.After(rand.N(1500 * time.Microsecond)):
	case <-u.ctx.Done():
		return 0, u.ctx.Err()
	case <-u.closed:
		return 0, http.ErrBodyReadAfterClose
	}
	switch rand.IntN(5) {
	case 0:
		return 0, io.EOF
	case 1:
		return 0, io.ErrUnexpectedEOF
	}
	return copy(p, "x"), nil
}

func (u *unrulyBody) Close() error {
	u.once.Do(func() { close(u.closed) })
	return nil
}

// TestReadCloseCancelAndTimeoutCross, in every order: each call is counted once at
// the most, no slot and no flight is lost, and the race detector finds nothing.
func TestReadCloseCancelAndTimeoutCross(t *testing.T) {
	for name, s := range map[string]Settings{
		"closed":    {ClosedFailLimit: 1 << 30},
		"half-open": {ClosedFailLimit: 1, HalfProbeLimit: 1 << 20, HalfFailLimit: 1 << 20, HalfSuccessLimit: 1 << 20, OpenTimeout: time.Millisecond, ProbeTimeout: 2 * time.Millisecond},
		"hanging":   {ClosedFailLimit: 1 << 30, HangLimit: 1 << 20, HangTime: time.Millisecond},
		"slow":      {Trip: "rate", MinCalls: 1 << 20, SlowCall: time.Millisecond, ClosedFailLimit: 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			s.RequestTimeout = time.Millisecond
			b := newBreaker(t, s, WithClassifier(func(o Outcome) Verdict { return o.Default }), WithBodyPeek(4, nil))
			if name == "half-open" {
				_ = b.Do(t.Context(), "", fail)
				for b.State() != HalfOpen {
					time.Sleep(time.Millisecond)
				}
			}
			rt := b.Transport(unruly{})
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					for range 60 {
						crossOnce(t.Context(), rt)
					}
				})
			}
			group.Wait()
			for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if e := b.Snapshot().Entries[0]; e.Probes == 0 && e.Hanging == 0 {
					break
				}
			}
			e := b.Snapshot().Entries[0]
			if e.Probes != 0 || e.Hanging != 0 || e.Failures+e.Successes > 8*60+1 {
				t.Errorf("%+v", e)
			}
			t.Logf("%d failures, %d successes", e.Failures, e.Successes)
		})
	}
}

// crossOnce makes one call, which is read, closed and cancelled at random moments.
func crossOnce(parent context.Context, rt http.RoundTripper) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	if rand.IntN(3) == 0 {
		time.AfterFunc(rand.N(3*time.Millisecond), cancel)
	}
	if rand.IntN(4) == 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, rand.N(4*time.Millisecond))
		defer stop()
	}
	var body io.Reader
	if rand.IntN(3) == 0 {
		body = io.MultiReader(strings.NewReader("x"), strings.NewReader("y"))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://mail.internal/a", body)
	if err != nil {
		return
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var p [2]byte
		for range rand.IntN(6) {
			if _, err := res.Body.Read(p[:]); err != nil {
				return
			}
		}
	}()
	if rand.IntN(2) == 0 {
		<-done
	} else {
		time.Sleep(rand.N(3 * time.Millisecond))
	}
	_ = res.Body.Close()
	<-done
}

// TestStagesHaveNames, one each.
func TestStagesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for s := stageHeaders; s <= stageEnded; s++ {
		seen[s.String()] = true
	}
	if len(seen) != int(stageEnded)+1 {
		t.Errorf("%v", seen)
	}
}

// TestATimerThatCameTooLate: a piece of a body may come at the very moment at
// which the timer goes off, and the next one be waited for before the timer's
// function runs. The next piece has all the time again.
func TestATimerThatCameTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{})
		x := &exchange{b: b, parent: t.Context(), permit: Permit{b: b, path: "/a"}, patience: time.Minute}
		ctx := x.Done()
		x.clock.timer.Stop() // as when it has gone off, and its function is on its way
		if x.arrive(stagePaused) {
			t.Fatal("late before the function ran")
		}
		x.wait()
		x.giveUp()
		if x.arrive(stagePaused) || x.Err() != nil {
			t.Error("the next piece was given up at once")
		}
		x.wait()
		<-ctx
		if !x.arrive(stagePaused) || b.Snapshot().Entries[0].Failures != 1 {
			t.Error("a piece that did not come was waited for in vain")
		}
		x.end(Neutral, 0)
	})
}

// TestASilentProbeCountedAsASuccess: the patience and the time of a probe may end
// at the same moment. The slot's timer found the service given up, and no verdict yet.
func TestASilentProbeCountedAsASuccess(t *testing.T) {
	b := newBreaker(t, Settings{ClosedFailLimit: 1, OpenTimeout: time.Millisecond, HalfFailLimit: 1 << 20, HalfProbeLimit: 2, HalfSuccessLimit: 1 << 20})
	_ = b.Do(t.Context(), "", fail)
	for b.State() != HalfOpen {
		time.Sleep(time.Millisecond)
	}
	const rounds = 20
	for range rounds {
		permit, err := b.AcquireTimed(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange{b: b, parent: t.Context(), permit: permit, patience: time.Hour, extra: &extra{}}
		_ = x.Done()
		x.clock.until = 1 // it is over
		// A mutex that was waited for in vain, for longer than a millisecond, goes from
		// one to the next: the slot's timer gets it as soon as giveUp leaves it.
		x.mu.Lock()
		var both sync.WaitGroup
		both.Go(x.giveUp)
		time.Sleep(3 * time.Millisecond)
		both.Go(x.slotOver)
		time.Sleep(3 * time.Millisecond)
		x.mu.Unlock()
		x.mu.Lock()
		time.Sleep(3 * time.Millisecond)
		x.mu.Unlock()
		both.Wait()
		x.end(Neutral, 0)
	}
	if e := b.Snapshot().Entries[0]; e.Successes > 0 || e.Failures != rounds {
		t.Errorf("%d successes, %d failures of %d silent probes", e.Successes, e.Failures, rounds)
	}
}
