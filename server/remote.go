package server

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops is the number of addresses of X-Forwarded-For that are looked at, from the
// right: each proxy adds one, and a client may have written thousands.
const maxHops = 20

// remoteOf returns the address of the client, as far as it is trusted: the peer of
// the connection or, where that is one of our proxies, the rightmost address of
// X-Forwarded-For that no proxy of ours has. A stranger can write what is further left.
func remoteOf(r *http.Request, proxies []netip.Prefix) string {
	peer := r.RemoteAddr
	if i := strings.LastIndexByte(peer, ':'); i > 0 {
		if peer = peer[:i]; peer[0] == '[' {
			peer = strings.Trim(peer, "[]")
		}
	}
	if len(proxies) == 0 {
		return peer
	}
	addr, err := netip.ParseAddr(peer)
	if err != nil && r.RemoteAddr != "@" && r.RemoteAddr != "" { // a unix socket's peer is a proxy on this machine
		return peer
	}
	if err == nil && !trusted(addr, proxies) {
		return peer
	}
	hops := 0
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for rest != "" {
			var hop string
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, hop = rest[:at], rest[at+1:]
			} else {
				rest, hop = "", rest
			}
			if hops++; hops > maxHops {
				return peer
			}
			addr, ok := parseHop(strings.TrimSpace(hop))
			if !ok {
				return peer // what stands here was not written by a proxy of ours
			}
			peer = addr.String()
			if !trusted(addr, proxies) {
				return peer
			}
		}
	}
	return peer
}

// parseHop reads an address, with or without a port.
func parseHop(s string) (netip.Addr, bool) {
	const longest = 64 // an IPv6 address in brackets with a port has less
	if len(s) > longest {
		return netip.Addr{}, false
	}
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return addr.WithZone("").Unmap(), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().WithZone("").Unmap(), true
	}
	return netip.Addr{}, false
}

func trusted(addr netip.Addr, proxies []netip.Prefix) bool {
	addr = addr.WithZone("").Unmap()
	for _, p := range proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
