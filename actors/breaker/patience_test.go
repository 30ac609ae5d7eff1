package breaker_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// TestAStalledServiceIsATimeoutOnBothProtocols, to all who ask in one of the ways
// that programs have, and never a cancellation.
func TestAStalledServiceIsATimeoutOnBothProtocols(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		for _, stage := range []string{"headers", "body", "as a probe"} {
			t.Run(stage, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b, client := newMail(t, serveInMemory(t, http2, func(w http.ResponseWriter, r *http.Request) {
						if stage == "body" {
							w.(http.Flusher).Flush()
						}
						<-r.Context().Done()
					}), breaker.Settings{ClosedFailLimit: 1})
					if stage == "as a probe" {
						halfOpen(t, b)
					}
					res, err := client.Get(mailService + "/v1")
					if stage == "body" {
						_, err = io.ReadAll(res.Body)
						_ = res.Body.Close()
					}
					var ne net.Error
					var ue *url.Error
					checks := map[string]bool{
						"errors.Is(err, breaker.ErrTimeout)":       errors.Is(err, breaker.ErrTimeout),
						"errors.Is(err, context.DeadlineExceeded)": errors.Is(err, context.DeadlineExceeded),
						"os.IsTimeout(err)":                        os.IsTimeout(err),
						"net.Error's Timeout()":                    errors.As(err, &ne) && ne.Timeout(),
						"not errors.Is(err, context.Canceled)":     !errors.Is(err, context.Canceled),
					}
					if stage != "body" {
						checks["url.Error's Timeout()"] = errors.As(err, &ue) && ue.Timeout()
					}
					for what, ok := range checks {
						if !ok {
							t.Errorf("%s does not hold: %v", what, err)
						}
					}
					if b.State() != breaker.Open {
						t.Error("not counted as a failure")
					}
				})
			})
		}
	})
}

// events sends n events, one every gap.
func events(n int, gap time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for i := range n {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-time.After(gap):
			case <-r.Context().Done():
				return
			}
		}
	}
}

// TestPatience: how long the service may be silent, by call, path, deadline and
// kind of answer, in closed and as a probe.
func TestPatience(t *testing.T) {
	const s = time.Second
	long := func(d time.Duration) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { time.Sleep(d) }
	}
	pauses := func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "x\n")
			w.(http.Flusher).Flush()
			time.Sleep(8 * s)
		}
	}
	for _, c := range []struct {
		name     string
		handler  http.HandlerFunc
		settings string
		call     time.Duration // by WithPatience; -1 for none at all
		deadline time.Duration
		events   int // lines that come
		err      error
	}{
		{"events every 15 s", events(5, 15*s), "", 0, 0, 5, nil},
		{"events, a patience for their path", events(5, 15*s), "/a=10s", 0, 0, 1, breaker.ErrTimeout},
		{"events, a patience for the call", events(5, 15*s), "", 10 * s, 0, 1, breaker.ErrTimeout},
		{"events, a deadline of the caller's", events(5, 15*s), "", 0, 40 * s, 3, context.DeadlineExceeded},
		{"pieces every 8 s", pauses, "", 0, 0, 1, breaker.ErrTimeout},
		{"pieces, a patience for the call", pauses, "", 10 * s, 0, 3, nil},
		{"pieces, a patience for their path", pauses, "/b=1s, /a = 10s", 0, 0, 3, nil},
		{"pieces, the deepest path", pauses, "/a=1s,/a/b=10s", 0, 0, 3, nil},
		{"pieces, another path", pauses, "/ab=10s", 0, 0, 1, breaker.ErrTimeout},
		{"pieces, all paths", pauses, "/=10s", 0, 0, 3, nil},
		{"pieces, a later deadline", pauses, "", 0, 60 * s, 3, nil},
		{"pieces, an earlier deadline", pauses, "", 0, 4 * s, 1, context.DeadlineExceeded},
		{"a long poll", long(30 * s), "", 0, 0, 0, breaker.ErrTimeout},
		{"a long poll, a patience for its path", long(30 * s), "/a=60s", 0, 0, 0, nil},
		{"a long poll, none", long(30 * s), "/a=none", 0, 0, 0, nil},
		{"a long poll, a patience for the call", long(30 * s), "/a=1s", 60 * s, 0, 0, nil},
		{"a long poll, none for the call", long(30 * s), "", -1, 0, 0, nil},
		{"a long poll, a later deadline", long(30 * s), "", 0, 60 * s, 0, nil},
		{"a long poll, a later deadline than its path's", long(30 * s), "/a=10s", 0, 60 * s, 0, nil},
		{"a long poll, a later deadline than the call's", long(30 * s), "", 10 * s, 60 * s, 0, breaker.ErrTimeout},
	} {
		for _, half := range []bool{false, true} {
			for _, http2 := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/half-open=%v/http2=%v", c.name, half, http2), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						b, client := newMail(t, serveInMemory(t, http2, c.handler), breaker.Settings{Patience: c.settings, ClosedFailLimit: 2, HalfSuccessLimit: 5})
						if half {
							_ = b.Do(t.Context(), "", fail)
							halfOpen(t, b)
						}
						ctx := t.Context()
						if c.call != 0 {
							ctx = breaker.WithPatience(ctx, c.call)
						}
						if c.deadline > 0 {
							var cancel context.CancelFunc
							ctx, cancel = context.WithTimeout(ctx, c.deadline)
							defer cancel()
						}
						req, err := http.NewRequestWithContext(ctx, http.MethodGet, mailService+"/a/b/c", nil)
						if err != nil {
							t.Fatal(err)
						}
						lines := 0
						res, err := client.Do(req)
						if err == nil {
							sc := bufio.NewScanner(res.Body)
							for sc.Scan() {
								if sc.Text() != "" {
									lines++
								}
							}
							err = sc.Err()
							_ = res.Body.Close()
						}
						if !errors.Is(err, c.err) || err != nil && c.err == nil || lines != c.events {
							t.Errorf("%d lines and %v, want %d and %v", lines, err, c.events, c.err)
						}
						state, n := b.State(), failures(b)
						switch {
						case half && c.err == nil && state != breaker.HalfOpen:
							t.Errorf("a probe that got what it wanted led to %v: %v", state, b.Transitions(0))
						case half && b.Snapshot().Entries[0].Probes != 0:
							t.Error("the slot is still held")
						case !half && (c.err != nil) != (n == 1):
							t.Errorf("%d failures", n)
						}
					})
				})
			}
		}
	}
}

func TestPatienceOfDo(t *testing.T) {
	slow := func(d time.Duration) func(context.Context) error {
		return func(ctx context.Context) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	for _, c := range []struct {
		name     string
		settings breaker.Settings
		path     string
		half     bool
		takes    time.Duration
		ok       bool
	}{
		{"bound calls", breaker.Settings{BoundCalls: true}, "/a", false, 8 * time.Second, false},
		{"bound calls, a path of its own", breaker.Settings{BoundCalls: true, Patience: "/a=10s"}, "/a", false, 8 * time.Second, true},
		{"a probe", breaker.Settings{}, "/a", true, 8 * time.Second, false},
		{"a probe, a path of its own", breaker.Settings{Patience: "/a=10s"}, "/a", true, 8 * time.Second, true},
		{"a probe, too long for its path too", breaker.Settings{Patience: "/a=10s"}, "/a", true, 11 * time.Second, false},
		{"a probe, without limit", breaker.Settings{Patience: "/a=none"}, "/a", true, time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.settings.ClosedFailLimit = 1
				b := newBreaker(t, c.settings)
				if c.half {
					halfOpen(t, b)
				}
				if err := b.Do(t.Context(), c.path, slow(c.takes)); (err == nil) != c.ok {
					t.Error(err)
				}
				if open := b.State() == breaker.Open; open == c.ok {
					t.Error(b.State())
				}
			})
		})
	}
}

func TestBadPatience(t *testing.T) {
	for _, list := range []string{"a=1s", "/a", "/a=", "/a=0s", "/a=-1s", "/a=1", "=1s", "/a=1s,,", "/a=100000h"} {
		if err := (breaker.Settings{Patience: list}).Validate(); err == nil {
			t.Errorf("%q was taken", list)
		}
	}
	if _, err := breaker.Spawn(newSystem(t), mailService, breaker.Settings{}, breaker.WithAmbientDeadline(nil)); err == nil {
		t.Error("a nil ambient deadline was taken")
	}
}

// TestABaseThatRetriesForEverIsGivenUp: only the first attempt's connection and
// the first time that a byte of the body is sent are progress.
func TestABaseThatRetriesForEverIsGivenUp(t *testing.T) {
	for _, size := range []int{0, 100_000} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, breaker.Settings{})
			rt := b.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
				for {
					trace := httptrace.ContextClientTrace(r.Context())
					trace.GotConn(httptrace.GotConnInfo{})
					if size > 0 {
						_, _ = io.Copy(io.Discard, r.Body)
						r.Body, _ = r.GetBody()
					}
					trace.WroteRequest(httptrace.WroteRequestInfo{})
					select {
					case <-r.Context().Done():
						return nil, r.Context().Err()
					case <-time.After(time.Second):
					}
				}
			}))
			req, err := http.NewRequest(http.MethodPost, "https://mail.internal/a", bytes.NewReader(make([]byte, size)))
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if _, err := rt.RoundTrip(req); !errors.Is(err, breaker.ErrTimeout) || time.Since(begun) != 5*time.Second {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
		})
	}
}

// TestTheCallersTraceIsKept: the exchange adds its own to it.
func TestTheCallersTraceIsKept(t *testing.T) {
	_, client, url := serve(t, true, breaker.Settings{}, func(http.ResponseWriter, *http.Request) {})
	got := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { got++ }})
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	res, err := client.Do(req)
	read(t, res, err)
	if got != 1 {
		t.Errorf("the caller's hook was called %d times", got)
	}
}
