package breaker_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

func forHTTP(t *testing.T, test func(t *testing.T, http2 bool)) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) { test(t, http2) })
	}
}

// once is a breaker that one failure opens and one success closes.
var once = breaker.Settings{ClosedFailLimit: 1, HalfSuccessLimit: 1}

func read(t *testing.T, res *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestHealthyExchangesAreUntouched(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		b, client, url := serve(t, http2, once, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Trailer", "X-Sum")
			_, _ = fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, r.Header.Get("X-Mine"), body)
			w.Header().Set("X-Sum", "42")
		})
		req, err := http.NewRequest("PUT", url+"/a%2Fb/c?q=1", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Mine", "yes")
		before, ctx := fmt.Sprint(req.Header, req.URL, req.ContentLength), req.Context()
		res, err := client.Do(req)
		if got, want := read(t, res, err), "PUT /a%2Fb/c?q=1 yes hello"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if res.Trailer.Get("X-Sum") != "42" {
			t.Errorf("trailer: %v", res.Trailer)
		}
		if after := fmt.Sprint(req.Header, req.URL, req.ContentLength); after != before || req.Context() != ctx {
			t.Errorf("the request was changed: %s, was %s", after, before)
		}
		if res.Request != req {
			t.Error("the response is not of the request that was sent")
		}
		if n := failures(b); n != 0 {
			t.Errorf("%d failures", n)
		}
	})
}

func TestPathsOfRequests(t *testing.T) {
	b, client, url := serve(t, false, breaker.Settings{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	res, err := client.Get(url + "//a%2Fb//c/?q=/x#y")
	read(t, res, err)
	var got []string
	for _, e := range b.Snapshot().Entries {
		got = append(got, e.Entry)
	}
	if fmt.Sprintf("%q", got) != `["" "/a%2Fb" "/a%2Fb/c"]` {
		t.Errorf("%q", got)
	}
}

func TestRefusedRequest(t *testing.T) {
	b, client, url := serve(t, false, once, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(503)
	})
	res, err := client.Get(url + "/a")
	read(t, res, err)
	body := &closing{Reader: strings.NewReader("x")}
	_, err = client.Post(url+"/a", "text/plain", body)
	open, ok := errors.AsType[*breaker.OpenError](err)
	if !ok || !errors.Is(err, breaker.ErrOpen) || open.Service != b.Service() || open.State != breaker.Open {
		t.Fatal(err)
	}
	if d := open.RetryAfter(); d < 110*time.Second || d > 120*time.Second {
		t.Errorf("retry after %v, the service said 120s", d)
	}
	if !body.closed {
		t.Error("the request's body was not closed")
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestStatuses(t *testing.T) {
	status := 0
	b, client, url := serve(t, false, breaker.Settings{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	for _, c := range []struct {
		list string
		code int
		want int
	}{
		{"", 500, 1}, {"", 599, 1}, {"", 429, 1}, {"", 404, 0}, {"", 200, 0}, {"none", 503, 0},
		{"404", 404, 1}, {"404", 500, 0}, {"400-404, 5XX", 403, 1}, {"400-404,5xx", 502, 1}, {"400-404,5xx", 405, 0},
	} {
		if err := b.SetSettings(breaker.Settings{FailStatus: c.list}); err != nil {
			t.Fatal(err)
		}
		status = c.code
		res, err := client.Get(url)
		read(t, res, err)
		if got := failures(b); got != c.want {
			t.Errorf("%q, %d: %d failures, want %d", c.list, c.code, got, c.want)
		}
		if err := b.Reset(""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClassifierAndCause(t *testing.T) {
	teapot := func(o breaker.Outcome) breaker.Verdict {
		if o.Response != nil && o.Response.StatusCode == http.StatusTeapot {
			return breaker.Failure
		}
		return o.Default
	}
	b, client, url := serve(t, false, breaker.Settings{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		breaker.WithClassifier(teapot))
	res, err := client.Get(url)
	read(t, res, err)
	if failures(b) != 1 {
		t.Error("the classifier was not asked")
	}
}

func TestEarlyCloseAndCancellationAreNoFailures(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		b, client, url := serve(t, http2, once, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
				w.(http.Flusher).Flush()
			}
		})
		res, err := client.Get(url + "/a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "GET", url+"/a", nil)
		if res, err = client.Do(req); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := io.Copy(io.Discard, res.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("the original error is lost: %v", err)
		}
		_ = res.Body.Close()
		if b.State() != breaker.Closed {
			t.Error(b.State())
		}
	})
}

// TestDecodedProbesClose: a JSON decoder closes a chunked body before it has
// seen its end. Probes like that must count all the same.
func TestDecodedProbesClose(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		s := breaker.Settings{ClosedFailLimit: 1, HalfSuccessLimit: 3, OpenTimeout: time.Millisecond}
		b, client, url := serve(t, http2, s, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush() // chunked
			_, _ = io.WriteString(w, `{"a":1}`)
		})
		half := make(chan struct{}, 10)
		if _, err := b.Listen(func(tr breaker.Transition) {
			if tr.To == breaker.HalfOpen {
				half <- struct{}{}
			}
		}); err != nil {
			t.Fatal(err)
		}
		_ = b.Do(t.Context(), "", fail)
		<-half
		for range 3 {
			res, err := client.Get(url + "/a")
			if err != nil {
				t.Fatal(err)
			}
			var v struct{ A int }
			if err := json.NewDecoder(res.Body).Decode(&v); err != nil || v.A != 1 {
				t.Fatal(v, err)
			}
			if err := res.Body.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if b.State() != breaker.Closed {
			t.Errorf("%+v", b.Snapshot().Entries)
		}
	})
}

func TestUpgrade(t *testing.T) {
	b, client, url := serve(t, false, breaker.Settings{RequestTimeout: 500 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
	})
	req, _ := http.NewRequest("GET", url+"/a", nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := res.Body.(io.ReadWriteCloser)
	if res.StatusCode != 101 || !ok {
		t.Fatal(res.Status, ok)
	}
	<-time.After(600 * time.Millisecond) // an idle connection is not a stalled body
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "echo hello\n" {
		t.Error(line, err)
	}
	_ = conn.Close()
	if failures(b) != 0 {
		t.Error("counted as a failure")
	}
}

func TestOtherServicesPassThrough(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	t.Cleanup(other.Close)
	b, client, url := serve(t, false, once, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/x", http.StatusFound)
	})
	for range 3 {
		res, err := client.Get(url + "/a")
		read(t, res, err)
		if res.StatusCode != 503 {
			t.Error(res.Status)
		}
	}
	if b.State() != breaker.Closed {
		t.Error("a redirect's target opened it")
	}
}

func TestBasePanicsAndRefusesConnections(t *testing.T) {
	b := newBreaker(t, breaker.Settings{})
	rt := b.Transport(roundTripper(func(*http.Request) (*http.Response, error) { panic("base") }))
	req, _ := http.NewRequest("GET", "https://mail.internal:443/a", nil)
	func() {
		defer func() {
			if r := recover(); r != "base" {
				t.Error(r)
			}
		}()
		_, _ = rt.RoundTrip(req)
	}()
	if failures(b) != 1 {
		t.Error("a panic is a failure")
	}
	rt = b.Transport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, errBoom }))
	if _, err := rt.RoundTrip(req); err != errBoom {
		t.Errorf("the error was changed: %v", err)
	}
	if failures(b) != 2 {
		t.Error("an error is a failure")
	}
	if _, err := rt.RoundTrip(&http.Request{}); err != errBoom {
		t.Errorf("a request without a URL is the base's affair: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// idle counts CloseIdleConnections.
type idle struct {
	roundTripper
	n int
}

func (i *idle) CloseIdleConnections() { i.n++ }

func TestCloseIdleConnectionsReachesTheBase(t *testing.T) {
	base := &idle{}
	client := &http.Client{Transport: newBreaker(t, breaker.Settings{}).Transport(base)}
	client.CloseIdleConnections()
	if base.n != 1 {
		t.Error(base.n)
	}
}
