package breaker_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/breaker"
)

// redirecting is two servers: the first sends every request on to the second by
// a 307, which keeps the method, the body and the headers.
type redirecting struct {
	first, second *breaker.Breaker
	client        *http.Client

	mu   sync.Mutex
	seen http.Header
	fail bool
}

func newRedirecting(t *testing.T, opts ...breaker.Option) *redirecting {
	t.Helper()
	r := &redirecting{}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen = req.Header.Clone()
		if r.fail {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(other.Close)
	upstream := httptest.NewServer(http.RedirectHandler(other.URL+"/api/v1/tasks/pause", http.StatusTemporaryRedirect))
	t.Cleanup(upstream.Close)
	system := actor.NewActorSystem()
	t.Cleanup(system.Shutdown)
	spawn := func(url string, opts ...breaker.Option) *breaker.Breaker {
		b, err := breaker.Spawn(system, url, breaker.Settings{ClosedFailLimit: 2}, opts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return b
	}
	r.second = spawn(other.URL)
	r.first = spawn(upstream.URL, append(opts, breaker.WithFinder(func(service string) *breaker.Breaker {
		if service == r.second.Service() {
			return r.second
		}
		return nil
	}))...)
	r.client = r.first.Client()
	r.client.Transport = r.first.Transport(&http.Transport{DisableKeepAlives: true})
	return r
}

func (r *redirecting) post(t *testing.T, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.first.Service()+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-Company-Key", "X-Request-Id"} {
		req.Header.Set(name, "value")
	}
	return r.client.Do(req)
}

func TestARedirectToAnotherHostKeepsNoCredentials(t *testing.T) {
	r := newRedirecting(t, breaker.WithCredentialHeaders("x-company-key"))
	res, err := r.post(t, "/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-Company-Key"} {
		if r.seen.Get(name) != "" {
			t.Errorf("the other host got %s", name)
		}
	}
	if r.seen.Get("X-Request-Id") == "" {
		t.Errorf("a header that is no credential was lost: %v", r.seen)
	}
}

func TestARedirectIsGuardedByTheBreakerOfItsOwnHost(t *testing.T) {
	r := newRedirecting(t)
	r.fail = true
	for range 2 {
		res, err := r.post(t, "/")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	_, err := r.post(t, "/")
	var open *breaker.OpenError
	if !errors.As(err, &open) || open.Service != r.second.Service() {
		t.Errorf("the other host has failed twice, and a redirect to it gets %v", err)
	}
}

func TestRedirectsToOtherHostsCanBeForbidden(t *testing.T) {
	r := newRedirecting(t, breaker.WithoutForeignRedirects())
	if res, err := r.post(t, "/"); !errors.Is(err, breaker.ErrForeignRedirect) {
		t.Errorf("%v, %v", res, err)
	}
	if r.seen != nil {
		t.Error("the other host was asked")
	}
}
