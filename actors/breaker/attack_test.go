package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/breaker"
)

// What hostile users, services and transports do to retries, hedges and limits.

func TestAFixedLimitOfNothingIsAnError(t *testing.T) {
	for _, n := range []int{0, -1, 1_000_001} {
		_, err := breaker.Spawn(newSystem(t), mailService, breaker.Settings{}, breaker.WithLimit(breaker.Fixed(n)))
		if want := fmt.Sprintf("Fixed must be of 1 to 1000000 calls, got %d", n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestAStopEndsTheQueueOfTheLimit: calls that wait get ErrStopped at once, and are not held
// up for the rest of their Wait.
func TestAStopEndsTheQueueOfTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := breaker.Fixed(1)
		l.Wait = time.Hour
		b := newLimited(t, l, breaker.Settings{})
		hang := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { _ = b.Do(t.Context(), "/v1", func(context.Context) error { <-hang; return nil }) })
		synctest.Wait()
		var stopped atomic.Int32
		count := func(err error) {
			if errors.Is(err, breaker.ErrStopped) {
				stopped.Add(1)
			}
		}
		all.Go(func() { count(b.Do(t.Context(), "/v1", func(context.Context) error { t.Error("a call"); return nil })) })
		all.Go(func() { _, err := b.AcquireTimed(t.Context(), "/v1"); count(err) })
		all.Go(func() { _, err := b.Client(breaker.Retry(3)).Get(mailService); count(err) })
		synctest.Wait()
		begun := time.Now()
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if stopped.Load() != 3 || time.Since(begun) > time.Second {
			t.Errorf("%d of 3 ended with ErrStopped after %v", stopped.Load(), time.Since(begun))
		}
		close(hang)
		all.Wait()
		if n := inFlight(b); n != 0 {
			t.Errorf("%d in flight", n)
		}
		if err := b.Do(t.Context(), "/v1", func(context.Context) error { return nil }); !errors.Is(err, breaker.ErrStopped) {
			t.Errorf("a call after the stop: %v", err)
		}
	})
}

// TestNewSettingsWhileCallsWait: those in the queue of the limit go on under the new ones.
func TestNewSettingsWhileCallsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := breaker.Fixed(1)
		l.Queue, l.Wait = 30, time.Minute
		b := newLimited(t, l, breaker.Settings{})
		var all sync.WaitGroup
		var done atomic.Int32
		for range 20 {
			all.Go(func() {
				if err := b.Do(t.Context(), "/v1", func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil }); err != nil {
					t.Error(err)
				}
				done.Add(1)
			})
		}
		for i := range 20 {
			time.Sleep(70 * time.Millisecond)
			if err := b.SetSettings(breaker.Settings{ClosedFailLimit: 3 + i%2, HangLimit: i % 3}); err != nil {
				t.Error(err)
			}
		}
		all.Wait()
		if n := inFlight(b); n != 0 || done.Load() != 20 {
			t.Errorf("%d in flight, %d done", n, done.Load())
		}
	})
}

// TestAnAdmissionByMessageTakesAPlaceOfTheLimit, and its report gives it back.
func TestAnAdmissionByMessageTakesAPlaceOfTheLimit(t *testing.T) {
	b := newLimited(t, breaker.Fixed(1), breaker.Settings{})
	admit := func() *breaker.Admitted {
		answer, err := actors.Ask[*breaker.Admitted](t.Context(), b.System(), b.PID(), &breaker.Admit{Path: "/v1"})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	first := admit()
	if first.Err != nil || inFlight(b) != 1 {
		t.Fatalf("%+v, %d in flight", first, inFlight(b))
	}
	if second := admit(); !errors.Is(second.Err, breaker.ErrLimited) || second.Permit != nil {
		t.Errorf("%+v", second)
	}
	first.Permit.Settle(breaker.Success)
	if third := admit(); third.Err != nil {
		t.Errorf("%+v", third)
	}
}

// TestHostileRetryAfter: garbage is ignored, and a time that is too long is not waited for.
func TestHostileRetryAfter(t *testing.T) {
	for value, want := range map[string]int{ // requests
		"": 3, "soon": 3, "-5": 3, "1e3": 3, "0x10": 3, "NaN": 3, "5, 5": 3, "\u0661": 3,
		"Mon, 01 Jan 1990 00:00:00 GMT": 3, "Mon, 99 Jan 2990 00:00:00 GMT": 3, "2": 3, " 2 ": 3,
		"31": 1, "99999999999999999999": 1, "9223372036854775807": 1, "Wed, 01 Jan 2990 00:00:00 GMT": 1,
	} {
		synctest.Test(t, func(t *testing.T) {
			var requests atomic.Int32
			b, _ := newMail(t, http.DefaultTransport, breaker.Settings{})
			base := roundTripper(func(req *http.Request) (*http.Response, error) {
				requests.Add(1)
				return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {value}}, Body: io.NopCloser(strings.NewReader("later")), Request: req}, nil
			})
			begun := time.Now()
			res, err := (&http.Client{Transport: b.Transport(base, breaker.Retry(2))}).Get(mailService)
			if err != nil || res.StatusCode != 429 {
				t.Fatalf("%q: %v", value, err)
			}
			if text, err := io.ReadAll(res.Body); string(text) != "later" || err != nil {
				t.Errorf("%q: the body is %q, %v", value, text, err)
			}
			if int(requests.Load()) != want || time.Since(begun) > 10*time.Second {
				t.Errorf("%q: %d requests in %v, want %d", value, requests.Load(), time.Since(begun), want)
			}
		})
	}
}

// TestAServiceThatAnswers429Alone meets its budget and then an open breaker.
func TestAServiceThatAnswers429Alone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var requests atomic.Int32
		b, _ := newMail(t, http.DefaultTransport, breaker.Settings{}, breaker.WithLimit(breaker.Adaptive{}))
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			requests.Add(1)
			time.Sleep(5 * time.Millisecond)
			return &http.Response{StatusCode: 429, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		})
		client := &http.Client{Transport: b.Transport(base, breaker.Retry(5), breaker.Hedge())}
		load(client, 5*time.Second)
		if n := requests.Load(); n > 200 {
			t.Errorf("%d requests for 5000 calls", n)
		}
		if n := inFlight(b); n != 0 || b.State() != breaker.Open {
			t.Errorf("%d in flight, %v", n, b.State())
		}
	})
}

// TestAPanicOfTheBaseGivesAllBack: the place of the limit, the count of the address, and
// the hedge's goroutine.
func TestAPanicOfTheBaseGivesAllBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPods(t, 2, false, podAnswers)
		set := breaker.EjectOutliers()
		set.Resolver = ps
		b, err := breaker.Spawn(newSystem(t), mailService, breaker.Settings{ClosedFailLimit: 1 << 20}, breaker.WithLimit(breaker.Fixed(5)))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Stop(context.Background()) }()
		boom := false
		tr := b.Transport(&ps.Transport, set, breaker.Retry(2), breaker.Hedge())
		panics := b.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
			if boom {
				panic("boom")
			}
			return nil, errors.New("reset")
		}), breaker.Retry(2), breaker.Hedge())
		load(&http.Client{Transport: tr}, 200*time.Millisecond)
		for boom = range map[bool]bool{false: true, true: true} {
			for range 20 {
				func() {
					defer func() { _ = recover() }()
					req, _ := http.NewRequest("GET", mailService, nil)
					_, _ = panics.RoundTrip(req)
				}()
			}
		}
		// A body that fails while the transport of an address reads it.
		for range 20 {
			func() {
				defer func() { _ = recover() }()
				req, _ := http.NewRequest("POST", mailService, brokenReader{})
				_, _ = tr.RoundTrip(req)
			}()
		}
		(&http.Client{Transport: tr}).CloseIdleConnections()
		synctest.Wait()
		if n := inFlight(b); n != 0 {
			t.Errorf("%d places of the limit are taken", n)
		}
		for _, a := range b.Addresses() {
			if a.InFlight != 0 {
				t.Errorf("%+v", a)
			}
		}
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the file is gone") }

// TestAHedgeThatNeverEnds: a base that ignores its ctx holds up no answer of the first request.
func TestAHedgeThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newMail(t, http.DefaultTransport, breaker.Settings{ClosedFailLimit: 1 << 20})
		release := make(chan struct{})
		var n, second atomic.Int32
		var slow atomic.Bool
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			n.Add(1)
			status := 200
			if slow.Load() {
				if second.Add(1) > 1 {
					<-release
				}
				time.Sleep(2 * time.Second)
				status = 503
			} else {
				time.Sleep(10 * time.Millisecond)
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("x")), Request: req}, nil
		})
		client := &http.Client{Transport: b.Transport(base, breaker.RetryPolicy{Total: 10 * time.Second}, breaker.Hedge())}
		load(client, 500*time.Millisecond)
		slow.Store(true)
		begun := time.Now()
		res, err := client.Get(mailService)
		if err != nil || res.StatusCode != 503 || time.Since(begun) > 11*time.Second {
			t.Errorf("%v %v after %v", res, err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		second.Store(0)
		req, _ := http.NewRequestWithContext(ctx, "GET", mailService, nil)
		begun = time.Now()
		if _, _ = client.Do(req); time.Since(begun) > 4*time.Second {
			t.Errorf("the caller's deadline of 3 s has passed, and it waits for %v", time.Since(begun))
		}
		close(release)
		time.Sleep(time.Minute)
	})
}

// TestARedirectWithABodyIsRetriedWhole: each hop has its own attempts, with the whole body, and
// trailers and early hints reach the caller.
func TestARedirectWithABodyIsRetriedWhole(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		var hits sync.Map
		base := serveInMemory(t, http2, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			n, _ := hits.LoadOrStore(r.URL.Path, new(atomic.Int32))
			first := n.(*atomic.Int32).Add(1) == 1
			if string(body) != strings.Repeat("letter", 10_000) {
				t.Errorf("%s: a body of %d bytes", r.URL.Path, len(body))
			}
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			switch {
			case first:
				w.WriteHeader(http.StatusServiceUnavailable)
			case r.URL.Path == "/a":
				http.Redirect(w, r, "/b", http.StatusTemporaryRedirect)
			default:
				w.Header().Set("Trailer", "Checksum")
				_, _ = io.WriteString(w, "sent")
				w.Header().Set("Checksum", "42")
			}
		})
		b, _ := newMail(t, base, breaker.Settings{})
		client := &http.Client{Transport: b.Transport(base, breaker.Retry(2)), CheckRedirect: b.CheckRedirect}
		req, _ := http.NewRequest("POST", mailService+"/a", strings.NewReader(strings.Repeat("letter", 10_000)))
		req.Header.Set("Idempotency-Key", "7")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		if string(text) != "sent" || err != nil || res.Trailer.Get("Checksum") != "42" || res.Request.URL.Path != "/b" {
			t.Errorf("%q %v, trailer %v, of %v", text, err, res.Trailer, res.Request.URL)
		}
		_ = res.Body.Close()
	})
}

// TestAGetBodyThatLies: one that panics, or gives nothing, costs the caller its last answer at most.
func TestAGetBodyThatLies(t *testing.T) {
	for name, again := range map[string]func() (io.ReadCloser, error){
		"panics":  func() (io.ReadCloser, error) { panic("boom") },
		"nothing": func() (io.ReadCloser, error) { return nil, nil },
		"short":   func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("l")), nil },
	} {
		eachProtocol(t, func(t *testing.T, http2 bool) {
			base := serveInMemory(t, http2, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(503)
			})
			b, _ := newMail(t, base, breaker.Settings{}, breaker.WithLimit(breaker.Fixed(3)))
			client := &http.Client{Transport: b.Transport(base, breaker.Retry(3))}
			req, _ := http.NewRequest("PUT", mailService, strings.NewReader("letter"))
			req.GetBody = again
			func() {
				defer func() { _ = recover() }()
				if res, err := client.Do(req); err == nil {
					_ = res.Body.Close()
				}
			}()
			time.Sleep(time.Second)
			if n := inFlight(b); n != 0 || failures(b) > 2 { // the first answer, and one more that is the caller's fault
				t.Errorf("%s: %d in flight, %d failures of the service", name, n, failures(b))
			}
		})
	}
}
