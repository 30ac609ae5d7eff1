package breaker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// tried is a server that answers each request in its turn, and what a client of it with
// retries does.
type tried struct {
	t      *testing.T
	b      *breaker.Breaker
	client *http.Client
	base   http.RoundTripper
	begun  time.Time
	opened atomic.Int32 // responses that the base gave out
	closed atomic.Int32 // and that were closed

	mu     sync.Mutex
	at     []time.Duration // when each request came
	bodies []string
}

// eachProtocol runs a test in a bubble, over HTTP/1.1 and over HTTP/2.
func eachProtocol(t *testing.T, run func(t *testing.T, http2 bool)) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(t, http2) })
		})
	}
}

func newTried(t *testing.T, http2 bool, s breaker.Settings, p breaker.RetryPolicy,
	answer func(n int, w http.ResponseWriter, r *http.Request), opts ...breaker.Option,
) *tried {
	t.Helper()
	d := &tried{t: t, begun: time.Now()}
	base := serveInMemory(t, http2, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		d.mu.Lock()
		n := len(d.at)
		d.at = append(d.at, time.Since(d.begun))
		d.bodies = append(d.bodies, string(body))
		d.mu.Unlock()
		answer(n, w, r)
	})
	d.b, _ = newMail(t, base, s, append([]breaker.Option{breaker.WithRandom(func() float64 { return 0.5 })}, opts...)...)
	d.base = counting{d, base}
	d.client = &http.Client{Transport: d.b.Transport(d.base, p)}
	t.Cleanup(func() {
		if o, c := d.opened.Load(), d.closed.Load(); o != c {
			t.Errorf("%d bodies of responses were given out and %d closed", o, c)
		}
	})
	return d
}

func (d *tried) requests() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.at)
}

// counting counts the bodies that base gives out and those that are closed.
type counting struct {
	d    *tried
	base http.RoundTripper
}

func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := c.base.RoundTrip(req)
	if err == nil && res.Body != http.NoBody && res.StatusCode != http.StatusSwitchingProtocols {
		c.d.opened.Add(1)
		res.Body = &countedBody{ReadCloser: res.Body, d: c.d}
	}
	return res, err
}

type countedBody struct {
	io.ReadCloser
	d    *tried
	once sync.Once
}

func (c *countedBody) Close() error {
	c.once.Do(func() { c.d.closed.Add(1) })
	return c.ReadCloser.Close()
}

// send makes a request and returns its status and body.
func (d *tried) send(method, body string, change ...func(*http.Request)) (int, string, error) {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, mailService+"/v1/send", r)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	res, err := d.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// fails answers 503 to the first requests, and then with the body of the request.
func fails(times int) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		if n < times {
			http.Error(w, fmt.Sprintf("failure %d", n), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "good")
	}
}

func TestRetriesOfFailedRequests(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		d := newTried(t, http2, breaker.Settings{}, breaker.Retry(3), fails(2))
		status, text, err := d.send("PUT", "letter")
		if status != 200 || text != "good" || err != nil {
			t.Errorf("%d %q, %v", status, text, err)
		}
		if want := []string{"letter", "letter", "letter"}; !slices.Equal(d.bodies, want) {
			t.Errorf("the service read %q, want %q", d.bodies, want)
		}
		want := []time.Duration{0, 25 * time.Millisecond, 75 * time.Millisecond} // half of 50 and of 100 ms
		for i, at := range d.at {
			if at.Round(time.Millisecond) != want[i] {
				t.Errorf("request %d came after %v, want %v", i, at, want[i])
			}
		}
		calls := d.b.HTTPCalls()
		if calls.Retried != 2 || calls.Judged[breaker.Failure].Count != 2 || calls.Judged[breaker.Success].Count != 1 {
			t.Errorf("%+v", calls)
		}
	})
}

func TestTheLastAnswerIsTheCallers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		d := newTried(t, http2, breaker.Settings{}, breaker.Retry(2), fails(99))
		status, text, err := d.send("GET", "")
		if status != 503 || strings.TrimSpace(text) != "failure 2" || err != nil || d.requests() != 3 {
			t.Errorf("%d %q, %v after %d requests", status, text, err, d.requests())
		}
	})
}

func TestWhatIsNotSentTwice(t *testing.T) {
	header := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, "7") }
	}
	stream := func(r *http.Request) {
		r.GetBody = nil
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader("stream")))
	}
	broken := func(r *http.Request) {
		r.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("the file is gone") }
	}
	for name, c := range map[string]struct {
		method, body string
		change       func(*http.Request)
		status       int
		requests     int
	}{
		"POST":                   {"POST", "x", nil, 503, 1},
		"POST without a body":    {"POST", "", nil, 503, 1},
		"PATCH":                  {"PATCH", "x", nil, 503, 1},
		"POST with a key":        {"POST", "x", header("Idempotency-Key"), 503, 4},
		"a streaming upload":     {"PUT", "stream", stream, 503, 1},
		"a body that is gone":    {"PUT", "x", broken, 503, 1},
		"GET":                    {"GET", "", nil, 503, 4},
		"DELETE":                 {"DELETE", "", nil, 503, 4},
		"a mistake of ours":      {"GET", "", nil, 400, 1},
		"not there":              {"GET", "", nil, 404, 1},
		"not implemented":        {"GET", "", nil, 501, 1},
		"too many requests":      {"GET", "", nil, 429, 4},
		"bad gateway":            {"GET", "", nil, 502, 4},
		"Expect of 100-continue": {"PUT", "x", func(r *http.Request) { r.Header.Set("Expect", "100-continue") }, 503, 4},
	} {
		t.Run(name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, http2 bool) {
				d := newTried(t, http2, breaker.Settings{}, breaker.Retry(3), func(_ int, w http.ResponseWriter, _ *http.Request) {
					http.Error(w, "no", c.status)
				})
				change := c.change
				if change == nil {
					change = func(*http.Request) {}
				}
				status, text, err := d.send(c.method, c.body, change)
				if status != c.status || strings.TrimSpace(text) != "no" || err != nil || d.requests() != c.requests {
					t.Errorf("%d %q, %v after %d requests, want %d", status, text, err, d.requests(), c.requests)
				}
				for _, b := range d.bodies {
					if b != c.body {
						t.Errorf("a request with the body %q, want %q", b, c.body)
					}
				}
			})
		})
	}
}

// TestABodyThatBreaksOffIsNotRetried: the caller may have used its beginning.
func TestABodyThatBreaksOffIsNotRetried(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		d := newTried(t, http2, breaker.Settings{}, breaker.Retry(3), func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		status, text, err := d.send("GET", "")
		if status != 200 || text != "half" || err == nil || d.requests() != 1 {
			t.Errorf("%d %q, %v after %d requests", status, text, err, d.requests())
		}
		if n := failures(d.b); n != 1 {
			t.Errorf("%d failures, want 1", n)
		}
	})
}

func TestRetryAfterIsObeyed(t *testing.T) {
	for name, c := range map[string]struct {
		header   func() string
		requests int
		least    time.Duration // of the second request
	}{
		"seconds":     {func() string { return "3" }, 2, 3 * time.Second},
		"a date":      {func() string { return time.Now().Add(4 * time.Second).UTC().Format(http.TimeFormat) }, 2, 3 * time.Second},
		"past":        {func() string { return "Wed, 21 Oct 1998 07:28:00 GMT" }, 2, 0},
		"negative":    {func() string { return "-5" }, 2, 0},
		"garbage":     {func() string { return "later" }, 2, 0},
		"too long":    {func() string { return "31" }, 1, 0},
		"overflowing": {func() string { return "9223372037" }, 1, 0},
		"far date":    {func() string { return "Fri, 31 Dec 9999 23:59:59 GMT" }, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newTried(t, false, breaker.Settings{}, breaker.Retry(1), func(n int, w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", c.header())
					http.Error(w, "later", http.StatusServiceUnavailable)
				})
				begun := time.Now()
				status, text, err := d.send("GET", "")
				if status != 503 || strings.TrimSpace(text) != "later" || err != nil || d.requests() != c.requests {
					t.Fatalf("%d %q, %v after %d requests, want %d", status, text, err, d.requests(), c.requests)
				}
				if c.requests == 1 && time.Since(begun) > time.Second {
					t.Errorf("the answer took %v, though there is no retry", time.Since(begun))
				}
				if c.requests == 2 && (d.at[1] < c.least || d.at[1] > c.least+2*time.Second) {
					t.Errorf("the second request came after %v, want %v", d.at[1], c.least)
				}
			})
		})
	}
}

func TestNoRetryWhileOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTried(t, false, breaker.Settings{ClosedFailLimit: 2}, breaker.Retry(3), fails(99))
		status, text, err := d.send("GET", "")
		if status != 503 || strings.TrimSpace(text) != "failure 1" || err != nil || d.requests() != 2 {
			t.Errorf("%d %q, %v after %d requests: want the answer that opened it", status, text, err, d.requests())
		}
		if _, _, err := d.send("GET", ""); !errors.Is(err, breaker.ErrOpen) || d.requests() != 2 {
			t.Errorf("open: %v", err)
		}
		time.Sleep(11 * time.Second) // half-open: a retry would take the slot of another's probe
		if status, _, err := d.send("GET", ""); status != 503 || err != nil || d.requests() != 3 {
			t.Errorf("half-open: %d, %v after %d requests", status, err, d.requests())
		}
	})
}

// TestABreakerThatOpensDuringTheWait: the caller still gets the answer that it had.
func TestABreakerThatOpensDuringTheWait(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		d := newTried(t, http2, breaker.Settings{}, breaker.RetryPolicy{Most: 1, Base: time.Second}, fails(99))
		go func() {
			time.Sleep(200 * time.Millisecond)
			_ = d.b.ForceOpen("", 0)
		}()
		status, text, err := d.send("GET", "")
		if status != 503 || strings.TrimSpace(text) != "failure 0" || err != nil || d.requests() != 1 {
			t.Errorf("%d %q, %v after %d requests", status, text, err, d.requests())
		}
	})
}

func TestTimesOfRetries(t *testing.T) {
	hang := func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	after := func(d time.Duration) func(*http.Request) {
		return func(r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), d)
			_ = cancel
			*r = *r.WithContext(ctx)
		}
	}
	for name, c := range map[string]struct {
		policy   breaker.RetryPolicy
		change   func(*http.Request)
		answer   func(int, http.ResponseWriter, *http.Request)
		requests int
		took     time.Duration // to a second
		timeout  bool
	}{
		"request_timeout for each":               {breaker.Retry(3), nil, hang, 4, 20 * time.Second, true},
		"a limit of its own for each":            {breaker.RetryPolicy{Most: 3, Attempt: 2 * time.Second}, nil, hang, 4, 8 * time.Second, true},
		"a later deadline does not stretch one":  {breaker.Retry(3), after(time.Hour), hang, 4, 20 * time.Second, true},
		"the total time":                         {breaker.RetryPolicy{Most: 9, Total: 12 * time.Second}, nil, hang, 3, 12 * time.Second, true},
		"the total time within the first":        {breaker.RetryPolicy{Most: 9, Total: time.Second}, nil, hang, 1, time.Second, true},
		"the caller's deadline":                  {breaker.Retry(9), after(7 * time.Second), hang, 2, 7 * time.Second, true},
		"the caller's patience":                  {breaker.Retry(1), func(r *http.Request) { *r = *r.WithContext(breaker.WithPatience(r.Context(), time.Second)) }, hang, 2, 2 * time.Second, true},
		"no wait beyond the deadline":            {breaker.RetryPolicy{Most: 9, Base: time.Minute, Cap: time.Minute}, after(10 * time.Second), fails(99), 1, 0, false},
		"no wait beyond the total time":          {breaker.RetryPolicy{Most: 9, Base: time.Minute, Cap: time.Minute, Total: 10 * time.Second}, nil, fails(99), 1, 0, false},
		"a deadline that has passed at the call": {breaker.Retry(9), after(-time.Second), hang, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, http2 bool) {
				d := newTried(t, http2, breaker.Settings{}, c.policy, c.answer)
				change := c.change
				if change == nil {
					change = func(*http.Request) {}
				}
				begun := time.Now()
				status, _, err := d.send("GET", "", change)
				took := time.Since(begun)
				if took < c.took || took > c.took+time.Second || d.requests() != c.requests {
					t.Errorf("%d requests in %v, want %d in %v", d.requests(), took, c.requests, c.took)
				}
				if c.timeout && (!errors.Is(err, context.DeadlineExceeded) || !isTimeout(err)) || !c.timeout && status != 503 {
					t.Errorf("%d, %v", status, err)
				}
			})
		})
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func TestACallerThatLeavesDuringTheWait(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		d := newTried(t, http2, breaker.Settings{}, breaker.RetryPolicy{Most: 3, Base: 10 * time.Second, Cap: 10 * time.Second}, fails(99))
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		begun := time.Now()
		_, _, err := d.send("GET", "", func(r *http.Request) { *r = *r.WithContext(ctx) })
		if !errors.Is(err, context.Canceled) || time.Since(begun).Round(time.Millisecond) != time.Second || d.requests() != 1 {
			t.Errorf("%v after %v and %d requests", err, time.Since(begun), d.requests())
		}
	})
}

// TestConnectionsAreUsedAgain: what is discarded is read, within bounds.
func TestConnectionsAreUsedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		body  func(w http.ResponseWriter, r *http.Request)
		again bool
		most  time.Duration
	}{
		"short": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 4<<10)) }, true, time.Second},
		"long":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 4<<20)) }, false, time.Second},
		"silent": {func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, false, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newTried(t, false, breaker.Settings{}, breaker.Retry(1), func(n int, w http.ResponseWriter, r *http.Request) {
					if n == 0 {
						w.WriteHeader(http.StatusBadGateway)
						c.body(w, r)
					}
				})
				reused := false
				begun := time.Now()
				status, _, err := d.send("GET", "", func(r *http.Request) {
					*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
						GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused },
					}))
				})
				if status != 200 || err != nil || reused != c.again || time.Since(begun) > c.most {
					t.Errorf("%d, %v after %v; a used connection: %v", status, err, time.Since(begun), reused)
				}
			})
		})
	}
}

// TestAWinnersBodyIsReadToItsEnd: what ends an attempt does not end the body of its answer.
func TestAWinnersBodyIsReadToItsEnd(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		want := bytes.Repeat([]byte("letter "), 100_000)
		d := newTried(t, http2, breaker.Settings{}, breaker.RetryPolicy{Most: 1, Total: 5 * time.Second}, func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 0 {
				panic(http.ErrAbortHandler)
			}
			_, _ = w.Write(want[:100])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(3 * time.Second)
			_, _ = w.Write(want[100:200])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(4 * time.Second) // past the total time, which is one of headers
			_, _ = w.Write(want[200:])
		})
		status, text, err := d.send("GET", "")
		if status != 200 || text != string(want) || err != nil || d.requests() != 2 {
			t.Errorf("%d with %d bytes, %v after %d requests", status, len(text), err, d.requests())
		}
	})
}

// TestABudgetIsOneOfAService: ten clients of a service that fails have one budget, and
// those whose retry is not made get the answer of the service.
func TestABudgetIsOneOfAService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTried(t, false, breaker.Settings{ClosedFailLimit: 1 << 30}, breaker.Retry(3), fails(1<<30), breaker.WithRetryBudget(0.2, 1))
		for range 10 {
			d.client = &http.Client{Transport: d.b.Transport(d.base, breaker.Retry(3))}
			for range 100 {
				if status, text, err := d.send("GET", ""); status != 503 || text == "" || err != nil {
					t.Fatalf("%d %q, %v", status, text, err)
				}
			}
		}
		calls := d.b.HTTPCalls()
		if n := d.requests(); n > 1200 || n < 1150 || calls.Retried != uint64(n-1000) || calls.Spent < 900 {
			t.Errorf("%d requests for 1000 calls, %d retries, %d refused", n, calls.Retried, calls.Spent)
		}
	})
}

func TestBadRetryPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, p := range []breaker.ClientOption{
			breaker.Retry(-1), breaker.Retry(101), breaker.RetryPolicy{Most: 1, Status: "often"}, breaker.RetryPolicy{Most: 1, Base: -1},
			breaker.RetryPolicy{Most: 1, Base: time.Second, Cap: time.Millisecond}, breaker.RetryPolicy{Most: 1, Total: -1},
			breaker.RetryPolicy{Most: 1, Attempt: -1}, nil,
		} {
			b, _ := newMail(t, http.DefaultTransport, breaker.Settings{})
			if _, err := b.Client(p).Get(mailService); err == nil || !strings.Contains(err.Error(), "breaker: ") {
				t.Errorf("%+v: %v", p, err)
			}
		}
	})
}
