package admin

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Settings is the section admin. The zero value means the defaults.
type Settings struct {
	// Listen is the address. Empty means [DefaultListen], or a free port of
	// the same host if that one is taken (a service started twice on a laptop
	// is no mistake). An address that is set is meant: if it cannot be had the
	// service does not start.
	Listen string `key:"listen" doc:"address of the admin server: host:port, or off; default 127.0.0.1:9190, or a free port if that is taken"`

	// Token is needed for everything but the probes. A listener that is not
	// on a loopback address must have one, of 16 bytes at least.
	Token string `key:"token" secret:"true" doc:"secret that a client must send as a bearer token, at least 16 bytes; needed where listen is not a loopback address"`

	// Hosts are further names by which the server may be addressed. IP
	// addresses and localhost always may.
	Hosts []string `key:"hosts" doc:"host names, without port, by which clients may address the admin server, beside localhost and IP addresses; default none"`

	// OpenMetrics leaves /metrics without the token.
	OpenMetrics bool `key:"open_metrics" doc:"serve /metrics without the token, for a scraper that has none; default false"`

	// PProf serves /debug/pprof.
	PProf bool `key:"pprof" doc:"serve Go's profiles at /debug/pprof; default false"`
}

// DefaultListen is the address if none is set.
const DefaultListen = "127.0.0.1:9190"

// Off as an address means no server.
const Off = "off"

// minToken is the length from which guessing a token over the network is out of
// the question even if it is poorly made: 16 random hex digits are 64 bits.
const minToken = 16

// DefaultSettings returns the settings with every default filled in. Listen
// stays empty: that is what allows another port than [DefaultListen].
func DefaultSettings() Settings { return Settings{} }

// Validate tells everything that is wrong, joined.
func (s Settings) Validate() error {
	if s.Listen == Off {
		return nil
	}
	var errs []error
	host, _, err := net.SplitHostPort(s.listen())
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("admin.listen is %q: want host:port such as %s, or off", s.Listen, DefaultListen))
	case !isLoopback(host) && s.Token == "":
		errs = append(errs, fmt.Errorf("admin.listen is %q, which other machines can reach: set admin.token (at least %d bytes), or listen on 127.0.0.1", s.Listen, minToken))
	}
	if s.Token != "" && len(s.Token) < minToken {
		errs = append(errs, fmt.Errorf("admin.token has %d bytes: want at least %d, such as 32 random hex digits", len(s.Token), minToken))
	}
	if strings.TrimSpace(s.Token) != s.Token || strings.ContainsAny(s.Token, "\r\n\t ") {
		errs = append(errs, errors.New("admin.token holds white space: it cannot be sent in a header; does its file end with a newline?"))
	}
	for i, h := range s.Hosts {
		if h == "" || strings.ContainsAny(h, ":/ *") {
			errs = append(errs, fmt.Errorf("admin.hosts.%d is %q: want a host name without scheme, port or wildcard", i, h))
		}
	}
	return errors.Join(errs...)
}

func (s Settings) listen() string {
	if s.Listen == "" {
		return DefaultListen
	}
	return s.Listen
}

// isLoopback says whether only this machine can reach a listener on host. An
// empty host is every interface.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
