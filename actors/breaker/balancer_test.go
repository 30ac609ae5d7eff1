package breaker_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// pods are servers in memory behind the name mail.internal, at 10.0.0.1 and so on. They
// resolve the name themselves.
type pods struct {
	http.Transport
	handle func(pod int, w http.ResponseWriter, r *http.Request)
	served [64]atomic.Int64 // requests
	dials  [64]atomic.Int64

	mu      sync.Mutex
	addrs   []netip.Addr
	fault   error
	lookups int
	by      map[string]*memoryListener
	gone    map[string]func(ctx context.Context) error // no connection is made to these
	closers []func()
}

func podAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

func newPods(t *testing.T, n int, http2 bool, handle func(pod int, w http.ResponseWriter, r *http.Request)) *pods {
	t.Helper()
	var p http.Protocols
	p.SetHTTP1(!http2)
	p.SetUnencryptedHTTP2(http2)
	ps := &pods{handle: handle, by: map[string]*memoryListener{}, gone: map[string]func(context.Context) error{}}
	ps.Protocols, ps.DialContext = &p, ps.dial
	for i := 1; i <= n; i++ {
		l := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Protocols: &p, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ps.served[i].Add(1)
				handle(i, w, r)
			})}
		go func() { _ = server.Serve(l) }()
		ps.addrs = append(ps.addrs, podAddr(i))
		ps.by[podAddr(i).String()] = l
		ps.closers = append(ps.closers, func() { _ = server.Close() })
	}
	t.Cleanup(func() {
		ps.CloseIdleConnections()
		for _, f := range ps.closers {
			f()
		}
		time.Sleep(2 * time.Minute) // of the bubble: every goroutine must have ended
	})
	return ps
}

func (ps *pods) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.lookups++
	if host != "mail.internal" {
		return nil, fmt.Errorf("lookup of %s", host)
	}
	return slices.Clone(ps.addrs), ps.fault
}

func (ps *pods) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "80" {
		return nil, fmt.Errorf("dial %s", addr)
	}
	at, err := netip.ParseAddr(host)
	if err != nil {
		return nil, err
	}
	ps.dials[at.As4()[3]].Add(1)
	ps.mu.Lock()
	l, gone := ps.by[host], ps.gone[host]
	ps.mu.Unlock()
	if gone != nil {
		return nil, gone(ctx)
	}
	return l.dial(ctx, network, addr)
}

func refusedDial(context.Context) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func blackHole(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// spread returns a breaker and a client whose requests go to all pods.
func (ps *pods) spread(t *testing.T, set breaker.OutlierPolicy, s breaker.Settings, opts ...breaker.ClientOption) (*breaker.Breaker, *http.Client) {
	t.Helper()
	b, err := breaker.Spawn(newSystem(t), mailService, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop(context.Background()) })
	if set.Resolver == nil {
		set.Resolver = ps
	}
	c := &http.Client{Transport: b.Transport(&ps.Transport, append(opts, set)...)}
	t.Cleanup(c.CloseIdleConnections)
	return b, c
}

// load makes calls for d, one every millisecond, and returns their number and that of
// those that failed.
func load(c *http.Client, d time.Duration) (calls, failed int64) {
	return loadEvery(c, time.Millisecond, d)
}

// loadEvery is load with another time between the calls.
func loadEvery(c *http.Client, every, d time.Duration) (calls, failed int64) {
	var bad atomic.Int64
	var all sync.WaitGroup
	for range d / every {
		calls++
		all.Go(func() {
			res, err := c.Get(mailService + "/v1/letters")
			if err != nil {
				bad.Add(1)
				return
			}
			_, err = io.Copy(io.Discard, res.Body)
			if res.Body.Close(); err != nil || res.StatusCode >= 500 {
				bad.Add(1)
			}
		})
		time.Sleep(every)
	}
	all.Wait()
	return calls, bad.Load()
}

func out(b *breaker.Breaker) (list []string) {
	for _, e := range b.Snapshot().Entries {
		if strings.HasPrefix(e.Entry, "@") {
			list = append(list, e.Entry+" "+e.State.String())
		}
	}
	return list
}

func podAnswers(_ int, w http.ResponseWriter, _ *http.Request) {
	time.Sleep(3 * time.Millisecond)
	_, _ = io.WriteString(w, "sent")
}

// TestOneBadAddressOfTen: within five seconds at 500 calls a second at most 0.5 % of
// the callers see an error, in whatever way the address is bad.
func TestOneBadAddressOfTen(t *testing.T) {
	faults := map[string]func(w http.ResponseWriter, r *http.Request){
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"slow 503": func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(200 * time.Millisecond)
			w.WriteHeader(503)
		},
		"resets": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(time.Minute):
			}
		},
		"breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	}
	for name, fault := range faults {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/http2=%v", name, http2), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ps := newPods(t, 10, http2, func(pod int, w http.ResponseWriter, r *http.Request) {
						if pod == 7 {
							fault(w, r)
							return
						}
						podAnswers(pod, w, r)
					})
					b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{RequestTimeout: 500 * time.Millisecond})
					calls, failed := loadEvery(c, 2*time.Millisecond, 5*time.Second)
					t.Logf("%d of %d calls failed (%.2f %%)", failed, calls, 100*float64(failed)/float64(calls))
					if failed == 0 || float64(failed) > 0.005*float64(calls) {
						t.Errorf("%d of %d calls failed, want at most 0.5 %%", failed, calls)
					}
					if got := out(b); len(got) != 1 || got[0] != "@10.0.0.7:80 open" {
						t.Errorf("left out: %q", got)
					}
					log := b.Transitions(0)
					if len(log) != 1 || log[0].Entry != "@10.0.0.7:80" || log[0].To != breaker.Open || log[0].Reason == "" || log[0].Until.IsZero() {
						t.Errorf("the log: %+v", log)
					}
					for i := 1; i <= 10; i++ { // the others share the calls
						if n := ps.served[i].Load(); i != 7 && (n < calls/18 || n > calls/5) {
							t.Errorf("address %d got %d of %d requests", i, n, calls)
						}
					}
					if b.State() != breaker.Closed {
						t.Errorf("the service is %v", b.State())
					}
				})
			})
		}
	}
}

// TestABadAddressCostsACallerWithRetriesNothing: the retry goes to another address.
func TestABadAddressCostsACallerWithRetriesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPods(t, 2, false, func(pod int, w http.ResponseWriter, r *http.Request) {
			if pod == 1 {
				w.WriteHeader(500)
				return
			}
			podAnswers(pod, w, r)
		})
		_, c := ps.spread(t, breaker.OutlierPolicy{Failures: 1000}, breaker.Settings{ClosedFailLimit: 1000}, breaker.Retry(1))
		for range 200 {
			res, err := c.Get(mailService)
			if err != nil || res.StatusCode != 200 {
				t.Fatal(res, err)
			}
			_ = res.Body.Close()
		}
	})
}

func TestNothingIsLeftOutWhereAllFail(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ps := newPods(t, 10, http2, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
			b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{ClosedFailLimit: 1 << 20})
			calls, failed := load(c, 5*time.Second)
			if got := out(b); len(got) != 0 || failed != calls {
				t.Errorf("left out: %q; %d of %d failed", got, failed, calls)
			}
			for i := 1; i <= 10; i++ {
				if n := ps.served[i].Load(); n < calls/20 {
					t.Errorf("address %d got %d of %d requests", i, n, calls)
				}
			}
		})
	}
}

// TestAtMostATenthIsLeftOut: three of ten are bad, one after the other is left out, and
// never two at once.
func TestAtMostATenthIsLeftOut(t *testing.T) {
	for _, c := range []struct {
		pods, bad, most int
		share           float64
	}{{10, 3, 1, 0}, {20, 5, 2, 0}, {2, 1, 1, 0}, {2, 2, 1, 0}, {1, 1, 0, 0}, {10, 4, 4, 1}} {
		synctest.Test(t, func(t *testing.T) {
			ps := newPods(t, c.pods, false, func(pod int, w http.ResponseWriter, r *http.Request) {
				if pod <= c.bad {
					w.WriteHeader(500)
					return
				}
				podAnswers(pod, w, r)
			})
			b, client := ps.spread(t, breaker.OutlierPolicy{Most: c.share, Base: time.Second}, breaker.Settings{ClosedFailLimit: 1 << 20})
			most, now := 0, map[string]bool{}
			loadEvery(client, 10*time.Millisecond, 10*time.Second)
			for _, tr := range b.Transitions(0) {
				if now[tr.Entry] = tr.To != breaker.Closed; !now[tr.Entry] {
					delete(now, tr.Entry)
				}
				most = max(most, len(now))
			}
			if most != c.most && !(c.bad == c.pods && most == 0) {
				t.Errorf("%+v: %d were left out at a time", c, most)
			}
		})
	}
}

// TestAnAddressComesBackByProbes: after a time that doubles it gets one request at a time.
func TestAnAddressComesBackByProbes(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var well atomic.Bool
			ps := newPods(t, 10, http2, func(pod int, w http.ResponseWriter, r *http.Request) {
				if pod == 7 && !well.Load() {
					w.WriteHeader(500)
					return
				}
				podAnswers(pod, w, r)
			})
			b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{})
			load(c, time.Second)
			before := ps.served[7].Load()
			if _, failed := loadEvery(c, 10*time.Millisecond, 8*time.Second); failed != 0 || ps.served[7].Load() != before {
				t.Fatalf("%d calls failed, and it got %d requests while it was left out", failed, ps.served[7].Load()-before)
			}
			if _, failed := loadEvery(c, 20*time.Millisecond, 60*time.Second); failed != 2 { // after 10 s and after 20 s more
				t.Errorf("%d probes, want 2", failed)
			}
			well.Store(true)
			loadEvery(c, 20*time.Millisecond, 20*time.Second)
			if got := out(b); len(got) != 0 {
				t.Errorf("left out: %q", got)
			}
			var states []string
			for _, tr := range b.Transitions(0) {
				states = append(states, tr.To.String())
			}
			want := "open half-open open half-open open half-open closed"
			if got := strings.Join(states, " "); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if got := breaker.Replay(b.Transitions(0)); len(got) != 0 {
				t.Errorf("the log leads to %v", got)
			}
			before = ps.served[7].Load()
			if load(c, time.Second); ps.served[7].Load()-before < 50 {
				t.Errorf("it got %d of 1000 requests after it was back", ps.served[7].Load()-before)
			}
		})
	}
}

// TestAProbeWaitsForARead: a write may have an effect, and the address is known to be bad.
func TestAProbeWaitsForARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var well atomic.Bool
		var writes atomic.Int64
		ps := newPods(t, 3, false, func(pod int, w http.ResponseWriter, r *http.Request) {
			if pod == 1 && !well.Load() {
				if r.Method == http.MethodPost {
					writes.Add(1)
				}
				w.WriteHeader(500)
			}
		})
		b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{})
		load(c, time.Second)
		time.Sleep(10 * time.Second) // it may be probed
		for range 20 {
			res, err := c.Post(mailService, "text/plain", strings.NewReader("letter"))
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
		}
		if writes.Load() != 0 {
			t.Errorf("%d writes were probes", writes.Load())
		}
		well.Store(true)
		if load(c, 20*time.Millisecond); len(out(b)) != 0 {
			t.Errorf("left out: %q", out(b))
		}
	})
}

// TestAnAddressWithoutConnections: callers see no error at all, and wait for a second at most
// where a connection hangs.
func TestAnAddressWithoutConnections(t *testing.T) {
	for name, gone := range map[string]func(context.Context) error{"refused": refusedDial, "black hole": blackHole} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/http2=%v", name, http2), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ps := newPods(t, 4, http2, func(pod int, w http.ResponseWriter, r *http.Request) {
						body, _ := io.ReadAll(r.Body)
						_, _ = w.Write(body)
					})
					ps.gone[podAddr(1).String()], ps.gone[podAddr(2).String()] = gone, gone
					b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{})
					longest := time.Duration(0)
					for i := range 300 {
						for kind, body := range map[string]io.Reader{
							"none": nil, "bytes": strings.NewReader("letter"), "stream": io.MultiReader(strings.NewReader("let"), strings.NewReader("ter")),
						} {
							begun := time.Now()
							res, err := c.Post(mailService, "text/plain", body)
							if err != nil {
								t.Fatalf("request %d with body %s: %v", i, kind, err)
							}
							got, err := io.ReadAll(res.Body)
							if want := "letter"; err != nil || kind != "none" && string(got) != want {
								t.Fatalf("request %d with body %s: %q %v", i, kind, got, err)
							}
							_ = res.Body.Close()
							longest = max(longest, time.Since(begun))
						}
						time.Sleep(10 * time.Millisecond)
					}
					if longest > 2*time.Second {
						t.Errorf("a request took %v", longest)
					}
					if n := ps.dials[1].Load() + ps.dials[2].Load(); n > 30 {
						t.Errorf("%d connections to what does not answer", n)
					}
					if failures(b) != 0 || b.HTTPCalls().Judged[breaker.Failure].Count != 0 {
						t.Error("the breaker has counted failures that no caller saw")
					}
					ps.mu.Lock()
					clear(ps.gone)
					ps.mu.Unlock()
					time.Sleep(time.Minute)
					for range 100 {
						load(c, 10*time.Millisecond)
						time.Sleep(time.Second)
					}
					if ps.served[1].Load() == 0 || ps.served[2].Load() == 0 {
						t.Error("the addresses answer again, and get no requests")
					}
				})
			})
		}
	}
}

// TestAllAddressesRefuse: the caller gets the error of the last of them, each is tried once.
func TestAllAddressesRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPods(t, 5, false, podAnswers)
		for i := 1; i <= 5; i++ {
			ps.gone[podAddr(i).String()] = refusedDial
		}
		b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{})
		closed := &closeCounter{Reader: strings.NewReader("letter")}
		req, _ := http.NewRequest(http.MethodPost, mailService, closed)
		if _, err := c.Do(req); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
		for i := 1; i <= 5; i++ {
			if n := ps.dials[i].Load(); n != 1 {
				t.Errorf("%d connections to address %d", n, i)
			}
		}
		if closed.n.Load() == 0 {
			t.Error("the body of the request was not closed")
		}
		if failures(b) != 1 {
			t.Errorf("%d failures, want that of the caller", failures(b))
		}
		if got := out(b); len(got) != 0 {
			t.Errorf("left out: %q", got)
		}
	})
}

type closeCounter struct {
	io.Reader
	n atomic.Int64
}

func (c *closeCounter) Close() error { c.n.Add(1); return nil }

// TestANameThatMoves: new addresses get requests, those that are gone get none and are
// forgotten, an answer of a few of many loses no connection, and a lookup that fails changes nothing.
func TestANameThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPods(t, 20, false, func(pod int, w http.ResponseWriter, r *http.Request) {
			if pod == 3 {
				w.WriteHeader(500)
				return
			}
			podAnswers(pod, w, r)
		})
		all := ps.addrs
		name := func(at []netip.Addr, fault error) {
			ps.mu.Lock()
			defer ps.mu.Unlock()
			ps.addrs, ps.fault = at, fault
		}
		name(all[:10], nil)
		b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{})
		load(c, time.Second)
		name(nil, errors.New("no answer"))
		loadEvery(c, 20*time.Millisecond, 12*time.Second)
		if n := len(b.Addresses()); n != 10 {
			t.Fatalf("%d addresses after a lookup that failed", n)
		}
		name(nil, nil)
		loadEvery(c, 20*time.Millisecond, 12*time.Second)
		if n := len(b.Addresses()); n != 10 {
			t.Fatalf("%d addresses after an empty answer", n)
		}
		name(all[10:], nil)
		loadEvery(c, 20*time.Millisecond, 11*time.Second)
		before := ps.served[1].Load()
		loadEvery(c, 20*time.Millisecond, 30*time.Second)
		if ps.served[1].Load() != before || ps.served[11].Load() == 0 {
			t.Errorf("a gone address got %d requests, a new one %d", ps.served[1].Load()-before, ps.served[11].Load())
		}
		loadEvery(c, 20*time.Millisecond, time.Minute)
		if n := len(b.Addresses()); n != 10 {
			t.Errorf("%d addresses are known, want those of the name", n)
		}
		log := b.Transitions(0)
		if last := log[len(log)-1]; last.Entry != "@10.0.0.3:80" || last.To != breaker.Closed || last.Reason != "the name has this address no more" {
			t.Errorf("%+v", last)
		}
		dials := ps.dials[12].Load()
		for i := range 6 { // an answer of two, as some services give
			name(all[10+i:12+i], nil)
			loadEvery(c, 20*time.Millisecond, 11*time.Second)
		}
		if more := ps.dials[12].Load() - dials; more > 12 {
			t.Errorf("%d new connections to an address that comes and goes", more)
		}
		if ps.lookups > 30 {
			t.Errorf("%d lookups", ps.lookups)
		}
	})
}

func TestAThousandAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPods(t, 1, false, podAnswers)
		l := ps.by[podAddr(1).String()]
		ps.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) { return l.dial(ctx, network, addr) }
		b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{})
		for round := range 5 {
			ps.mu.Lock()
			ps.addrs = nil
			for i := range 1000 {
				ps.addrs = append(ps.addrs, netip.AddrFrom4([4]byte{10, byte(round), byte(i >> 8), byte(i)}))
			}
			ps.mu.Unlock()
			loadEvery(c, 20*time.Millisecond, 11*time.Second)
		}
		if n := len(b.Addresses()); n < 100 || n > 500 {
			t.Errorf("%d addresses are kept", n)
		}
	})
}

// TestTheNameHasNoAddress: the error is that of the lookup.
func TestTheNameHasNoAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPods(t, 1, false, podAnswers)
		ps.addrs = nil
		_, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{})
		var dns *net.DNSError
		if _, err := c.Get(mailService); !errors.As(err, &dns) || !dns.IsNotFound {
			t.Error(err)
		}
		ps.addrs = []netip.Addr{podAddr(1), {}}
		if err := call(c, "/", nil); err != nil {
			t.Error(err)
		}
	})
}

type resolverFunc func(ctx context.Context) ([]netip.Addr, error)

func (f resolverFunc) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	return f(ctx)
}

// TestAResolverThatHangs: a request waits for its own ctx and not for the resolver, and
// one that panics is an error.
func TestAResolverThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPods(t, 1, false, podAnswers)
		hang := resolverFunc(func(ctx context.Context) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() })
		_, c := ps.spread(t, breaker.OutlierPolicy{Resolver: hang}, breaker.Settings{})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, mailService, nil)
		begun := time.Now()
		if _, err := c.Do(req); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 200*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		boom := resolverFunc(func(context.Context) ([]netip.Addr, error) { panic("boom") })
		_, c = ps.spread(t, breaker.OutlierPolicy{Resolver: boom}, breaker.Settings{})
		if _, err := c.Get(mailService); err == nil || !strings.Contains(err.Error(), "the resolver of EjectOutliers panicked: boom") {
			t.Error(err)
		}
	})
}

// TestWhatCannotBeSpread: the option fails with what is wrong.
func TestWhatCannotBeSpread(t *testing.T) {
	b, err := breaker.Spawn(newSystem(t), "https://mail.internal", breaker.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Stop(context.Background()) }()
	for want, base := range map[string]http.RoundTripper{
		"want an *http.Transport":            http.NewFileTransport(http.Dir(".")),
		"DialTLSContext, which needs the":    &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return nil, nil }},
		"HTTP/2 by golang.org/x/net/http2, ": &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{"h2": func(string, *tls.Conn) http.RoundTripper { return nil }}},
	} {
		c := &http.Client{Transport: b.Transport(base, breaker.EjectOutliers())}
		if _, err := c.Get("https://mail.internal"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestARequestByAProxyIsNotSpread: the proxy chooses the address.
func TestARequestByAProxyIsNotSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPods(t, 1, false, podAnswers)
		var dialed atomic.Value
		l := ps.by[podAddr(1).String()]
		ps.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialed.Store(addr)
			return l.dial(ctx, network, addr)
		}
		ps.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.internal:3128"})
		b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{})
		if err := call(c, "/", nil); err != nil {
			t.Fatal(err)
		}
		if dialed.Load() != "proxy.internal:3128" || ps.lookups != 0 || len(b.Addresses()) != 0 {
			t.Errorf("dialed %v, %d lookups, %v", dialed.Load(), ps.lookups, b.Addresses())
		}
	})
}

// TestConnectionsToALeftOutAddressAreClosed: those that are idle at once, those in use with
// their request.
func TestConnectionsToALeftOutAddressAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bad atomic.Bool
		var open atomic.Int64
		ps := newPods(t, 3, false, func(pod int, w http.ResponseWriter, r *http.Request) {
			if pod == 1 && r.URL.Path == "/long" {
				time.Sleep(2 * time.Second)
			} else if pod == 1 && bad.Load() {
				w.WriteHeader(500)
			}
			time.Sleep(10 * time.Millisecond)
		})
		dial := ps.DialContext
		ps.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil || !strings.HasPrefix(addr, "10.0.0.1:") {
				return conn, err
			}
			open.Add(1)
			return &countedConn{Conn: conn, n: &open}, nil
		}
		b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{})
		load(c, time.Second)
		var long sync.WaitGroup
		for range 9 {
			long.Go(func() {
				if err := call(c, "/long", nil); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		bad.Store(true)
		load(c, 300*time.Millisecond)
		if len(out(b)) != 1 {
			t.Fatalf("left out: %q", out(b))
		}
		idle := open.Load()
		long.Wait()
		load(c, 10*time.Millisecond)
		synctest.Wait()
		if idle > 9 || open.Load() != 0 {
			t.Errorf("%d connections when it was left out, %d after the long requests", idle, open.Load())
		}
	})
}

type countedConn struct {
	net.Conn
	n    *atomic.Int64
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.n.Add(-1) })
	return c.Conn.Close()
}

// TestAnOperatorBringsAnAddressBack: by a reset; a force needs a path.
func TestAnOperatorBringsAnAddressBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPods(t, 10, false, func(pod int, w http.ResponseWriter, r *http.Request) {
			if pod == 7 {
				w.WriteHeader(500)
			}
		})
		b, c := ps.spread(t, breaker.EjectOutliers(), breaker.Settings{})
		for _, path := range []string{"@10.0.0.7:80", ""} {
			load(c, time.Second)
			if len(out(b)) != 1 {
				t.Fatalf("left out: %q", out(b))
			}
			if err := b.ForceOpen("@10.0.0.7:80", 0); err == nil || !strings.Contains(err.Error(), "an address cannot be forced") {
				t.Error(err)
			}
			if err := b.Reset(path); err != nil || len(out(b)) != 0 {
				t.Errorf("%v, left out: %q", err, out(b))
			}
		}
		if err := b.Reset("@10.9.9.9:80"); err != nil {
			t.Error(err)
		}
	})
}

// TestLeftOutOnLoopback is the same on sockets: ten addresses of this machine, with TLS, HTTP/1.1
// and HTTP/2, and the name of the certificate.
func TestLeftOutOnLoopback(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) {
			var addrs []netip.Addr
			var first *httptest.Server
			protos := make([]atomic.Int64, 11)
			port := ""
			for i := 1; i <= 10; i++ {
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					protos[i].Add(int64(r.ProtoMajor))
					if i == 7 {
						w.WriteHeader(500)
					}
				}))
				l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:%s", i, port+"0"[:1-min(len(port), 1)]))
				if err != nil {
					t.Skipf("no ten addresses of loopback with one port: %v", err)
				}
				_, port, _ = net.SplitHostPort(l.Addr().String())
				_ = server.Listener.Close()
				server.Listener, server.EnableHTTP2 = l, http2
				server.StartTLS()
				defer server.Close()
				if first == nil {
					first = server
				}
				addrs = append(addrs, netip.MustParseAddr(fmt.Sprintf("127.0.0.%d", i)))
			}
			service := "https://example.com:" + port // a name of the test certificate
			b, err := breaker.Spawn(newSystem(t), service, breaker.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Stop(context.Background()) }()
			base := first.Client().Transport.(*http.Transport).Clone()
			base.DialContext = nil // httptest's own leads to its first server
			c := &http.Client{Transport: b.Transport(base, breaker.OutlierPolicy{
				Resolver: resolverFunc(func(context.Context) ([]netip.Addr, error) { return addrs, nil })})}
			defer c.CloseIdleConnections()
			failed := 0
			for range 2000 {
				res, err := c.Get(service)
				if err != nil {
					t.Fatal(err)
				}
				if res.StatusCode != 200 {
					failed++
				}
				_ = res.Body.Close()
			}
			if failed != 5 || len(out(b)) != 1 {
				t.Errorf("%d of 2000 failed, left out %q", failed, out(b))
			}
			want := int64(1)
			if http2 {
				want = 2
			}
			if n := protos[7].Load(); n != 5*want {
				t.Errorf("%d requests times protocol at the bad address", n)
			}
		})
	}
}
