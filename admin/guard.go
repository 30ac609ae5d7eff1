package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// guard decides who may ask at all.
type guard struct {
	loopback bool // only this machine can connect
	secret   *[sha256.Size]byte
	hosts    []string
}

func newGuard(s Settings, loopback bool) guard {
	g := guard{loopback: loopback}
	for _, h := range s.Hosts {
		g.hosts = append(g.hosts, strings.ToLower(h))
	}
	if s.Token != "" {
		sum := sha256.Sum256([]byte(s.Token))
		g.secret = &sum
	}
	return g
}

// policy lets the page load its own files and talk to its own server, and
// nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// wrap refuses what comes from elsewhere before any handler sees it.
func (g guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !g.hostAllowed(r.Host):
			problem(w, http.StatusForbidden, "the request is addressed to the host "+quote(r.Host)+
				", which is not this server's: use localhost or its IP address, or name the host in admin.hosts")
		case !sameOrigin(r):
			problem(w, http.StatusForbidden, "the request comes from another site: only this server's own page may send requests from a browser")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// hostAllowed keeps out requests that a name of somebody else's led here (DNS
// rebinding): such a request carries the name. An IP address carries none, but
// where only this machine can connect it must be a loopback one.
func (g guard) hostAllowed(hostport string) bool {
	u, err := url.Parse("//" + hostport)
	if err != nil || u.Host != hostport || u.User != nil {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "localhost" || slices.Contains(g.hosts, host) {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (!g.loopback || ip.IsLoopback())
}

// sameOrigin keeps out what another site's page makes a browser send. Origin is
// sent by browsers alone; where it is missing, Sec-Fetch-Site tells. A person
// may follow a link to the page itself from anywhere.
func sameOrigin(r *http.Request) bool {
	if origins, ok := r.Header["Origin"]; ok {
		if len(origins) != 1 {
			return false
		}
		u, err := url.Parse(origins[0])
		return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, r.Host)
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	return r.URL.Path == "/" && r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

// known says whether the client may see everything: it has the token, or none
// is needed.
func (g guard) known(r *http.Request) bool {
	if g.secret == nil {
		return true
	}
	scheme, given, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(given)))
	return subtle.ConstantTimeCompare(sum[:], g.secret[:]) == 1
}

// token lets only known clients through.
func (g guard) token(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.known(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="chassis admin"`)
			problem(w, http.StatusUnauthorized, "this needs the token of the setting admin.token, as the header Authorization: Bearer …")
			return
		}
		next.ServeHTTP(w, r)
	})
}
