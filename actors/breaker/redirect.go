package breaker

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// ErrForeignRedirect is the error of a request that was redirected to another
// host against [WithoutForeignRedirects].
var ErrForeignRedirect = errors.New("circuit breaker: a redirect to another host is forbidden")

// maxRedirects is the limit of http.Client.
const maxRedirects = 10

// redirects says how far a breaker's client follows redirects to other hosts.
type redirects struct {
	find        func(service string) *Breaker
	credentials []string // canonical header names, besides those of credentialWords
	forbidden   bool
}

// credentialWords mark a header by its name, in lower case, as one that a request
// to another host never keeps: X-Api-Key and X-Auth-Token, but not Idempotency-Key.
// http.Client itself takes off Authorization and Cookie alone.
var credentialWords = []string{
	"authorization", "cookie", "api-key", "apikey", "token", "secret", "password", "credential",
}

// WithFinder gives a breaker a function that returns the breaker of another
// service (see [Breaker.Service] for its form), or nil. A request that a redirect
// leads there is then guarded by that one. find must be safe from any goroutine.
func WithFinder(find func(service string) *Breaker) Option {
	return func(b *Breaker) error {
		if find == nil {
			return errors.New("breaker: WithFinder: the function is nil")
		}
		b.redirects.find = find
		return nil
	}
}

// WithCredentialHeaders names further headers that a redirect to another host
// loses, besides Authorization, Cookie, X-Api-Key, and all with a word like
// token or secret in their names.
func WithCredentialHeaders(names ...string) Option {
	return func(b *Breaker) error {
		for _, name := range names {
			if strings.TrimSpace(name) == "" {
				return errors.New("breaker: WithCredentialHeaders: a header's name is empty")
			}
			b.redirects.credentials = append(b.redirects.credentials, textproto.CanonicalMIMEHeaderKey(name))
		}
		return nil
	}
}

// WithoutForeignRedirects makes the breaker's client refuse redirects to another
// host, with [ErrForeignRedirect].
func WithoutForeignRedirects() Option {
	return func(b *Breaker) error {
		b.redirects.forbidden = true
		return nil
	}
}

// CheckRedirect is the policy of [Breaker.Client], for an http.Client of the
// caller's own over [Breaker.Transport]. It follows at most ten redirects, as
// http.Client does. To another host the request keeps none of the caller's
// credential headers, nor the path and query of the Referer, and neither do the
// redirects after it; an upgrade of the
// same host from http to https on their usual ports is no other host.
func (b *Breaker) CheckRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("circuit breaker: stopped after %d redirects from %s", maxRedirects, b.service)
	}
	if !b.foreign(req.URL) && !slices.ContainsFunc(via, func(r *http.Request) bool { return b.foreign(r.URL) }) {
		return nil
	}
	if b.redirects.forbidden {
		return fmt.Errorf("%w: from %s to %s", ErrForeignRedirect, b.service, req.URL.Host)
	}
	for name := range req.Header {
		if b.redirects.credential(name) {
			delete(req.Header, name)
		}
	}
	trimReferer(req.Header)
	return nil
}

// trimReferer leaves the origin, as browsers do: http.Client sends the whole URL
// that the redirect came from, with a signature or a key in its query.
func trimReferer(h http.Header) {
	from, err := url.Parse(h.Get("Referer"))
	if err != nil || from.Host == "" {
		h.Del("Referer")
		return
	}
	h.Set("Referer", from.Scheme+"://"+from.Host+"/")
}

// credential reports whether a header must not reach another host.
func (r *redirects) credential(name string) bool {
	lower := strings.ToLower(name)
	return slices.ContainsFunc(credentialWords, func(word string) bool { return strings.Contains(lower, word) }) ||
		slices.Contains(r.credentials, textproto.CanonicalMIMEHeaderKey(name))
}

// foreign reports whether u is on another host than the breaker's.
func (b *Breaker) foreign(u *url.URL) bool {
	if u == nil || b.serves(u) {
		return false
	}
	upgrade := strings.EqualFold(u.Scheme, "https") && b.scheme() == "http" &&
		canonicalHost("https", u.Host) == b.host()
	return !upgrade
}

// guardOf returns the breaker of another service that a request is for, or nil.
func (b *Breaker) guardOf(u *url.URL) *Breaker {
	if b.redirects.find == nil || u == nil {
		return nil
	}
	scheme := strings.ToLower(u.Scheme)
	other := b.redirects.find(scheme + "://" + canonicalHost(scheme, u.Host))
	if other == nil || other == b || !other.serves(u) {
		return nil // one of yet another service would look for a breaker in its turn
	}
	return other
}
