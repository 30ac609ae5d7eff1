package admin

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/sambatech/chassis/settings"
)

// Settings is the section admin. The zero value means the defaults.
type Settings struct {
	// Listen is the address. Empty means [DefaultListen], or a free port of
	// the same host if that one is taken (a service started twice on a laptop
	// is no mistake). If an address that is set cannot be used the service does
	// not start.
	Listen string `key:"listen" doc:"address of the admin server: host:port, or off; default 127.0.0.1:9190, or a free port if that is taken"`

	// Token is a token of scope operate, named "admin.token" in the audit log.
	// A listener that is not on a loopback address needs one, or Tokens, or
	// client certificates. A changed token is in force without a restart.
	Token settings.Secret[string] `key:"token" live:"true" doc:"secret that a client must send as a bearer token, at least 16 bytes; needed where listen is not a loopback address"`

	// Tokens are further ones by name, each with its scope. The name stands in
	// the audit log. To rotate one without a gap, add a new name, move the
	// clients over, and remove the old name; no restart is needed.
	Tokens map[string]Token `key:"tokens" live:"true" doc:"further tokens by name, each with a scope; changed without a restart"`

	// Hosts are further names by which the server may be addressed. IP
	// addresses and localhost always may.
	Hosts []string `key:"hosts" doc:"host names, without port, by which clients may address the admin server, besides localhost and IP addresses; default none"`

	// OpenMetrics leaves /metrics without the token.
	OpenMetrics bool `key:"open_metrics" doc:"serve /metrics without the token, for a scraper that has none; default false"`

	// PProf serves /debug/pprof, to clients of scope operate.
	PProf bool `key:"pprof" doc:"serve Go's profiles at /debug/pprof; default false"`

	// ShowBodies is the least scope that sees the bodies of dead letters.
	ShowBodies string `key:"show_bodies" live:"true" rule:"oneof=read|operate|never" doc:"who sees the bodies of dead letters, which hold the tasks' arguments: read (everyone who may see the page), operate or never; default read"`

	TLS TLSSettings `key:"tls"`
}

// Token is one named token.
type Token struct {
	Token settings.Secret[string] `key:"token" doc:"the secret, at least 16 bytes"`
	Scope Scope                   `key:"scope" doc:"read: see everything; operate: give commands too; default read"`
}

// Scope is what a client may do.
type Scope string

// The scopes. Each includes the one before.
const (
	ScopeRead    Scope = "read"    // see the page, the API and the metrics
	ScopeOperate Scope = "operate" // give commands, take profiles
)

// allows reports whether a client of scope s may do what needs scope need.
func (s Scope) allows(need Scope) bool {
	return s == ScopeOperate || need == ScopeRead && s == ScopeRead
}

// DefaultListen is the address if none is set.
const DefaultListen = "127.0.0.1:9190"

// Off as an address means no server.
const Off = "off"

// minToken is the length from which guessing a token over the network is out of
// the question even if it is poorly made: 16 random hex digits are 64 bits.
const minToken = 16

// minDistinct is the number of different characters below which a token is not
// taken for a random one. 16 random hex digits have fewer in one of 10 000 cases.
const minDistinct = 6

// DefaultSettings returns the settings with every default filled in. Listen
// stays empty: that is what allows another port than [DefaultListen].
func DefaultSettings() Settings {
	return Settings{ShowBodies: string(ScopeRead), TLS: TLSSettings{ClientScope: ScopeRead}}
}

// Validate returns everything that is wrong, joined.
func (s Settings) Validate() error {
	if s.Listen == Off {
		return nil
	}
	var errs []error
	host, _, err := net.SplitHostPort(s.listen())
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("admin.listen is %q: want host:port like %s, or off", s.Listen, DefaultListen))
	case !isLoopback(host) && s.Token.IsZero() && len(s.Tokens) == 0 && s.TLS.ClientCAFile == "":
		errs = append(errs, fmt.Errorf("admin.listen is %q, which other machines can reach: set admin.token (at "+
			"least %d bytes) or admin.tls.client_ca_file, or listen on 127.0.0.1", s.Listen, minToken))
	}
	errs = append(errs, s.checkTokens(), s.TLS.validate())
	for i, h := range s.Hosts {
		if h == "" || strings.ContainsAny(h, ":/ *") {
			errs = append(errs, fmt.Errorf("admin.hosts.%d is %q: want a host name without scheme, port or wildcard",
				i, h))
		}
	}
	switch s.ShowBodies {
	case "", "read", "operate", "never":
	default:
		errs = append(errs, fmt.Errorf("admin.show_bodies is %q: want read, operate or never", s.ShowBodies))
	}
	return errors.Join(errs...)
}

func (s Settings) checkTokens() error {
	var errs []error
	if token := s.Token.Reveal(); token != "" {
		errs = append(errs, checkToken("admin.token", token))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Tokens)) {
		t, key := s.Tokens[name], "admin.tokens."+name
		switch t.Scope {
		case "", ScopeRead, ScopeOperate:
		default:
			errs = append(errs, fmt.Errorf("%s.scope is %q: want read or operate", key, t.Scope))
		}
		if t.Token.IsZero() {
			errs = append(errs, fmt.Errorf("%s.token is missing: set it to at least %d bytes, or remove the name",
				key, minToken))
			continue
		}
		errs = append(errs, checkToken(key+".token", t.Token.Reveal()))
	}
	return errors.Join(errs...)
}

func checkToken(key, token string) error {
	distinct := map[rune]bool{}
	for _, r := range token {
		distinct[r] = true
	}
	lower := strings.ToLower(token)
	switch {
	case strings.ContainsAny(token, "\r\n\t "):
		return fmt.Errorf("%s holds white space: it cannot be sent in a header; does its file end with a newline?",
			key)
	case len(token) < minToken:
		return fmt.Errorf("%s has %d bytes: want at least %d, for example 32 random hex digits", key, len(token),
			minToken)
	case strings.Contains(lower, "change-me"), strings.Contains(lower, "changeme"),
		strings.Contains(lower, "change_me"):
		return fmt.Errorf("%s is the placeholder of an example: set a secret of your own, for example the output of "+
			"`openssl rand -hex 16`", key)
	case len(distinct) < minDistinct:
		return fmt.Errorf("%s has only %d different characters: set a random one, for example the output of "+
			"`openssl rand -hex 16`", key, len(distinct))
	}
	return nil
}

func (s Settings) listen() string { return cmp.Or(s.Listen, DefaultListen) }

// isLoopback reports whether only this machine can reach a listener on host. An
// empty host is every interface.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
