package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// A request that one member of a fleet passes on to another carries no token: a stranger
// that poses as a member would collect them. It is signed with one that both have, and
// says who it is from and with what scope:
//
//	Authorization: Chassis-Relay who="alice through mailer-1", scope=operate, at=1764300000, nonce=…, body=…, mac=…
//
// The signature covers the method, the host, the path and the body. It holds for one
// request, for a minute.
const relayScheme = "Chassis-Relay"

// signLife is by how much the clocks of two members may differ. A nonce is kept for twice
// as long.
const signLife = time.Minute

// maxNonces bounds the signed requests that are remembered.
const maxNonces = 100_000

// origin is the client that a request is passed on for.
type origin struct {
	name  string
	scope Scope
	addr  string
	open  bool // no token is in force here: it is any client of this machine
}

// relayed returns who request r is from, as other members hear it.
func relayed(r *http.Request, list []FleetMember) origin {
	c := clientOf(r)
	name := c.Name
	if i := slices.IndexFunc(list, func(m FleetMember) bool { return m.Self }); i >= 0 {
		name += " through " + list[i].Name
	}
	return origin{clip.Line(name, clip.Name), c.Scope, r.RemoteAddr, c.how == notNeeded}
}

// signature is what a relayed request says of itself.
type signature struct {
	who, nonce, body, mac string
	scope                 Scope
	at                    int64
}

// sum returns the signature's value under a key.
func (s *signature) sum(key []byte, method, host, path string) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{"chassis relay 1", method, host, path, s.who, string(s.scope),
		strconv.FormatInt(s.at, 10), s.nonce, s.body} {
		fmt.Fprintf(mac, "%d:%s\n", len(part), part)
	}
	return mac.Sum(nil)
}

// sign signs a request with a token that has the scope, if any token is in force.
func (c *credentials) sign(r *http.Request, body []byte, from origin) error {
	i := slices.IndexFunc(c.keys, func(k key) bool { return k.Scope == from.scope })
	if i < 0 {
		i = slices.IndexFunc(c.keys, func(k key) bool { return k.Scope.allows(from.scope) })
	}
	if i < 0 {
		if from.open {
			return nil
		}
		return fmt.Errorf("%w: this process has no token of the scope %s, with which members of a fleet know each "+
			"other: set admin.token, or one of admin.tokens, in all of them", ErrNotNow, from.scope)
	}
	sum := sha256.Sum256(body)
	s := signature{who: from.name, scope: from.scope, at: time.Now().Unix(), nonce: rand.Text(),
		body: hex.EncodeToString(sum[:])}
	mac := s.sum(c.keys[i].sum[:], r.Method, r.URL.Host, r.URL.RequestURI())
	r.Header.Set("Authorization", fmt.Sprintf("%s who=%s, scope=%s, at=%d, nonce=%s, body=%s, mac=%x", relayScheme,
		url.QueryEscape(s.who), s.scope, s.at, s.nonce, s.body, mac))
	return nil
}

// parseSignature reads the header of a relayed request.
func parseSignature(authorization string) (s signature, ok bool) {
	scheme, rest, two := strings.Cut(authorization, " ")
	if !two || scheme != relayScheme {
		return s, false
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ", ") {
		name, value, _ := strings.Cut(part, "=")
		fields[name] = value
	}
	who, err := url.QueryUnescape(fields["who"])
	at, bad := strconv.ParseInt(fields["at"], 10, 64)
	s = signature{who, fields["nonce"], fields["body"], fields["mac"], Scope(fields["scope"]), at}
	return s, err == nil && bad == nil && len(fields) == 6 && len(s.nonce) >= 16 && len(s.nonce) <= 64
}

// verify returns who a relayed request is from. Its scope is at most that of the token.
func (c *credentials) verify(r *http.Request, authorization string, now time.Time) (id Identity, ok bool) {
	s, ok := parseSignature(authorization)
	if !ok || now.Sub(time.Unix(s.at, 0)).Abs() > signLife {
		return id, false
	}
	given, err := hex.DecodeString(s.mac)
	if err != nil {
		return id, false
	}
	ok = false
	for i := range c.keys {
		k := &c.keys[i]
		if hmac.Equal(s.sum(k.sum[:], r.Method, r.Host, r.URL.RequestURI()), given) && k.Scope.allows(s.scope) {
			id, ok = Identity{clip.Line(k.Name+" for "+s.who, clip.Name), s.scope}, true
		}
	}
	return id, ok
}

// nonces remembers signed requests, so that none is taken twice.
type nonces struct {
	mu   sync.Mutex // guards all
	seen map[string]time.Time
	next time.Time // when old ones are dropped
}

var errReplay = errors.New("this signed request was sent before, or there are too many of them")

// take takes note of a request. The error says that it was sent before.
func (n *nonces) take(nonce string, now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.After(n.next) || len(n.seen) >= maxNonces {
		for old, at := range n.seen {
			if now.Sub(at) > 2*signLife {
				delete(n.seen, old)
			}
		}
		n.next = now.Add(signLife)
	}
	if _, twice := n.seen[nonce]; twice || len(n.seen) >= maxNonces {
		return errReplay
	}
	if n.seen == nil {
		n.seen = map[string]time.Time{}
	}
	n.seen[nonce] = now
	return nil
}
