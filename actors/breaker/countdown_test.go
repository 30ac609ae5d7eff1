package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors/breaker"
)

// TestCallersOwnDeadline: where the caller has one there is no clock of ours and
// no copy of the request, be it nearer than request_timeout or later; what it
// counts as stays the same. An ambient one gives way to request_timeout.
func TestCallersOwnDeadline(t *testing.T) {
	for _, c := range []struct {
		name     string
		deadline time.Duration
		setting  string
		ambient  bool
		failures int
		err      error
	}{
		{"nearer", time.Second, "failure", false, 1, context.DeadlineExceeded},
		{"nearer, neutral", time.Second, "neutral", false, 0, context.DeadlineExceeded},
		{"the same", 5 * time.Second, "neutral", false, 0, context.DeadlineExceeded},
		{"later", 6 * time.Second, "failure", false, 1, context.DeadlineExceeded},
		{"later, neutral", 6 * time.Second, "neutral", false, 0, context.DeadlineExceeded},
		{"later, ambient", 6 * time.Second, "neutral", true, 1, breaker.ErrTimeout},
	} {
		for _, stage := range []string{"headers", "body"} {
			t.Run(c.name+"/"+stage, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBreaker(t, breaker.Settings{RequestTimeout: 5 * time.Second, CallerDeadline: c.setting})
					ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
					defer cancel()
					if c.ambient {
						b = newBreaker(t, breaker.Settings{RequestTimeout: 5 * time.Second, CallerDeadline: c.setting},
							breaker.WithAmbientDeadline(func(ctx context.Context) time.Time { at, _ := ctx.Deadline(); return at }))
					}
					req, _ := http.NewRequestWithContext(ctx, "GET", "https://mail.internal/a", nil)
					rt := b.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
						if (r != req) != c.ambient {
							t.Errorf("copied: %v, want %v", r != req, c.ambient)
						}
						done := r.Context().Done()
						if stage == "body" {
							return &http.Response{StatusCode: 200, ContentLength: -1, Request: r, Body: stalled{r.Context()}}, nil
						}
						<-done
						return nil, r.Context().Err()
					}))
					res, err := rt.RoundTrip(req)
					if stage == "body" {
						if err != nil || res.Request != req {
							t.Fatal(err)
						}
						_, err = io.ReadAll(res.Body)
						_ = res.Body.Close()
					}
					if !errors.Is(err, c.err) {
						t.Error(err)
					}
					if n := failures(b); n != c.failures {
						t.Errorf("%d failures, want %d", n, c.failures)
					}
				})
			})
		}
	}
}

// stalled is a body that never comes.
type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (s stalled) Close() error             { return nil }

// TestProbesAreOnTheClock though the caller's deadline is nearer than request_timeout.
func TestProbesAreOnTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Settings{ClosedFailLimit: 1, ProbeTimeout: time.Second})
		rt := b.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		_ = b.Do(t.Context(), "", fail)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://mail.internal/a", nil)
		if _, err := rt.RoundTrip(req); !errors.Is(err, breaker.ErrTimeout) {
			t.Error(err)
		}
		if b.State() != breaker.Open {
			t.Error(b.State())
		}
	})
}

// TestTheClockRunsWhileTheServiceIsWaitedFor, and at no other time: a transport
// may ask for Done late, and the caller may take its time between two reads.
func TestTheClockRunsWhileTheServiceIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Settings{RequestTimeout: time.Second})
		var inner context.Context
		pieces := make(chan string, 1)
		rt := b.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			inner = r.Context()
			return &http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(&stream{pieces})}, nil
		}))
		req, _ := http.NewRequest("GET", "https://mail.internal/a", nil)
		res, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		inner.Done()
		for range 3 {
			time.Sleep(time.Minute)
			pieces <- "x"
			if _, err := res.Body.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if failures(b) != 0 || inner.Err() != nil {
			t.Error("the caller's own time was counted", inner.Err())
		}
		time.AfterFunc(time.Minute, func() { pieces <- "" })
		if _, err := res.Body.Read(make([]byte, 1)); !errors.Is(err, breaker.ErrTimeout) {
			t.Error(err)
		}
		if failures(b) != 1 || context.Cause(inner) == nil {
			t.Error("the service's time was not counted")
		}
		_ = res.Body.Close()
	})
}

func TestBaseWithoutAnAnswer(t *testing.T) {
	b := newBreaker(t, breaker.Settings{})
	client := &http.Client{Transport: b.Transport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil }))}
	if _, err := client.Get("https://mail.internal/a"); err == nil {
		t.Error("no error")
	}
	if failures(b) != 1 {
		t.Error("not counted")
	}
}

// TestClassifierThatPanics costs no slot.
func TestClassifierThatPanics(t *testing.T) {
	b := newBreaker(t, breaker.Settings{}, breaker.WithClassifier(func(breaker.Outcome) breaker.Verdict { panic("classifier") }))
	rt := b.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}))
	req, _ := http.NewRequest("GET", "https://mail.internal/a", nil)
	func() {
		defer func() {
			if r := recover(); r != "classifier" {
				t.Error(r)
			}
		}()
		_, _ = rt.RoundTrip(req)
	}()
	if failures(b) != 1 {
		t.Error("the call was left without a verdict")
	}
}

// TestASpanReachesTheBase also where no clock is needed.
func TestASpanReachesTheBase(t *testing.T) {
	tracer, _ := recorded()
	b := newBreaker(t, breaker.Settings{}, breaker.WithTracer(tracer))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, ctx := range []context.Context{t.Context(), ctx} {
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://mail.internal/a", nil)
		res, err := b.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			if !trace.SpanContextFromContext(r.Context()).IsValid() {
				t.Error("no span")
			}
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
		})).RoundTrip(req)
		if err != nil || res.Request != req {
			t.Error(err)
		}
	}
}

// TestADeadlineThatPassesInTheCallersOwnTime says nothing of the service: the
// caller did not read then, or its own body was being read.
func TestADeadlineThatPassesInTheCallersOwnTime(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		for name, call := range map[string]func(ctx context.Context, c *http.Client) error{
			"between headers and body": func(ctx context.Context, c *http.Client) error {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, mailService+"/rows", nil)
				if err != nil {
					return err
				}
				res, err := c.Do(req)
				if err != nil {
					return fmt.Errorf("no headers: %w", err)
				}
				time.Sleep(11 * time.Second)
				_, err = io.Copy(io.Discard, res.Body)
				return errors.Join(err, res.Body.Close())
			},
			"in a slow upload": func(ctx context.Context, c *http.Client) error {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, mailService+"/rows", slowSource{})
				if err != nil {
					return err
				}
				_, err = c.Do(req)
				return err
			},
		} {
			for state, judge := range states {
				t.Run(name+"/"+state, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						base := serveInMemory(t, http2, func(w http.ResponseWriter, r *http.Request) {
							_, _ = io.Copy(io.Discard, r.Body)
							_, _ = w.Write(make([]byte, 8<<20)) // more than is read ahead
						})
						got := judge(t, base, func(c *http.Client) {
							ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
							defer cancel()
							if err := call(ctx, c); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, http.ErrBodyReadAfterClose) {
								t.Errorf("want the deadline's error, got %v", err)
							}
						})
						want := breaker.Neutral
						if name != "in a slow upload" && (state == "half-open" || state == "metrics only") {
							want = breaker.Success // its slot was free before: good headers
						}
						if got != want {
							t.Errorf("counted as %v, want %v", got, want)
						}
					})
				})
			}
		}
	})
}

// slowSource is a body without an end, a byte every 3 s.
type slowSource struct{}

func (slowSource) Read(p []byte) (int, error) { time.Sleep(3 * time.Second); return copy(p, "x"), nil }
