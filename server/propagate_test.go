package server

import (
	"context"
	"net/http"
	"net/http/httptest"
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
