package breaker_test

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

func TestHostileServices(t *testing.T) {
	system := newSystem(t)
	for _, service := range []string{"", "/", "mail.internal", "https://", "https://:443", "://mail", "https://mail internal", "https://[::1", "https://mail:port",
		"https://me:secret@mail.internal", "https://mail.internal/v1", "https://mail.internal?q", "mailto:a@b", strings.Repeat("a", 300) + "://mail"} {
		b, err := breaker.Spawn(system, service, breaker.Settings{})
		if err == nil {
			t.Errorf("%q is no service and was taken for %s", service, b.Service())
			_ = b.Stop(context.Background())
			continue
		}
		if !strings.Contains(err.Error(), "want scheme://host[:port]") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", service, err)
		}
	}
	for service, want := range map[string]string{
		"HTTPS://Mail.Internal:443/": "https://mail.internal", "http://[::1]:80": "http://[::1]", "http://[FE80::80]": "http://[fe80::80]",
		"http://[::1]:8080": "http://[::1]:8080", "http://mail:": "http://mail", "https://mail:80": "https://mail:80", "odd+scheme://x": "odd+scheme://x",
	} {
		b, err := breaker.Spawn(system, service, breaker.Settings{})
		if err != nil {
			t.Errorf("%q: %v", service, err)
			continue
		}
		if b.Service() != want {
			t.Errorf("%q: %s, want %s", service, b.Service(), want)
		}
		_ = b.Stop(context.Background())
	}
}

func TestHostileRequests(t *testing.T) {
	b := newBreaker(t, breaker.Settings{ClosedFailLimit: 1000})
	n := 0
	rt := b.Transport(roundTripper(func(*http.Request) (*http.Response, error) { n++; return nil, errBoom }))
	for _, u := range []*url.URL{nil, {}, {Scheme: "https"}, {Scheme: "https", Host: ":443"}, {Scheme: "https", Host: "[::1"}, {Opaque: "x"}, {Host: "mail.internal", Path: "/a"}} {
		if _, err := rt.RoundTrip(&http.Request{URL: u}); err != errBoom {
			t.Errorf("%v: %v", u, err)
		}
	}
	if n != 7 || failures(b) != 0 {
		t.Errorf("%d requests reached the base, %d failures", n, failures(b))
	}
	for _, u := range []*url.URL{
		{Scheme: "https", Host: "mail.internal", User: url.UserPassword("me", "secret"), Path: "/u"},
		{Scheme: "HTTPS", Host: "MAIL.internal:443", Path: "/u"},
		{Scheme: "https", Host: "mail.internal", Path: strings.Repeat("/x", 100_000)},
		{Scheme: "https", Host: "mail.internal", Path: "/" + strings.Repeat("x", 1<<20)},
		{Scheme: "https", Host: "mail.internal", Path: "/\x00\xff/..//../%%"},
	} {
		if _, err := rt.RoundTrip(&http.Request{URL: u}); err != errBoom {
			t.Errorf("%.60v: %v", u, err)
		}
	}
	s := b.Snapshot()
	if got := s.Entries[0].Failures; got != 5 {
		t.Errorf("%d failures, want 5", got)
	}
	for _, e := range s.Entries {
		if strings.Contains(e.Entry, "secret") || len(e.Entry) > 4096 || strings.Count(e.Entry, "/") > 16 {
			t.Errorf("entry %.100q", e.Entry)
		}
	}
}

func TestHostilePathsOfOperators(t *testing.T) {
	b := newBreaker(t, breaker.Settings{})
	for _, path := range []string{strings.Repeat("/x", 100_000), "/" + strings.Repeat("x", 1<<20)} {
		err := b.ForceOpen(path, 0)
		if err == nil || !strings.Contains(err.Error(), "name a shorter prefix") || len(err.Error()) > 400 {
			t.Errorf("%.400v", err)
		}
	}
	if b.State() != breaker.Closed || len(b.Snapshot().Entries) != 1 {
		t.Error("a parent was forced instead")
	}
}

// TestTimesWithoutEnd: a time that the clock cannot be added to is refused, and
// the longest that is allowed lasts.
func TestTimesWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 10 * 365 * 24 * time.Hour
		b := newBreaker(t, breaker.Settings{ClosedFailLimit: 1, OpenTimeout: most, OpenMax: most, RequestTimeout: most, ProbeTimeout: most, ForgetAfter: most, OpenJitter: 1})
		for _, s := range []breaker.Settings{
			{OpenTimeout: math.MaxInt64, OpenMax: math.MaxInt64}, {RequestTimeout: most + 1}, {ForgetAfter: math.MaxInt64}, {Ramp: math.MaxInt64}, {RequestTimeout: -1},
			{Trip: "rate", Window: math.MaxInt64}, {OpenJitter: math.NaN()}, {Trip: "rate", FailureRate: math.NaN()}, {ClosedFailLimit: math.MinInt}, {MaxDepth: -1}, {HangLimit: -1},
		} {
			if err := b.SetSettings(s); err == nil {
				t.Errorf("taken: %+v", s)
			}
		}
		for _, d := range []time.Duration{-1, math.MaxInt64} {
			if err := b.ForceOpen("", d); err == nil {
				t.Errorf("forced for %v", d)
			}
		}
		_ = b.Do(t.Context(), "/a", fail)
		time.Sleep(most - time.Hour)
		synctest.Wait()
		if b.State() != breaker.Open {
			t.Errorf("%v before its time", b.State())
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if b.State() != breaker.HalfOpen {
			t.Errorf("%v after its time", b.State())
		}
	})
}
