package breaker_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// newHedged is a service that answers after 20 ms, and where slow says so after a second.
func newHedged(t *testing.T, http2 bool, slow func(n int) bool, opts ...breaker.Option) *tried {
	t.Helper()
	d := newTried(t, http2, breaker.Settings{}, breaker.RetryPolicy{}, func(n int, w http.ResponseWriter, r *http.Request) {
		wait := 20 * time.Millisecond
		if slow(n) {
			wait = time.Second
		}
		select {
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
		_, _ = io.WriteString(w, strings.Repeat(fmt.Sprint(n%10), 100_000))
	}, opts...)
	d.client = &http.Client{Transport: d.b.Transport(d.base, breaker.Hedge())}
	return d
}

// TestHedges is a service with one slow answer in a hundred: the 99th percentile is near
// that of the others, for at most one more request in twenty. Each body is whole.
func TestHedges(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		d := newHedged(t, http2, func(n int) bool { return n%100 == 99 })
		const calls = 1000
		var took []time.Duration
		for range calls {
			begun := time.Now()
			status, text, err := d.send("GET", "")
			if status != 200 || len(text) != 100_000 || strings.Trim(text, text[:1]) != "" || err != nil {
				t.Fatalf("%d with %d bytes, %v", status, len(text), err)
			}
			took = append(took, time.Since(begun))
			time.Sleep(time.Millisecond)
		}
		slices.Sort(took)
		hedged := d.b.HTTPCalls().Hedged
		t.Logf("p50 %v, p99 %v, most %v; %d hedges", took[calls/2], took[calls*99/100], took[calls-1], hedged)
		if p99 := took[calls*995/1000]; p99 > 60*time.Millisecond {
			t.Errorf("p99.5 is %v", p99)
		}
		if hedged < 5 || hedged > calls/20 || d.requests() != calls+int(hedged) {
			t.Errorf("%d hedges, %d requests", hedged, d.requests())
		}
		if failures(d.b) != 0 {
			t.Errorf("%d failures: a request that lost is not a failure", failures(d.b))
		}
	})
}

// TestASlowServiceIsNotHedgedMore: when all is slow, it is not the moment for more requests.
func TestASlowServiceIsNotHedgedMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		d := newHedged(t, false, func(int) bool { return slow.Load() })
		for i := range 400 {
			slow.Store(i >= 200)
			if status, _, err := d.send("GET", ""); status != 200 || err != nil {
				t.Fatal(status, err)
			}
		}
		if n := d.b.HTTPCalls().Hedged; n > 20 {
			t.Errorf("%d hedges of 400 calls", n)
		}
	})
}

func TestWhatIsNotHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		d := newHedged(t, false, func(int) bool { return slow.Load() })
		for range 200 {
			_, _, _ = d.send("GET", "")
		}
		slow.Store(true)
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
			if _, _, err := d.send(method, "x", func(r *http.Request) { r.Header.Set("Idempotency-Key", "7") }); err != nil {
				t.Error(err)
			}
		}
		if n := d.b.HTTPCalls().Hedged; n != 0 {
			t.Errorf("%d hedges of writes", n)
		}
		if _, _, err := d.send("GET", ""); err != nil || d.b.HTTPCalls().Hedged != 1 {
			t.Errorf("%d hedges, %v", d.b.HTTPCalls().Hedged, err)
		}
	})
}

func TestBadHedgePolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, p := range []breaker.HedgePolicy{{Quantile: 0.4}, {Quantile: 1}, {Quantile: -1}, {Least: -1}} {
			b, _ := newMail(t, http.DefaultTransport, breaker.Settings{})
			if _, err := b.Client(p).Get(mailService); err == nil || !strings.Contains(err.Error(), "Hedge") || errors.Is(err, breaker.ErrOpen) {
				t.Errorf("%+v: %v", p, err)
			}
		}
	})
}
