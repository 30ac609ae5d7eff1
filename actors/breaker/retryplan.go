package breaker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math"
	"net"
	"net/http"
	"time"
)

// What may be sent again, and when. All of it is pure: see repeater for the rest.

// safe are the methods that change nothing at the service (RFC 9110, section 9.2.1).
func safe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// repeatable reports whether req may be sent more than once: its method is idempotent
// (RFC 9110, section 9.2.2) or it has an idempotency key, and its body can be read again.
func repeatable(req *http.Request) bool {
	if !safe(req.Method) && req.Method != http.MethodPut && req.Method != http.MethodDelete && !keyed(req.Header) {
		return false
	}
	return rereadable(req)
}

// keyed reports whether a request has a key by which its service knows a repetition.
// As for net/http, a name without a value says that the request is idempotent, too.
func keyed(h http.Header) bool {
	_, ok := h["Idempotency-Key"]
	if !ok {
		_, ok = h["X-Idempotency-Key"]
	}
	return ok
}

// rereadable reports whether the body of req can be read again. Trailers are set while a
// body is read, and by code that does not know of a second reading.
func rereadable(req *http.Request) bool {
	return len(req.Trailer) == 0 && (req.Body == nil || req.Body == http.NoBody || req.GetBody != nil)
}

// transient reports whether an error of an attempt may be gone at the next one.
func transient(req *http.Request, err error) bool {
	var (
		cert      *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.Is(err, ErrOpen), errors.Is(err, ErrStopped), errors.Is(err, ErrLimited):
		return false
	case errors.As(err, &cert), errors.As(err, &record), errors.As(err, &authority), errors.As(err, &host),
		errors.As(err, &invalid), errors.Is(err, http.ErrSchemeMismatch):
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return false
	}
	if m, ok := errors.AsType[*marked](err); ok && m.verdict != Failure {
		return false
	}
	return !ownLimit(err) && !callersFault(req, err)
}

// backoff returns the wait before retry n, from 0: a random part (draw, in [0, 1)) of a
// time that doubles from base up to most. Without the random part all callers that
// failed together would come back together.
func backoff(n int, base, most time.Duration, draw float64) time.Duration {
	span := math.Min(float64(base)*math.Pow(2, float64(min(n, 62))), float64(most))
	return time.Duration(draw * span)
}

// waitFor returns the wait before retry n of a response that asks to be left alone for
// asked: never less than that, and spread over what the backoff adds.
func waitFor(n int, asked, base, most time.Duration, draw float64) time.Duration {
	return min(max(asked, 0), maxTime) + backoff(n, base, most, draw)
}
