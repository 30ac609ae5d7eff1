package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func limiterOf(t *testing.T, l Limits) *Limiter {
	t.Helper()
	limiter, err := NewLimiter(l)
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

func TestLimitsAreChecked(t *testing.T) {
	for want, l := range map[string]Limits{
		"":                        {},
		"Min is -1":               {Min: -1},
		"Max is 3":                {Min: 4, Max: 3},
		"Initial is 9":            {Max: 8, Initial: 9},
		"Tolerance is 0.5":        {Tolerance: 0.5},
		"Wait is -1ns":            {Wait: -1},
		"RetryAfter is -1s":       {RetryAfter: -time.Second},
		"limits \"api\": Min is ": {Name: "api", Min: -5, Max: 3},
	} {
		_, err := NewLimiter(l)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	if _, err := NewLimiter(Limits{Max: 2}); err != nil {
		t.Errorf("a small Max alone: %v", err)
	}
}

// Who waits gets the places that become free: the higher priority first, within one
// the first first, and only up to its patience.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiterOf(t, Limits{Min: 1, Max: 1, Queue: 3, Wait: time.Second})
		ctx := context.Background()
		if ok, waited := l.acquire(ctx, Normal); !ok || waited {
			t.Fatal("the first is not admitted")
		}
		order := make(chan string, 10)
		wait := func(name string, p Priority) {
			go func() {
				ok, _ := l.acquire(ctx, p)
				if !ok {
					name += " is shed"
				}
				order <- name
			}()
			synctest.Wait()
		}
		wait("low", Low)
		wait("normal 1", Normal)
		wait("normal 2", Normal)
		wait("high", High) // takes the place of low
		if got := <-order; got != "low is shed" {
			t.Error(got)
		}
		wait("another low", Low)
		if got := <-order; got != "another low is shed" {
			t.Error(got)
		}
		if s := l.Stats(); s.Waiting != 3 || s.InFlight != 1 || s.Shed["low"] != 2 {
			t.Errorf("%+v", s)
		}
		for _, want := range []string{"high", "normal 1"} {
			l.release(0, 0, time.Now())
			if got := <-order; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		begun := time.Now()
		if got := <-order; got != "normal 2 is shed" || time.Since(begun) != time.Second {
			t.Errorf("%s after %v", got, time.Since(begun))
		}
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Millisecond, cancel)
		if ok, _ := l.acquire(ctx, Normal); ok {
			t.Error("admitted though its client has gone")
		}
		l.release(0, 0, time.Now())
		if s := l.Stats(); s.Waiting != 0 || s.InFlight != 0 {
			t.Errorf("at the end: %+v", s)
		}
	})
}

// All places hang, as on a lost database: operators still get in, and so do probes.
func TestOperatorsHaveAReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLines(t)
		release := make(chan struct{})
		h := Middleware(log, WithShedding(Limits{Min: 4, Max: 4, Wait: time.Millisecond, RetryAfter: 3 * time.Second}), WithPriority(func(r *http.Request) Priority {
			if r.Pattern == "GET /debug" {
				return Operator
			}
			return Normal
		}))(muxOf(map[string]http.HandlerFunc{
			"GET /hang":  func(http.ResponseWriter, *http.Request) { <-release },
			"GET /debug": write("goroutines"),
			"GET /livez": write("ok"),
		}))
		for range 4 {
			go ask(h, "GET", "/hang")
		}
		synctest.Wait()
		w := ask(h, "GET", "/hang", "X-Request-Id", "r-9")
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 503 || answer["status"] != 503.0 || answer["request_id"] != "r-9" {
			t.Errorf("%d %s %v", w.Code, w.Body, err)
		}
		if n, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || n < 3 || n > 6 {
			t.Errorf("Retry-After: %q", w.Header().Get("Retry-After"))
		}
		if line := log.last(t); line["shed"] != true || line["level"] != "WARN" || line["priority"] != "normal" || line["route"] != "/hang" {
			t.Errorf("%v", line)
		}
		if w := ask(h, "GET", "/hang", "Accept", "text/plain"); w.Code != 503 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		for _, path := range []string{"/debug", "/livez"} {
			if w := ask(h, "GET", path); w.Code != 200 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		close(release)
		synctest.Wait()
		if w := ask(h, "GET", "/hang"); w.Code != 200 {
			t.Errorf("after all: %d", w.Code)
		}
	})
}

// A header is believed up to a bound, if at all; and nobody becomes a probe by it.
func TestPriorityHeader(t *testing.T) {
	of := func(value string, opts ...Option) Priority {
		h := Middleware(nil, opts...)(write("")).(*handler)
		r := httptest.NewRequest("GET", "/", nil)
		if value != "" {
			r.Header.Set(PriorityHeader, value)
		}
		return h.priorityOf(r)
	}
	for _, c := range []struct {
		value string
		opts  []Option
		want  Priority
	}{
		{"operator", nil, Normal},
		{"high", []Option{WithPriorityHeader(High)}, High},
		{"OPERATOR", []Option{WithPriorityHeader(High)}, High},
		{"low", []Option{WithPriorityHeader(High)}, Low},
		{"operator", []Option{WithPriorityHeader(Probe)}, Operator},
		{"probe", []Option{WithPriorityHeader(Probe)}, Normal},
		{strings.Repeat("low", 1<<18), []Option{WithPriorityHeader(High)}, Normal},
		{"", []Option{WithPriorityHeader(High), WithPriority(func(*http.Request) Priority { return Low })}, Low},
		{"", []Option{WithProbes(func(*http.Request) bool { return true })}, Probe},
	} {
		if got := of(c.value, c.opts...); got != c.want {
			t.Errorf("%.20q: %v, want %v", c.value, got, c.want)
		}
	}
	for path, want := range map[string]bool{"/livez": true, "/readyz": true, "/readyz/postgres": true, "/healthz": true, "/livez/x": false, "/readyzz": false, "/": false} {
		if got := isProbe(httptest.NewRequest("GET", path, nil)); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if isProbe(httptest.NewRequest("POST", "/livez", nil)) {
		t.Error("a POST is a probe")
	}
}

// A stream lasts for days: it takes no place, and is no latency.
func TestStreamsTakeNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiterOf(t, Limits{Min: 1, Max: 1, Queue: -1})
		ctx, cancel := context.WithCancel(context.Background())
		h := Shed(l)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(200)
			<-r.Context().Done()
		}))
		go h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx))
		synctest.Wait()
		if s := l.Stats(); s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
		cancel()
		synctest.Wait()
		if s := l.Stats(); s.InFlight != 0 || s.Typical != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Errors are quick: with them as latencies the limit would fall when they end.
func TestErrorsAreNoLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiterOf(t, Limits{})
		status := 200
		h := Shed(l)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(20 * time.Millisecond)
			w.WriteHeader(status)
			time.Sleep(time.Second) // a client that reads slowly
		}))
		for range 20 {
			ask(h, "GET", "/")
		}
		if got := l.Stats().Typical; got != 20*time.Millisecond {
			t.Errorf("a request takes %v to its header", got)
		}
		for _, s := range []int{404, 500, 503} {
			status = s
			before := l.limit.Samples()
			ask(h, "GET", "/")
			if l.limit.Samples() != before {
				t.Errorf("a status of %d is a latency", s)
			}
		}
	})
}

// Where nothing is done in time any more there are errors alone: see
// Netflix/concurrency-limits#126.
func TestATimeLimitThatIsOverIsALatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiterOf(t, Limits{})
		h := Middleware(newLines(t), WithLimiter(l), WithTimeLimit(time.Second))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}))
		for range 3 {
			ask(h, "GET", "/")
		}
		if l.limit.Samples() != 3 {
			t.Errorf("%d of 3 requests are latencies", l.limit.Samples())
		}
	})
}

// Many at once, at random: no place is lost and no limit is passed.
func TestLimiterKeepsItsBooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiterOf(t, Limits{Min: 5, Max: 5, Queue: 7, Wait: 3 * time.Millisecond})
		var inside, most, shed, served atomic.Int64
		done := make(chan struct{})
		for i := range 400 {
			go func() {
				defer func() { done <- struct{}{} }()
				for n := range 20 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+(i*n)%5)*time.Millisecond)
					if ok, _ := l.acquire(ctx, Priority(i%4)-1); ok {
						if now := inside.Add(1); now > most.Load() {
							most.Store(now)
						}
						time.Sleep(time.Duration((i*7+n)%1000) * time.Microsecond)
						inside.Add(-1)
						served.Add(1)
						l.release(0, 0, time.Now())
					} else {
						shed.Add(1)
					}
					cancel()
				}
			}()
		}
		for range 400 {
			<-done
		}
		s := l.Stats()
		if s.InFlight != 0 || s.Waiting != 0 || most.Load() > 5+2 || served.Load() == 0 || served.Load()+shed.Load() != 8000 {
			t.Errorf("%+v, most %d, served %d, shed %d", s, most.Load(), served.Load(), shed.Load())
		}
		var counted uint64
		for _, n := range s.Shed {
			counted += n
		}
		if int64(counted) != shed.Load() {
			t.Errorf("%d are counted, %d were shed", counted, shed.Load())
		}
	})
}
