package breaker_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-Company-Key", "X-Session-Token", "X-Client-Secret", "X-User-Password", "X-Credential-Id", "X-Request-Id", "Idempotency-Key"} {
		req.Header.Set(name, "value")
	}
	return r.client.Do(req)
}

// TestARedirectToAnotherHostKeepsNoCredentials: see parnurzeal/gorequest#298 and
// Azure/azure-sdk-for-net#62621.
func TestARedirectToAnotherHostKeepsNoCredentials(t *testing.T) {
	r := newRedirecting(t, breaker.WithCredentialHeaders("x-company-key"))
	res, err := r.post(t, "/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-Company-Key", "X-Session-Token", "X-Client-Secret", "X-User-Password", "X-Credential-Id"} {
		if r.seen.Get(name) != "" {
			t.Errorf("the other host got %s", name)
		}
	}
	if r.seen.Get("X-Request-Id") == "" || r.seen.Get("Idempotency-Key") == "" {
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

// TestCredentialsDoNotComeBackAfterAnotherHost: the other host sends the request
// on to the first one, where http.Client would give it its headers again.
func TestCredentialsDoNotComeBackAfterAnotherHost(t *testing.T) {
	var home *httptest.Server
	var last http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, home.URL+"/chosen-by-the-other", http.StatusTemporaryRedirect)
	}))
	defer other.Close()
	home = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last = r.Header.Clone()
		if r.URL.Path == "/" {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer home.Close()
	system := actor.NewActorSystem()
	defer system.Shutdown()
	b, err := breaker.Spawn(system, home.URL, breaker.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, home.URL+"/", nil)
	req.Header.Set("X-Api-Key", "value")
	client := &http.Client{Transport: b.Transport(&http.Transport{DisableKeepAlives: true}), CheckRedirect: b.CheckRedirect}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if last.Get("X-Api-Key") != "" {
		t.Error("the other host chose a path of the first one and the request got its key")
	}
}

// A 307 to another host carried the whole URL that it came from, the key in its
// query included, as Referer.
func TestTheRefererOfARedirectLeakedTheQuery(t *testing.T) {
	r := newRedirecting(t)
	res, err := r.post(t, "/reports/7?api_key=s3cret")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := r.seen.Get("Referer"); got != r.first.Service()+"/" {
		t.Errorf("the other host got the Referer %q", got)
	}
}

// Two breakers, each the finder's answer for the other's redirects, looked for
// each other until the stack was full.
func TestAFinderThatIsWrongEndedTheProcess(t *testing.T) {
	host := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer host.Close()
	system := actor.NewActorSystem()
	defer system.Shutdown()
	var all [2]*breaker.Breaker
	calls := 0
	for i, name := range []string{"http://a.internal", "http://b.internal"} {
		b, err := breaker.Spawn(system, name, breaker.Settings{}, breaker.WithFinder(func(string) *breaker.Breaker {
			if calls++; calls > 10 {
				t.Fatal("it looks for ever")
			}
			return all[1-i]
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Stop(context.Background())
		all[i] = b
	}
	res, err := all[0].Client().Get(host.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// A base's limit of connections is by host. Those of a redirect were counted
// among those of the first host: its own silence was then a wait for them.
func TestConnectionsOfARedirectHidTheSilenceOfTheFirstHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := serveInMemory(t, false, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Host == "archive.internal":
				<-r.Context().Done()
			case r.URL.Path == "/old":
				http.Redirect(w, r, "http://archive.internal/old", http.StatusFound)
			}
		})
		base.MaxConnsPerHost = 1
		base.DisableKeepAlives = true
		var dead atomic.Bool
		dial := base.DialContext
		base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dead.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return dial(ctx, network, addr)
		}
		system := newSystem(t)
		archive, err := breaker.Spawn(system, "http://archive.internal", breaker.Settings{RequestTimeout: 2 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		first, err := breaker.Spawn(system, "http://mail.internal", breaker.Settings{ClosedFailLimit: 2}, breaker.WithFinder(func(string) *breaker.Breaker { return archive }))
		if err != nil {
			t.Fatal(err)
		}
		client := first.Client()
		client.Transport = first.Transport(base)
		ctx, cancel := context.WithCancel(t.Context())
		get := func(path string) {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://mail.internal"+path, nil)
			if res, err := client.Do(req); err == nil {
				res.Body.Close()
			}
		}
		old := make(chan struct{})
		go func() { get("/old"); close(old) }()
		synctest.Wait()
		dead.Store(true)
		for range 2 {
			get("/new")
		}
		if first.State() != breaker.Open {
			t.Errorf("the first host takes no connection, and its breaker is %v", first.State())
		}
		cancel()
		<-old
		for _, b := range []*breaker.Breaker{first, archive} {
			if err := b.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
}
