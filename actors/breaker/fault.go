package breaker

import (
	"net/http"
	"strings"
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
	"http: ContentLength=", "request body larger than specified content length", "request body length", "unsupported protocol scheme",
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
