package server

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"time"
)

// A service that calls another hands on the id, the trace and what is left of the time.
func TestPropagate(t *testing.T) {
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer srv.Close()
	client := &http.Client{Transport: Propagate(nil)}
	defer client.CloseIdleConnections()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	call := func(ctx context.Context, header ...string) {
		r, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		before := len(r.Header)
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if len(r.Header) != before {
			t.Error("the caller's request was changed")
		}
	}
	h := Middleware(nil, WithTimeLimit(time.Hour))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { call(r.Context()) }))
	ask(h, "GET", "/", "X-Request-Id", "r-1", "Traceparent", parent, TimeoutHeader, "30")
	if got.Get("X-Request-Id") != "r-1" || got.Get("Traceparent") != parent {
		t.Errorf("%v", got)
	}
	if left := callerTimeout(got); left <= 20*time.Second || left > 30*time.Second {
		t.Errorf("%v are left of 30 s", left)
	}
	call(context.Background(), "X-Request-Id", "mine")
	if got.Get("X-Request-Id") != "mine" || got.Get(TimeoutHeader) != "" {
		t.Errorf("%v", got)
	}
}

// TestPriorityGoesFromServiceToService: three services in a row. The second one and the
// third believe the header. A claim that is not believed ends where it is made.
func TestPriorityGoesFromServiceToService(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	client := &http.Client{Transport: Propagate(nil)}
	seen, sent := map[string]Priority{}, map[string][]string{}
	service := func(name, next string, opts ...Option) *httptest.Server {
		return httptest.NewServer(Middleware(nil, opts...)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			seen[name], sent[name] = RequestPriority(r.Context()), r.Header[PriorityHeader]
			if next == "" {
				return
			}
			out, _ := http.NewRequestWithContext(r.Context(), "GET", next, nil)
			res, err := client.Do(out)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
		})))
	}
	for _, c := range []struct {
		claim  string
		edge   []Option
		second Priority
		want   Priority // at the last one
	}{
		{"", nil, High, Normal},
		{"high", nil, High, Normal}, // a stranger's
		{"operator", []Option{WithPriorityHeader(High)}, Operator, High},
		{"low", []Option{WithPriorityHeader(High)}, High, Low},
		{"operator", []Option{WithPriorityHeader(Operator)}, Normal, Normal}, // the second one does not believe as much
		{"operator", []Option{WithPriorityHeader(Operator)}, High, High},
		{"high, low", []Option{WithPriorityHeader(Operator)}, High, Normal},
		{"low", []Option{WithPriority(func(*http.Request) Priority { return High })}, High, High},
	} {
		last := service("last", "", WithPriorityHeader(Operator))
		second := service("second", last.URL, WithPriorityHeader(c.second))
		edge := service("edge", second.URL, c.edge...)
		r, _ := http.NewRequestWithContext(t.Context(), "GET", edge.URL, nil)
		if c.claim != "" {
			r.Header.Set(PriorityHeader, c.claim)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if seen["last"] != c.want || seen["second"] == Normal && len(sent["last"]) > 0 {
			t.Errorf("%q: %v at the last one, want %v (at the edge %v, then %v); headers %v", c.claim, seen["last"], c.want, seen["edge"], seen["second"], sent)
		}
		for _, s := range []*httptest.Server{edge, second, last} {
			s.Close()
		}
	}
	for p, want := range map[Priority]Priority{Probe: Operator, Operator: Operator, Low: Low, -100: Low, 100: Operator} {
		if got := RequestPriority(WithRequestPriority(context.Background(), p)); got != want {
			t.Errorf("%d is %v", p, got)
		}
	}
}

// A breaker that renews dead connections did not reach those below.
func TestIdleConnectionsOfTheBaseAreClosed(t *testing.T) {
	srv := httptest.NewServer(write(""))
	defer srv.Close()
	base := &http.Transport{}
	client := &http.Client{Transport: Propagate(base)}
	reused := true
	for range 2 {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
		req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		client.CloseIdleConnections()
	}
	if reused {
		t.Error("the connection is still there")
	}
}
