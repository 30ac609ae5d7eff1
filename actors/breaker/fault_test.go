package breaker_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// TestWhatWasNeverSentIsNoFailure: net/http refuses these requests before the
// service sees anything, with and without a deadline of the caller's own.
func TestWhatWasNeverSentIsNoFailure(t *testing.T) {
	mistakes := map[string]func(r *http.Request){
		"a line break in a header": func(r *http.Request) { r.Header.Set("X-Name", "Mary\nAnn") },
		"a zero byte in a header":  func(r *http.Request) { r.Header["X-Name"] = []string{"Mary\x00"} },
		"a blank in a header name": func(r *http.Request) { r.Header["X Name"] = []string{"Mary"} },
		"an empty header name":     func(r *http.Request) { r.Header[""] = []string{"Mary"} },
		"a bad trailer":            func(r *http.Request) { r.Trailer = http.Header{"X Sum": {"1"}} },
		"a blank in the method":    func(r *http.Request) { r.Method = "GE T" },
		"no header map":            func(r *http.Request) { r.Header = nil },
		"a control character in the URL": func(r *http.Request) {
			r.URL = &url.URL{Scheme: "http", Host: "mail.internal", Opaque: "//mail.internal/a\nb"}
		},
	}
	forHTTP(t, func(t *testing.T, http2 bool) {
		for name, mistake := range mistakes {
			if http2 && strings.Contains(name, "URL") { // is sent, and refused by the server
				continue
			}
			for _, deadline := range []time.Duration{0, time.Second, time.Minute} {
				t.Run(name+"/"+deadline.String(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						asked := 0
						base := serveInMemory(t, http2, func(http.ResponseWriter, *http.Request) { asked++ })
						b, client := newMail(t, base, breaker.Settings{})
						for range 10 {
							ctx, cancel := t.Context(), context.CancelFunc(func() {})
							if deadline > 0 {
								ctx, cancel = context.WithTimeout(ctx, deadline)
							}
							req, err := http.NewRequestWithContext(ctx, http.MethodGet, mailService+"/v1", nil)
							if err != nil {
								t.Fatal(err)
							}
							mistake(req)
							if _, err = client.Transport.RoundTrip(req); err == nil || strings.Contains(err.Error(), "breaker") {
								t.Errorf("want net/http's own error, got %v", err)
							}
							cancel()
						}
						if b.State() != breaker.Closed || failures(b) != 0 || asked != 0 {
							t.Errorf("%v, %d failures, %d requests sent; want closed, none, none", b.State(), failures(b), asked)
						}
						if err := call(client, "/v1", nil); err != nil {
							t.Errorf("a good request of another caller: %v", err)
						}
					})
				})
			}
		}
	})
}

// TestOversizedHeadersAreTheCallersOwn: HTTP/2 servers say how much they take.
func TestOversizedHeadersAreTheCallersOwn(t *testing.T) {
	b, client, url := serve(t, true, breaker.Settings{}, func(http.ResponseWriter, *http.Request) {})
	res, err := client.Get(url)
	read(t, res, err) // the server's settings have come
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", strings.Repeat("x", 2<<20))
	if _, err := client.Do(req); err == nil || failures(b) != 0 {
		t.Errorf("%v, %d failures", err, failures(b))
	}
}

// TestCancellationByTheRequestsChannelIsNeutral: deprecated, and still in use.
func TestCancellationByTheRequestsChannelIsNeutral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := serveInMemory(t, false, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		b, client := newMail(t, base, breaker.Settings{})
		req, err := http.NewRequest(http.MethodGet, mailService+"/v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		req.Cancel = stop //nolint:staticcheck // deprecated, and still in use
		time.AfterFunc(time.Second, func() { close(stop) })
		if _, err := client.Do(req); err == nil || failures(b) != 0 {
			t.Errorf("%v, %d failures", err, failures(b))
		}
	})
}

// TestLimitsOfTheCallersMachineOpenEveryService: a process without a file
// descriptor can reach none of its services, and each of them may be well.
func TestLimitsOfTheCallersMachineOpenEveryService(t *testing.T) {
	dial := func(ip string, call string, errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 443}, Err: os.NewSyscallError(call, errno)}
	}
	for _, c := range []struct {
		err  error
		want int // failures
	}{
		{dial("10.0.0.1", "socket", syscall.EMFILE), 0},
		{dial("10.0.0.1", "socket", syscall.ENFILE), 0},
		{dial("10.0.0.1", "socket", syscall.ENOBUFS), 0},
		{dial("10.0.0.1", "socket", syscall.ENOMEM), 0},
		{dial("10.0.0.1", "connect", syscall.EADDRNOTAVAIL), 0},
		{&net.DNSError{Err: "dial udp 10.0.0.2:53: socket: " + syscall.EMFILE.Error(), Name: "mail.internal"}, 0},
		{dial("::1", "connect", syscall.EADDRNOTAVAIL), 1}, // a machine without IPv6, and nothing listens on IPv4
		{dial("10.0.0.1", "connect", syscall.ECONNREFUSED), 1},
		{&net.DNSError{Err: "no such host", Name: "mail.internal", IsNotFound: true}, 1},
	} {
		base := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, c.err }}
		b, client := newMail(t, base, breaker.Settings{})
		if _, err := client.Get(mailService); !errors.Is(err, c.err) || failures(b) != c.want {
			t.Errorf("%v: %d failures, want %d", err, failures(b), c.want)
		}
		if err := b.Reset(""); err != nil {
			t.Fatal(err)
		}
		if _ = b.Do(t.Context(), "", func(context.Context) error { return c.err }); failures(b) != c.want {
			t.Errorf("Do: %v: %d failures, want %d", c.err, failures(b), c.want)
		}
	}
}
