package admin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// Identity is who sends a request, and what they may do.
type Identity struct {
	Name  string // of the token or the certificate; it stands in the audit log
	Scope Scope
}

type identityKey struct{}

// WithIdentity returns a ctx in which requests come from id. It is for a handler
// around the server's ([Config.Wrap]) that knows its clients by itself: the
// request needs no token. Commands still need the header [CommandHeader].
func WithIdentity(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// credentials are the tokens in force.
type credentials struct {
	keys []key
	cert Scope // of clients with a certificate; empty: certificates count for nothing

	bodies string // Settings.ShowBodies
}

// sees reports whether a client of a scope sees the bodies of dead letters.
func (c *credentials) sees(s Scope) bool {
	switch c.bodies {
	case "never":
		return false
	case string(ScopeOperate):
		return s == ScopeOperate
	}
	return true
}

type key struct {
	Identity
	sum [sha256.Size]byte
}

func newCredentials(s Settings) *credentials {
	c := &credentials{bodies: s.ShowBodies}
	if token := s.Token.Reveal(); token != "" {
		c.keys = append(c.keys, key{Identity{"admin.token", ScopeOperate}, sha256.Sum256([]byte(token))})
	}
	for name, t := range s.Tokens {
		c.keys = append(c.keys, key{Identity{name, cmp.Or(t.Scope, ScopeRead)},
			sha256.Sum256([]byte(t.Token.Reveal()))})
	}
	if s.TLS.ClientCAFile != "" {
		c.cert = cmp.Or(s.TLS.ClientScope, ScopeRead)
	}
	return c
}

// needed reports whether a client must show anything.
func (c *credentials) needed() bool { return len(c.keys) > 0 || c.cert != "" }

// proof is how a client has shown who it is.
type proof int

const (
	noProof    proof = iota // it has shown nothing, and must
	wrongProof              // a token that is not in force
	notNeeded               // any client of this machine
	byToken
	byOther // a certificate, or the handler around
	byRelay // another member of the fleet, which has a token too: see sign.go
)

// identify returns who sends r. It reads the header alone.
func (c *credentials) identify(r *http.Request) (Identity, proof) {
	if id, ok := r.Context().Value(identityKey{}).(Identity); ok {
		return Identity{clip.Line(id.Name, clip.Name), id.Scope}, byOther
	}
	if given := r.Header.Get("Authorization"); given != "" && len(c.keys) > 0 {
		if id, ok := c.find(given); ok {
			return id, byToken
		}
		if id, ok := c.verify(r, given, time.Now()); ok {
			return id, byRelay
		}
		return Identity{}, wrongProof
	}
	if c.cert != "" && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		name := r.TLS.VerifiedChains[0][0].Subject.CommonName
		return Identity{clip.Line("certificate of "+name, clip.Name), c.cert}, byOther
	}
	if !c.needed() {
		return Identity{"anyone on this machine", ScopeOperate}, notNeeded
	}
	return Identity{}, noProof
}

// find compares with every token, in a time that does not depend on which one fits.
func (c *credentials) find(authorization string) (id Identity, ok bool) {
	scheme, given, two := strings.Cut(authorization, " ")
	if !two || !strings.EqualFold(scheme, "Bearer") {
		return id, false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(given)))
	for i := range c.keys {
		if subtle.ConstantTimeCompare(sum[:], c.keys[i].sum[:]) == 1 {
			id, ok = c.keys[i].Identity, true
		}
	}
	return id, ok
}
