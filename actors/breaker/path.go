package breaker

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
)

// nextSegment cuts the first segment off a path. Empty segments are dropped;
// the query and the fragment end the path. An empty seg is the end of the path.
func nextSegment(path string) (seg, rest string) {
	i := 0
	for i < len(path) && path[i] == '/' {
		i++
	}
	for j := i; j < len(path); j++ {
		switch path[j] {
		case '/':
			return path[i:j], path[j:]
		case '?', '#':
			return path[i:j], ""
		}
	}
	return path[i:], ""
}

// cleanPath returns the name of the entry for a path: "" for the service,
// /v1/send for the rest.
func cleanPath(path string) string {
	var b strings.Builder
	for seg, rest := nextSegment(path); seg != ""; seg, rest = nextSegment(rest) {
		b.WriteByte('/')
		b.WriteString(seg)
	}
	return b.String()
}

// maxScheme is the longest scheme, in bytes: its length is kept in one.
const maxScheme = 255

// maxEntryPath is the longest path, in bytes, that has an entry of its own; of a
// longer one the parents take the failures. So what a stranger makes us call
// cannot take more memory than max_entries of these.
const maxEntryPath = 4096

// ParseService checks a service, scheme://host[:port], and returns its one
// spelling: in lower case, without a final dot of the host and without the
// scheme's own port.
func ParseService(service string) (string, error) {
	scheme, host, err := parseService(service)
	if err != nil {
		return "", err
	}
	return scheme + "://" + host, nil
}

// parseService checks a service and returns the parts of its one spelling.
func parseService(service string) (scheme, host string, err error) {
	fail := func(why string) (string, string, error) {
		return "", "", fmt.Errorf("breaker: service %q: %s: want scheme://host[:port], like https://mail.internal",
			service, why)
	}
	u, err := url.Parse(service)
	if err == nil && u.User != nil {
		service = u.Redacted() // a password is not for logs
	}
	switch {
	case err != nil:
		return fail(err.Error())
	case u.Scheme == "" || u.Host == "" || u.Hostname() == "":
		return fail("no scheme or no host")
	case len(u.Scheme) > maxScheme:
		return fail("the scheme is too long")
	case u.User != nil:
		return fail("it has a user")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return fail("it has a path or a query; one breaker guards all paths of a service")
	}
	if host = canonicalHost(u.Scheme, u.Host); host == "" {
		return fail("no host")
	}
	return u.Scheme, host, nil
}

// canonicalHost returns the one spelling of host[:port]: in lower case and ASCII,
// without a final dot, with an address as package netip writes it, and with a port only if
// it is not the scheme's own.
func canonicalHost(scheme, host string) string {
	if strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) {
		host = asciiHost(host)
	}
	name, port := strings.ToLower(host), ""
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.HasSuffix(name, "]") {
		name, port = name[:i], strings.TrimLeft(name[i+1:], "0")
	}
	name = strings.TrimSuffix(name, ".")
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		if addr = addr.Unmap(); addr.Is6() {
			name = "[" + addr.String() + "]"
		} else {
			name = addr.String()
		}
	}
	if port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		return name
	}
	return name + ":" + port
}

// fullStops are the dots of IDNA (RFC 3490, section 3.1) besides the ASCII one.
var fullStops = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")

// asciiHost returns a host in the form of DNS: xn--bcher-kva.internal for
// bücher.internal. net/http exports the rule only by what it writes of a request.
// Compatibility forms of letters, like those of full width, stay apart.
func asciiHost(host string) string {
	host = fullStops.Replace(strings.ToLower(host))
	var sent strings.Builder
	req := http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: host}}
	if err := req.Write(&sent); err != nil {
		return host // net/http refuses it
	}
	_, rest, _ := strings.Cut(sent.String(), "Host: ")
	name, _, _ := strings.Cut(rest, "\r\n")
	return name
}
