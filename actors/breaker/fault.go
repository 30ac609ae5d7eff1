package breaker

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// callersFault reports whether err is about a mistake in the request itself: the
// service has not seen it. req is nil once the headers have come.
func callersFault(req *http.Request, err error) bool {
	if req == nil {
		return false
	}
	if !validMethod(req.Method) || !validFields(req.Header) || !validFields(req.Trailer) || cancelled(req) {
		return true
	}
	text := err.Error()
	for _, own := range ownTexts {
		if strings.Contains(text, own) {
			return true
		}
	}
	return false
}

// ownTexts are parts of the errors by which net/http refuses a request that it has not
// sent; they have no type.
var ownTexts = []string{
	"net/http: invalid ", "http: invalid Host header", "http: nil Request.Header", "can't write control character in Request.URL",
	"http2: invalid ", "invalid HTTP header", "invalid HTTP trailer", "request header list larger than peer's advertised limit",
	"http: ContentLength=", "http: Request.ContentLength=", "request body larger than specified content length", "request body length", "unsupported protocol scheme",
	"received Server's graceful shutdown GOAWAY", // not taken, and the caller's body cannot be sent again
}

// cancelled reports whether the caller has cancelled by the request's channel.
func cancelled(req *http.Request) bool {
	select {
	case <-req.Cancel: //nolint:staticcheck // deprecated, and still in use
		return true
	default:
		return false
	}
}

func validMethod(method string) bool { return method == "" || token(method) }

func validFields(h http.Header) bool {
	for name, values := range h {
		if !token(name) {
			return false
		}
		for _, v := range values {
			for i := range len(v) {
				if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
					return false
				}
			}
		}
	}
	return true
}

// token reports whether s is a token of RFC 9110, section 5.6.2.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// ownLimit reports whether err is a limit of this process or machine: no file
// descriptor, no buffer, no port was left for a connection. It is the same for
// every service, and says nothing of one.
func ownLimit(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok { // it keeps the text of its reason alone
		return strings.HasSuffix(dns.Err, syscall.EMFILE.Error()) || strings.HasSuffix(dns.Err, syscall.ENFILE.Error())
	}
	errno, _ := errors.AsType[syscall.Errno](err)
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		return true
	case syscall.EADDRNOTAVAIL: // no port is left; for IPv6 it may mean that this machine has none of that family
		op, _ := errors.AsType[*net.OpError](err)
		if op == nil {
			return false
		}
		to, ok := op.Addr.(*net.TCPAddr)
		return ok && to.IP.To4() != nil
	}
	return false
}
