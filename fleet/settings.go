package fleet

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/sambatech/chassis/fleet/internal/register"
	"github.com/sambatech/chassis/settings"
)

// DefaultPort is that of bind and of a seed without a port.
const DefaultPort = 7946

// Settings of a fleet. A zero value of a field means its default.
type Settings struct {
	Seeds  []string                `key:"seeds" rule:"unique" doc:"addresses of members, as host:port or host; a name stands for every address that DNS has of it, so the name of a headless Service is enough; default none: others join this one"`
	Bind   string                  `key:"bind" rule:"optional,nonempty" doc:"ip:port to listen on, by UDP and TCP, default 127.0.0.1:7946; port 0 takes a free one"`
	Key    settings.Secret[string] `key:"key" doc:"keys of the fleet, base64 of 16, 24 or 32 bytes, separated by commas; the first encrypts, all decrypt; required if bind is not loopback"`
	Quorum float64                 `key:"quorum" rule:"optional,positive,max=1" doc:"share of the members alive, two at least, that must have tripped before all act on it, default 0.3"`
	Word   time.Duration           `key:"word" rule:"optional,min=5s,max=10m" doc:"time for which a member's word counts without being said again, default 1m"`
	Turn   time.Duration           `key:"turn" rule:"optional,min=10ms,max=1m" doc:"time between two members' chances to probe a service, default 500ms"`
}

// DefaultSettings returns the settings with every default filled in.
func DefaultSettings() Settings { return Settings{}.filled() }

func (s Settings) filled() Settings {
	s.Bind = cmp.Or(s.Bind, "127.0.0.1:"+strconv.Itoa(DefaultPort))
	r := s.register().Filled()
	s.Quorum, s.Word, s.Turn = r.Quorum, r.Word, r.Turn
	return s
}

func (s Settings) register() register.Settings {
	return register.Settings{Quorum: s.Quorum, Word: s.Word, Turn: s.Turn}
}

// Validate returns everything that is wrong with the settings.
func (s Settings) Validate() error {
	s = s.filled()
	ip, _, err := s.bind()
	errs := []error{settings.At("bind", err)}
	keys, err := s.keys()
	errs = append(errs, settings.At("key", err))
	if ip != nil && !ip.IsLoopback() && len(keys) == 0 && err == nil {
		errs = append(errs, settings.At("key", fmt.Errorf("is required while bind is %s, which others reach: "+
			"a stranger there could open every breaker; make one with: openssl rand -base64 32", s.Bind)))
	}
	for _, seed := range s.Seeds {
		if _, _, err := splitSeed(seed); err != nil {
			errs = append(errs, settings.At("seeds", err))
		}
	}
	if s.Quorum < 0 || s.Quorum > 1 {
		errs = append(errs, settings.At("quorum", fmt.Errorf("must be above 0 and at most 1, got %v", s.Quorum)))
	}
	if s.Word < 0 || s.Turn < 0 {
		errs = append(errs, errors.New("word and turn must not be below zero"))
	}
	return errors.Join(errs...)
}

// bind returns the address to listen on.
func (s Settings) bind() (net.IP, int, error) {
	host, port, err := net.SplitHostPort(s.Bind)
	if err != nil {
		return nil, 0, fmt.Errorf("must be ip:port, got %q", s.Bind)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host)
	n, err := strconv.ParseUint(port, 10, 16)
	if ip == nil || err != nil {
		return nil, 0, fmt.Errorf("must be ip:port, for all addresses of the machine 0.0.0.0:%d, got %q", DefaultPort,
			s.Bind)
	}
	return ip, int(n), nil
}

// keys returns the keys, the one that encrypts first. Its error shows none of them.
func (s Settings) keys() (keys [][]byte, err error) {
	list := s.Key.Reveal()
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	for i, text := range strings.Split(list, ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if n := len(key); err != nil || n != 16 && n != 24 && n != 32 {
			return nil, fmt.Errorf("number %d is not base64 of 16, 24 or 32 bytes: make one with: "+
				"openssl rand -base64 32", i+1)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// splitSeed returns host and port of a seed.
func splitSeed(seed string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(seed)
	if err != nil {
		host, port = strings.Trim(seed, "[]"), strconv.Itoa(DefaultPort)
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			host = ""
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if host == "" || err != nil || n == 0 || strings.ContainsAny(host, " /\t\n") {
		return "", "", fmt.Errorf("must be host:port or host, got %q", seed)
	}
	return host, port, nil
}
