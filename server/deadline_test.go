package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallerTimeout(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for value, want := range map[string]time.Duration{
		"1": time.Second, "1.5": 1500 * time.Millisecond, "1500ms": 1500 * time.Millisecond, "1m30s": 90 * time.Second, "1e-3": time.Millisecond,
		"": 0, "0": 0, "-1": 0, "NaN": 0, "Inf": 0, "1e300": 0, "99999999999999": 0, "abc": 0, "1 s": 0, "0x10": 0, "1e-30": 1,
		"-5s": 0, "1s\r\n": 0, strings.Repeat("9", 1<<20): 0, "9999999h": 0, "1h": time.Hour,
	} {
		if got := callerTimeout(http.Header{TimeoutHeader: {value}}); got != want {
			t.Errorf("%.20q: %v, want %v", value, got, want)
		}
	}
	for value, want := range map[string]time.Duration{
		"1S": time.Second, "100m": 100 * time.Millisecond, "5u": 5 * time.Microsecond, "7n": 7, "2M": 2 * time.Minute, "1H": time.Hour,
		"99999999H": year, "99999999n": 99999999, "100000000n": 0, "0S": 0, "-1S": 0, "+1S": 0, "S": 0, "1": 0, "1s": 0, "1.5S": 0, "": 0,
	} {
		if got := callerTimeout(http.Header{grpcTimeoutHeader: {value}}); got != want {
			t.Errorf("grpc %q: %v, want %v", value, got, want)
		}
	}
	if got := callerTimeout(http.Header{TimeoutHeader: {"2"}, grpcTimeoutHeader: {"1S"}}); got != time.Second {
		t.Errorf("of two: %v", got)
	}
	if got := callerTimeout(http.Header{TimeoutHeader: {"2", "3"}}); got != 0 {
		t.Errorf("twice: %v", got)
	}
}

func FuzzCallerTimeout(f *testing.F) {
	for _, s := range []string{"1.5", "1500ms", "99999999H", "NaN", "1e400"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := callerTimeout(http.Header{TimeoutHeader: {s}, grpcTimeoutHeader: {s}})
		if got < 0 || got > longestTimeout {
			t.Errorf("%q: %v", s, got)
		}
	})
}

// The ctx of a request ends by the limit or by its caller, whichever is earlier; what
// then has no answer is answered 504.
func TestTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLines(t)
		var took time.Duration
		var cause error
		wait := func(_ http.ResponseWriter, r *http.Request) {
			begun := time.Now()
			<-r.Context().Done()
			took, cause = time.Since(begun), context.Cause(r.Context())
		}
		h := Middleware(log, WithTimeLimits(func(r *http.Request) time.Duration {
			if r.Pattern == "GET /free" {
				return 0
			}
			return 10 * time.Second
		}))(muxOf(map[string]http.HandlerFunc{
			"GET /wait": wait,
			"GET /free": func(_ http.ResponseWriter, r *http.Request) {
				if _, ok := r.Context().Deadline(); ok {
					t.Error("a route without a limit has one")
				}
			},
			"GET /answers": func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				http.Error(w, "late", http.StatusServiceUnavailable)
			},
			"GET /part": func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "part")
				<-r.Context().Done()
			},
		}))
		for _, c := range []struct {
			header []string
			want   time.Duration
		}{
			{nil, 10 * time.Second},
			{[]string{TimeoutHeader, "2.5"}, 2500 * time.Millisecond},
			{[]string{"grpc-timeout", "300m"}, 300 * time.Millisecond},
			{[]string{TimeoutHeader, "3600"}, 10 * time.Second},
			{[]string{TimeoutHeader, "-1"}, 10 * time.Second},
		} {
			w := ask(h, "GET", "/wait", c.header...)
			if took != c.want || cause != ErrTimeLimit || w.Code != 504 {
				t.Errorf("%v: after %v by %v: %d", c.header, took, cause, w.Code)
			}
		}
		if line := log.last(t); line["aborted"] != "deadline" || line["level"] != "WARN" || line["status"] != 504.0 {
			t.Errorf("%v", line)
		}
		ask(h, "GET", "/free", TimeoutHeader, "1")
		if w := ask(h, "GET", "/answers"); w.Code != 503 || log.last(t)["aborted"] != nil {
			t.Errorf("the handler's own answer: %d %v", w.Code, log.last(t))
		}
		if w := ask(h, "GET", "/part"); w.Code != 200 || w.Body.String() != "part" {
			t.Errorf("a part: %d %q", w.Code, w.Body)
		}
		if w := ask(TimeLimits(WithTimeLimit(time.Second))(http.HandlerFunc(wait)), "GET", "/"); w.Code != 504 || took != time.Second {
			t.Errorf("the piece alone: %d after %v", w.Code, took)
		}
	})
}
