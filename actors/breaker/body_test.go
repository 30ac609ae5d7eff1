package breaker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// A long pause is longer than every time-out of the settings.
const longPause = 20 * time.Second

// answerBody is what the service of the table answers.
var answerBody = []byte(`{"rows":"` + strings.Repeat("x", 3000) + `"}`)

// answers are the outcomes of the service's side.
var answers = map[string]http.HandlerFunc{
	"good": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answerBody) },
	"good, chunked": func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		_, _ = w.Write(answerBody)
	},
	"empty":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	"not found": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, string(answerBody), http.StatusNotFound) },
	"503": func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, string(answerBody), http.StatusServiceUnavailable)
	},
	"breaks off": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(answerBody[:1000])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	},
	"stalls": func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(answerBody[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	},
	"no headers": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
}

// reader is one way in which programs treat a response.
type reader struct {
	name  string
	stops bool // before the place at which a body breaks off or stalls
	pause bool // for longer than a probe's time
	read  func(res *http.Response, cancel context.CancelFunc) error
}

func readAll(res *http.Response) error {
	_, err := io.Copy(io.Discard, res.Body)
	return err
}

var readers = []reader{
	{"read to its end", false, false, func(res *http.Response, _ context.CancelFunc) error {
		defer func() { _ = res.Body.Close() }()
		return readAll(res)
	}},
	{"read to its end, not closed", false, false, func(res *http.Response, _ context.CancelFunc) error { return readAll(res) }},
	{"read byte by byte", false, false, func(res *http.Response, _ context.CancelFunc) error {
		defer func() { _ = res.Body.Close() }()
		return readAll(&http.Response{Body: io.NopCloser(iotest.OneByteReader(res.Body))})
	}},
	{"read to its last byte alone", false, false, func(res *http.Response, _ context.CancelFunc) error {
		defer func() { _ = res.Body.Close() }()
		_, err := io.ReadFull(res.Body, make([]byte, len(answerBody)))
		return err
	}},
	{"decoded", false, false, func(res *http.Response, _ context.CancelFunc) error {
		defer func() { _ = res.Body.Close() }()
		var v any
		return json.NewDecoder(res.Body).Decode(&v)
	}},
	{"closed unread", true, false, func(res *http.Response, _ context.CancelFunc) error { return res.Body.Close() }},
	{"closed twice, unread", true, false, func(res *http.Response, _ context.CancelFunc) error {
		_ = res.Body.Close()
		return res.Body.Close()
	}},
	{"read in part, closed", true, false, func(res *http.Response, _ context.CancelFunc) error {
		defer func() { _ = res.Body.Close() }()
		_, err := io.ReadFull(res.Body, make([]byte, 100))
		return err
	}},
	{"a pause, read", false, true, func(res *http.Response, _ context.CancelFunc) error {
		defer func() { _ = res.Body.Close() }()
		time.Sleep(longPause)
		return readAll(res)
	}},
	{"read in part, a pause, read", false, true, func(res *http.Response, _ context.CancelFunc) error {
		defer func() { _ = res.Body.Close() }()
		_, _ = io.ReadFull(res.Body, make([]byte, 100))
		time.Sleep(longPause)
		return readAll(res)
	}},
	{"a pause, closed unread", true, true, func(res *http.Response, _ context.CancelFunc) error {
		time.Sleep(longPause)
		return res.Body.Close()
	}},
	{"cancelled, read", false, false, func(res *http.Response, cancel context.CancelFunc) error {
		defer func() { _ = res.Body.Close() }()
		cancel()
		synctest.Wait()
		n, err := io.Copy(io.Discard, res.Body)
		if n == res.ContentLength { // all of it had come
			return nil
		}
		return err
	}},
	{"cancelled, closed unread", true, false, func(res *http.Response, cancel context.CancelFunc) error {
		cancel()
		synctest.Wait()
		_ = res.Body.Close()
		return context.Canceled
	}},
}

// verdict is what the table says of a call: what was seen of the service. err is
// how the reading ended.
func (r reader) verdict(http2 bool, answer, state string, err error) breaker.Verdict {
	cancelled := err != nil && strings.HasPrefix(r.name, "cancelled") // what has come already may be read
	probe := state == "half-open" || state == "metrics only"
	switch answer {
	case "no headers", "503":
		return breaker.Failure
	case "empty":
		if cancelled && http2 { // there is a body to close; on HTTP/1.1 the headers are all
			return breaker.Neutral
		}
		return breaker.Success
	case "breaks off", "stalls":
		switch {
		case cancelled:
			return breaker.Neutral
		case r.stops, r.pause && probe: // the probe's time was over in the pause
			return breaker.Success
		}
		return breaker.Failure
	}
	if cancelled {
		return breaker.Neutral
	}
	return breaker.Success
}

// TestWaysOfReading is the table of ways of reading × protocol × answer × state.
func TestWaysOfReading(t *testing.T) {
	cases := 0
	for _, http2 := range []bool{false, true} {
		for answer, handler := range answers {
			for _, r := range readers {
				for state, judge := range states {
					cases++
					name := fmt.Sprintf("http2=%v/%s/%s/%s", http2, answer, r.name, state)
					t.Run(name, func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							base := serveInMemory(t, http2, handler)
							var ended error
							got := judge(t, base, func(c *http.Client) {
								ctx, cancel := context.WithCancel(t.Context())
								defer cancel()
								req, err := http.NewRequestWithContext(ctx, http.MethodGet, mailService+"/rows", nil)
								if err != nil {
									t.Fatal(err)
								}
								if res, err := c.Do(req); err == nil {
									ended = r.read(res, cancel)
								}
							})
							if want := r.verdict(http2, answer, state, ended); got != want {
								t.Errorf("counted as %v, want %v", got, want)
							}
						})
					})
				}
			}
		}
	}
	t.Logf("%d cases", cases)
}

// states bring a breaker into a state, make a call in it and return what the
// call has counted as.
var states = map[string]func(t *testing.T, base http.RoundTripper, call func(*http.Client)) breaker.Verdict{
	"closed": func(t *testing.T, base http.RoundTripper, call func(*http.Client)) breaker.Verdict {
		b, c := newMail(t, base, breaker.Settings{ClosedFailLimit: 3})
		_ = b.Do(t.Context(), "/rows", fail)
		call(c)
		return [...]breaker.Verdict{breaker.Success, breaker.Neutral, breaker.Failure}[failures(b)]
	},
	"half-open": func(t *testing.T, base http.RoundTripper, call func(*http.Client)) breaker.Verdict {
		b, c := newMail(t, base, breaker.Settings{ClosedFailLimit: 1, HalfSuccessLimit: 2})
		halfOpen(t, b)
		call(c)
		return probeVerdict(t, b)
	},
	"rate": func(t *testing.T, base http.RoundTripper, call func(*http.Client)) breaker.Verdict {
		b, c := newMail(t, base, breaker.Settings{Trip: "rate", WindowCalls: 100, MinCalls: 3, FailureRate: 0.6})
		_ = b.Do(t.Context(), "", fail)
		call(c)
		if failures(b) == 2 {
			return breaker.Failure
		}
		_ = b.Do(t.Context(), "", fail) // the third call of the window, if there were two
		if b.State() == breaker.Open {
			return breaker.Success
		}
		return breaker.Neutral
	},
	"slow calls": func(t *testing.T, base http.RoundTripper, call func(*http.Client)) breaker.Verdict {
		b, c := newMail(t, base, breaker.Settings{Trip: "rate", WindowCalls: 100, MinCalls: 2, FailureRate: 0.9, SlowCall: time.Second, SlowRate: 0.5})
		_ = b.Do(t.Context(), "", succeed)
		call(c)
		switch {
		case failures(b) == 1:
			return breaker.Failure
		case b.State() != breaker.Closed:
			t.Error("the caller's own time made a call slow")
		}
		for range 8 { // with the call's own success it takes one failure more to reach 0.9
			_ = b.Do(t.Context(), "", succeed)
		}
		return rateOfSuccesses(t, b)
	},
	"metrics only": func(t *testing.T, base http.RoundTripper, call func(*http.Client)) breaker.Verdict {
		b, c := newMail(t, base, breaker.Settings{ClosedFailLimit: 1, HalfSuccessLimit: 2})
		if err := b.MetricsOnly("", 0); err != nil {
			t.Fatal(err)
		}
		halfOpen(t, b)
		call(c)
		return probeVerdict(t, b)
	},
}

// halfOpen opens a breaker by one failure and waits for half-open.
func halfOpen(t *testing.T, b *breaker.Breaker) {
	t.Helper()
	_ = b.Do(t.Context(), "", fail)
	time.Sleep(10 * time.Second)
	synctest.Wait()
	if s := b.Snapshot().Entries[0]; s.Own != breaker.HalfOpen {
		t.Fatalf("%+v", s)
	}
}

// probeVerdict reads off what a probe has counted as, and that its slot is free.
func probeVerdict(t *testing.T, b *breaker.Breaker) breaker.Verdict {
	t.Helper()
	synctest.Wait()
	s := b.Snapshot().Entries[0]
	if s.Probes != 0 {
		t.Errorf("%d slots are held after the call", s.Probes)
	}
	switch {
	case slices.ContainsFunc(b.Transitions(0), func(tr breaker.Transition) bool { return tr.From == breaker.HalfOpen && tr.To == breaker.Open }):
		return breaker.Failure
	case s.Successes == 1:
		return breaker.Success
	}
	return breaker.Neutral
}

// rateOfSuccesses reads off how many successes a window holds, of nine or ten.
func rateOfSuccesses(t *testing.T, b *breaker.Breaker) breaker.Verdict {
	t.Helper()
	n := 0
	for b.State() == breaker.Closed && n < 1000 {
		_ = b.Do(t.Context(), "", fail)
		n++
	}
	switch n { // n/(n+9) or n/(n+10) is 0.9
	case 81:
		return breaker.Neutral
	case 90:
		return breaker.Success
	}
	t.Errorf("it took %d failures to open", n)
	return breaker.Failure
}

// TestAProbeThatIsNeverReadGivesItsSlotBack: the caller lost the response.
func TestAProbeThatIsNeverReadGivesItsSlotBack(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		synctest.Test(t, func(t *testing.T) {
			b, c := newMail(t, serveInMemory(t, http2, answers["good"]), breaker.Settings{ClosedFailLimit: 1, HalfSuccessLimit: 2})
			halfOpen(t, b)
			res, err := c.Get(mailService + "/rows")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Second)
			if got := probeVerdict(t, b); got != breaker.Success {
				t.Errorf("counted as %v", got)
			}
			_ = res.Body.Close()
		})
	})
}

// TestClosingAStalledBodyIsNeutral: the caller's own watchdog closes a body that
// another goroutine reads.
func TestClosingAStalledBodyIsNeutral(t *testing.T) {
	for state, judge := range states {
		t.Run(state, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := judge(t, serveInMemory(t, false, answers["stalls"]), func(c *http.Client) {
					res, err := c.Get(mailService + "/rows")
					if err != nil {
						t.Fatal(err)
					}
					done := make(chan struct{})
					go func() { _ = readAll(res); close(done) }()
					synctest.Wait()
					_ = res.Body.Close()
					<-done
				})
				if got != breaker.Neutral {
					t.Errorf("counted as %v", got)
				}
			})
		})
	}
}

// TestHalfOpenClosesWhenBodiesAreClosedUnread: after an outage callers look at
// the status alone.
func TestHalfOpenClosesWhenBodiesAreClosedUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		b, c := newMail(t, serveInMemory(t, false, downOr(&down, answers["good"])), breaker.Settings{})
		down.Store(true)
		for range 10 {
			_ = call(c, "/v1", nil)
		}
		down.Store(false)
		if b.State() != breaker.Open {
			t.Fatalf("ten answers 503: %v, want open", b.State())
		}
		time.Sleep(11 * time.Second)
		refused := 0
		for range 100 {
			if err := call(c, "/v1", nil); err != nil {
				refused++
			}
			time.Sleep(10 * time.Millisecond)
		}
		if b.State() != breaker.Closed || refused > 0 {
			t.Errorf("after 100 calls to the healthy service: %v, %d refused; want closed, none", b.State(), refused)
		}
	})
}

// downOr answers 503 while down is true.
func downOr(down *atomic.Bool, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h(w, r)
	}
}

// TestFailuresAreClearedWhenBodiesAreClosedUnread: one call in twenty fails,
// never two in a row.
func TestFailuresAreClearedWhenBodiesAreClosedUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		b, c := newMail(t, serveInMemory(t, false, downOr(&down, answers["good"])), breaker.Settings{})
		for i := range 400 {
			down.Store(i%20 == 0)
			_ = call(c, "/v1", nil)
			if b.State() != breaker.Closed {
				t.Fatalf("%v after %d calls, %d of them failed, never two in a row; want closed", b.State(), i+1, i/20+1)
			}
		}
	})
}

// TestASlowCallerDoesNotFailTheProbeOfAHealthyService: the caller's own time,
// before or between its reads, is no time of the service.
func TestASlowCallerDoesNotFailTheProbeOfAHealthyService(t *testing.T) {
	for _, slow := range []string{"before the first read", "between two reads"} {
		t.Run(slow, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var down atomic.Bool
				rows := bytes.Repeat([]byte("x"), 100_000)
				h := downOr(&down, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(rows) })
				b, c := newMail(t, serveInMemory(t, false, h), breaker.Settings{HalfSuccessLimit: 2})
				down.Store(true)
				for range 10 {
					_ = call(c, "/rows", nil)
				}
				down.Store(false)
				time.Sleep(11 * time.Second)
				get := func(work time.Duration) {
					if err := call(c, "/rows", func(res *http.Response) {
						if slow == "between two reads" {
							_, _ = io.ReadFull(res.Body, make([]byte, 1000))
						}
						time.Sleep(work)
						if _, err := io.Copy(io.Discard, res.Body); err != nil {
							t.Errorf("the rest of the body: %v", err)
						}
					}); err != nil {
						t.Errorf("a call to the healthy service: %v", err)
					}
				}
				get(6 * time.Second)
				get(6 * time.Second)
				if b.State() == breaker.Open {
					t.Errorf("a slow caller opened the breaker of a healthy service: %s", b.Transitions(0)[len(b.Transitions(0))-1].Reason)
				}
				get(0)
				get(0)
				if b.State() != breaker.Closed {
					t.Errorf("after two slow and two quick callers: %v, want closed", b.State())
				}
			})
		})
	}
}

func TestBrokenBodiesAreFailures(t *testing.T) {
	const rounds = 20
	part := []byte(strings.Repeat("x", 4096))
	broken := map[string]http.HandlerFunc{
		"truncated": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(2*len(part)))
			_, _ = w.Write(part)
		},
		"reset": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(part)
			w.(http.Flusher).Flush()
			if hj, ok := w.(http.Hijacker); ok {
				conn, _, err := hj.Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				if tcp, ok := conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				_ = conn.Close()
				return
			}
			panic(http.ErrAbortHandler) // RST_STREAM
		},
		"stalled": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(part)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"no headers": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"503":        func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) },
		"429":        func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(429) },
	}
	for name, handler := range broken {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/http2=%v", name, http2), func(t *testing.T) {
				slow := name == "stalled" || name == "no headers"
				s := breaker.Settings{ClosedFailLimit: 1000}
				if slow {
					s.RequestTimeout = 50 * time.Millisecond
				}
				b, client, url := serve(t, http2, s, handler)
				for i := range rounds {
					res, err := client.Get(url + "/a/b")
					if err == nil {
						if want := map[bool]int{true: 2, false: 1}[http2]; res.ProtoMajor != want {
							t.Fatalf("HTTP/%d, want %d", res.ProtoMajor, want)
						}
						_, err = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
					}
					if slow != errors.Is(err, breaker.ErrTimeout) {
						t.Fatalf("round %d: %v", i, err)
					}
				}
				if got := failures(b); got != rounds {
					t.Errorf("%d of %d counted", got, rounds)
				}
			})
		}
	}
}
