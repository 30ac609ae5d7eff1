package effects

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// keyHeader is the header of a request's idempotency key, by the draft of the IETF
// (draft-ietf-httpapi-idempotency-key-header) and by Stripe, PayPal and others.
const keyHeader = "Idempotency-Key"

// Client returns a client that records its requests and makes them by next, which is
// what other services are in the test: an http.RoundTripper of its own, or the
// transport of an httptest.Server. A nil next is http.DefaultTransport.
func (f *Recorder) Client(next http.RoundTripper) *http.Client {
	return &http.Client{Transport: f.Transport(next)}
}

// Transport is the transport of [Recorder.Client], for a client with settings of its
// own, or for one with a breaker in front.
func (f *Recorder) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{f, next}
}

type transport struct {
	effects *Recorder
	next    http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	detail := ""
	if r.Body != nil && r.Body != http.NoBody {
		body, err := io.ReadAll(r.Body)
		if closed := r.Body.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return nil, fmt.Errorf("effects: read the body of %s %s: %w", r.Method, r.URL, err)
		}
		sent := r.Clone(r.Context()) // a RoundTripper must not change the request
		sent.Body, sent.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		sent.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r, detail = sent, digest(body)
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	e := &Effect{
		Kind: HTTP, Name: method + " " + r.URL.Redacted(), Key: r.Header.Get(keyHeader), Detail: detail,
		Process: t.effects.process, ReadOnly: readsOnly(method),
	}
	err = t.effects.Perform(r.Context(), []*Effect{e.of(r.Context())}, func() error {
		resp, err = t.next.RoundTrip(r) //nolint:bodyclose // the caller's, or closed below
		return err
	})
	if errors.Is(err, ErrUnavailable) {
		return unavailable(r), nil
	}
	if err != nil {
		if resp != nil { // the answer came, and its process is dead
			_ = resp.Body.Close() // nothing reads it
		}
		return nil, err
	}
	return resp, nil
}

// ErrUnavailable refuses a request by an answer: its client gets the status 503, and no
// error.
var ErrUnavailable = errors.New("effects: 503 Service Unavailable")

func unavailable(r *http.Request) *http.Response {
	const text = "refused by the test\n"
	return &http.Response{
		Status: "503 Service Unavailable", StatusCode: http.StatusServiceUnavailable,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"text/plain"}},
		Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: r,
	}
}

// readsOnly reports whether a method changes nothing, by RFC 9110, section 9.2.1.
func readsOnly(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// digest names a body: short bodies of text as they are, and the hash of others.
func digest(body []byte) string {
	const short = 60
	if len(body) == 0 {
		return ""
	}
	if len(body) <= short && printable(body) {
		return fmt.Sprintf("body %s", body)
	}
	sum := sha256.Sum256(body)
	return fmt.Sprintf("body of %d bytes, sha256 %s", len(body), hex.EncodeToString(sum[:6]))
}

func printable(body []byte) bool {
	for _, c := range body {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}
