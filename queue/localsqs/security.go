package localsqs

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

func forbidden(code, message string) *engine.Error {
	return &engine.Error{Shape: code, Code: code, Message: message, Status: http.StatusForbidden}
}

// checkHost refuses requests that address the server by a name that is not its
// own: a page in a browser can make a name of its author resolve to loopback.
func (s *Server) checkHost(hostport string) *engine.Error {
	host := strings.ToLower(hostport)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if net.ParseIP(host) != nil || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return nil
	}
	s.listeners.mu.Lock()
	defer s.listeners.mu.Unlock()
	if slices.Contains(s.cfg.hosts, host) || slices.Contains(s.listeners.hosts, host) {
		return nil
	}
	return forbidden("AccessDenied", "The host "+hostport+
		" is not one of this server's names; add it by the option Hosts.")
}

// authenticate reads a request's signature if the server has credentials; nil
// if it has none. What it signs remains to be checked. The headers named signed
// must be among what it signs.
func (s *Server) authenticate(r *http.Request, signed []string) (*signature, *engine.Error) {
	if len(s.cfg.keys) == 0 {
		return nil, nil
	}
	return readSignature(r, s.cfg.keys, s.cfg.clock.Now(), signed)
}

// What must be signed of a call of the protocol, and of a look at a page.
var (
	signedOfCalls = []string{"host", "x-amz-date", "x-amz-target"}
	signedOfPages = signedOfCalls[:2]
)
