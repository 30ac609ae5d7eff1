package breaker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRepeatable(t *testing.T) {
	stream := func() io.Reader { return io.MultiReader(strings.NewReader("x")) }
	key := func(name string) http.Header { return http.Header{name: {"7"}} }
	for name, c := range map[string]struct {
		method string
		body   io.Reader
		header http.Header
		want   bool
	}{
		"GET":                          {"GET", nil, nil, true},
		"the default method":           {"", nil, nil, true},
		"HEAD":                         {"HEAD", nil, nil, true},
		"OPTIONS":                      {"OPTIONS", nil, nil, true},
		"TRACE":                        {"TRACE", nil, nil, true},
		"DELETE":                       {"DELETE", nil, nil, true},
		"PUT of bytes":                 {"PUT", bytes.NewReader([]byte("x")), nil, true},
		"PUT of a stream":              {"PUT", stream(), nil, false},
		"GET with a stream":            {"GET", stream(), nil, false},
		"POST":                         {"POST", strings.NewReader("x"), nil, false},
		"POST of nothing":              {"POST", http.NoBody, nil, false},
		"PATCH":                        {"PATCH", strings.NewReader("x"), nil, false},
		"CONNECT":                      {"CONNECT", nil, nil, false},
		"a method in lower case":       {"get", nil, nil, false},
		"POST with a key":              {"POST", strings.NewReader("x"), key("Idempotency-Key"), true},
		"POST with the other key":      {"POST", strings.NewReader("x"), key("X-Idempotency-Key"), true},
		"POST with a key, not sent":    {"POST", strings.NewReader("x"), http.Header{"Idempotency-Key": nil}, true},
		"POST of a stream with a key":  {"POST", stream(), key("Idempotency-Key"), false},
		"POST with a key of its own":   {"POST", strings.NewReader("x"), key("Request-Id"), false},
		"PUT with trailers to be sent": {"PUT", strings.NewReader("x"), http.Header{"trailers": nil}, false},
	} {
		req, err := http.NewRequest(c.method, "http://mail.internal/", c.body)
		if err != nil {
			t.Fatal(err)
		}
		if c.method == "" {
			req.Method = ""
		}
		if c.header != nil {
			req.Header = c.header
		}
		if strings.Contains(name, "trailers") {
			req.Trailer = http.Header{"Digest": nil}
		}
		if got := repeatable(req); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestTransientErrors(t *testing.T) {
	req, _ := http.NewRequest("GET", "http://mail.internal/", nil)
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"reset":                    {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		"refused connection":       {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		"end of the connection":    {io.EOF, true},
		"end within the headers":   {io.ErrUnexpectedEOF, true},
		"the breaker's time":       {ErrTimeout, true},
		"a time-out of DNS":        {&net.DNSError{Err: "i/o timeout", IsTimeout: true}, true},
		"no such host":             {&net.DNSError{Err: "no such host", IsNotFound: true}, false},
		"open":                     {&OpenError{Service: "x"}, false},
		"stopped":                  {ErrStopped, false},
		"a limit of this machine":  {&net.OpError{Op: "dial", Err: syscall.EMFILE}, false},
		"a certificate":            {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, false},
		"another name":             {x509.HostnameError{}, false},
		"no TLS":                   {tls.RecordHeaderError{Msg: "x"}, false},
		"http for https":           {http.ErrSchemeMismatch, false},
		"a request that is broken": {errors.New("net/http: invalid header field name"), false},
		"marked as no failure":     {Ignore(io.EOF), false},
		"marked as answered":       {Succeed(io.EOF), false},
	} {
		if got := transient(req, c.err); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if c := (&repetition{req: req.WithContext(gone)}); c.bad(nil, io.EOF) {
		t.Error("the caller has gone, and its request is tried again")
	}
}

func TestBackoff(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		n          int
		asked      time.Duration
		base, most time.Duration
		draw       float64
		want       time.Duration
	}{
		{0, 0, 100 * ms, time.Second, 0, 0},
		{0, 0, 100 * ms, time.Second, 0.5, 50 * ms},
		{1, 0, 100 * ms, time.Second, 0.5, 100 * ms},
		{3, 0, 100 * ms, time.Second, 0.5, 400 * ms},
		{4, 0, 100 * ms, time.Second, 0.5, 500 * ms},
		{99, 0, 100 * ms, time.Second, 0.5, 500 * ms},
		{99, 0, maxTime, maxTime, 0.5, maxTime / 2},
		{0, time.Second, 100 * ms, time.Second, 0.5, 1050 * ms},
		{0, -time.Second, 100 * ms, time.Second, 0.5, 50 * ms},
		{0, 1<<63 - 1, 100 * ms, time.Second, 0.5, maxTime + 50*ms},
	} {
		if got := waitFor(c.n, c.asked, c.base, c.most, c.draw); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestRetryAfterHeader(t *testing.T) {
	soon := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		header    string
		low, high time.Duration
	}{
		{"", 0, 0}, {"0", 0, 0}, {"7", 7 * time.Second, 7 * time.Second}, {" 7 ", 7 * time.Second, 7 * time.Second},
		{"-7", 0, 0}, {"7.5", 0, 0}, {"soon", 0, 0}, {"0x10", 0, 0},
		{"Wed, 21 Oct 2015 07:28:00 GMT", 0, 0}, {soon, 59 * time.Minute, time.Hour},
		{"9223372037", 60 * 365 * 24 * time.Hour, 70 * 365 * 24 * time.Hour}, // more than a duration holds
		{"99999999999999999999999", 60 * 365 * 24 * time.Hour, 70 * 365 * 24 * time.Hour},
	} {
		if got := retryAfter(http.Header{"Retry-After": {c.header}}); got < c.low || got > c.high {
			t.Errorf("%q: %v, want %v to %v", c.header, got, c.low, c.high)
		}
	}
}
