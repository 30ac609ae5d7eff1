package admin

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// CommandHeader is a header that every command needs, with any value, unless it
// carries a token. No form, no link and no redirect can set it, so a program of
// this machine that follows a foreign redirect gives no command by accident.
const CommandHeader = "Chassis-Command"

// wrongTokenDelay is how long the answer to a wrong token takes. Its connection
// is closed after it, and a peer has few: see maxPeer.
const wrongTokenDelay = time.Second

// guard decides which requests are let through.
type guard struct {
	loopback bool // only this machine can connect
	hosts    []string
	creds    atomic.Pointer[credentials]
	audit    *audit
	conns    *conns
	delay    time.Duration // wrongTokenDelay
	nonces   nonces        // of requests that other members have passed on
}

func newGuard(s Settings, loopback bool, a *audit, c *conns) *guard {
	g := &guard{loopback: loopback, audit: a, conns: c, delay: wrongTokenDelay}
	for _, h := range s.Hosts {
		g.hosts = append(g.hosts, strings.ToLower(h))
	}
	g.creds.Store(newCredentials(s))
	return g
}

// policy lets the page load its own files and talk to its own server, and
// nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// wrap refuses what comes from elsewhere before any handler sees it. No body is
// read, nor waited for, until [guard.body] is called for a known client.
func (g *guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.ContentLength != 0 {
			withoutBody(w)
		}
		switch {
		case !g.hostAllowed(r.Host):
			problem(w, http.StatusForbidden, "the request is addressed to the host "+quote(r.Host)+
				", which is not this server's: use localhost or its IP address, or name the host in admin.hosts")
		case !sameOrigin(r):
			problem(w, http.StatusForbidden,
				"the request comes from another site: only this server's own page may send requests from a browser")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// withoutBody makes the server answer at once and close the connection, where it
// would first wait for the rest of the body.
func withoutBody(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // a recorder in a test has none
}

// body lets a known client's body be read.
func (g *guard) body(w http.ResponseWriter) {
	w.Header().Del("Connection")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
}

// hostAllowed keeps out requests that a foreign host name has led here (DNS
// rebinding): they carry that name. IP addresses are allowed; where only this
// machine can connect they must be loopback ones.
func (g *guard) hostAllowed(hostport string) bool {
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

// sameOrigin keeps out what the page of another site makes a browser send. Only
// browsers send Origin; without it Sec-Fetch-Site decides. A person may follow a
// link to the page itself from anywhere.
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

// known reports whether a probe's client may see the reasons too.
func (g *guard) known(r *http.Request) bool {
	id, how := g.creds.Load().identify(r)
	if how == wrongProof {
		g.audit.refuse(r)
	}
	return how > wrongProof && id.Scope.allows(ScopeRead)
}

type clientKey struct{}

// client is the sender of a request that was let through.
type client struct {
	Identity
	how  proof
	body string // SHA-256 of the body, in hex, of one that was passed on; empty: any
}

// clientOf returns who sent a request that [guard.need] has let through.
func clientOf(r *http.Request) client {
	c, _ := r.Context().Value(clientKey{}).(client)
	return c
}

// need lets only clients of a scope through, and bounds how many are served at once.
func (g *guard) need(scope Scope, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, how := g.creds.Load().identify(r)
		from := client{Identity: id, how: how}
		s, passed := parseSignature(r.Header.Get("Authorization"))
		if how == byRelay {
			from.body = s.body
			if err := g.nonces.take(s.nonce, time.Now()); err != nil {
				how = wrongProof
			}
		}
		switch {
		case how == wrongProof && passed:
			g.audit.refuse(r)
			pause(r.Context(), g.delay)
			withoutBody(w)
			problem(w, http.StatusUnauthorized, "the signature of a request that another member has passed on is not "+
				"valid here: it was sent before, the two have no token of their admin servers in common, or their "+
				"clocks differ by more than a minute")
			return
		case how == wrongProof:
			g.audit.refuse(r)
			pause(r.Context(), g.delay)
			fallthrough
		case how == noProof:
			withoutBody(w)
			w.Header().Set("WWW-Authenticate", `Bearer realm="chassis admin"`)
			problem(w, http.StatusUnauthorized, "this needs the token of the setting admin.token, or one of "+
				"admin.tokens, as the header Authorization: Bearer …")
			return
		case !id.Scope.allows(scope):
			withoutBody(w)
			problem(w, http.StatusForbidden,
				"this needs the scope "+string(scope)+"; "+quote(id.Name)+" has the scope "+string(id.Scope))
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, from)))
	})
}

// stays reports whether the client of a stream may still see it: its token may
// have been taken out of the settings since.
func (g *guard) stays(r *http.Request) bool {
	id, how := g.creds.Load().identify(r)
	return how > wrongProof && id.Scope.allows(ScopeRead)
}

// serving gives the request's connection a place that no other connection can
// take, until done is called. There are few: false means that all are in use.
func (g *guard) serving(w http.ResponseWriter, r *http.Request) (done func(), ok bool) {
	done, ok = g.conns.hold(r.Context(), maxServed)
	if !ok {
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusServiceUnavailable, "too many requests are served at once: try again in a second")
	}
	return done, ok
}

// served is [guard.serving] for a whole handler.
func (g *guard) served(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if done, ok := g.serving(w, r); ok {
			defer done()
			next.ServeHTTP(w, r)
		}
	})
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
