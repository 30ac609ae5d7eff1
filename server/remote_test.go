package server

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestRemote(t *testing.T) {
	ours := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		peer    string
		forward []string
		proxies []netip.Prefix
		want    string
	}{
		"nothing is trusted":     {"203.0.113.9:1234", []string{"1.2.3.4"}, nil, "203.0.113.9"},
		"IPv6":                   {"[2001:db8::1]:443", nil, nil, "2001:db8::1"},
		"a stranger":             {"203.0.113.9:1234", []string{"1.2.3.4"}, ours, "203.0.113.9"},
		"our proxy":              {"10.0.0.1:1234", []string{"203.0.113.9"}, ours, "203.0.113.9"},
		"two proxies":            {"10.0.0.1:1", []string{"203.0.113.9, 10.0.0.2"}, ours, "203.0.113.9"},
		"forged in front":        {"10.0.0.1:1", []string{"1.1.1.1, 203.0.113.9"}, ours, "203.0.113.9"},
		"forged as ours":         {"10.0.0.1:1", []string{"10.9.9.9, 203.0.113.9"}, ours, "203.0.113.9"},
		"two headers":            {"10.0.0.1:1", []string{"1.1.1.1", "203.0.113.9, 10.0.0.2"}, ours, "203.0.113.9"},
		"with a port":            {"10.0.0.1:1", []string{"203.0.113.9:77"}, ours, "203.0.113.9"},
		"IPv6 with a port":       {"10.0.0.1:1", []string{"[2001:db8::1]:77"}, ours, "2001:db8::1"},
		"IPv4 in IPv6":           {"[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.9"}, ours, "203.0.113.9"},
		"no header":              {"10.0.0.1:1", nil, ours, "10.0.0.1"},
		"rubbish":                {"10.0.0.1:1", []string{"203.0.113.9, \r\nx"}, ours, "10.0.0.1"},
		"rubbish behind a proxy": {"10.0.0.1:1", []string{"x, 10.0.0.2"}, ours, "10.0.0.2"},
		"a megabyte":             {"10.0.0.1:1", []string{strings.Repeat("10.0.0.1,", 1<<17)}, ours, "10.0.0.1"},
		"one word of a megabyte": {"10.0.0.1:1", []string{strings.Repeat("1", 1<<20)}, ours, "10.0.0.1"},
		"a unix socket":          {"@", []string{"203.0.113.9"}, ours, "203.0.113.9"},
		"a unix socket, alone":   {"@", nil, nil, "@"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forward}}
		if got := remoteOf(r, c.proxies); got != c.want {
			t.Errorf("%s: %.40q, want %q", name, got, c.want)
		}
	}
	log := newLines(t)
	ask(AccessLog(log, WithTrustedProxies(netip.MustParsePrefix("192.0.2.0/24")))(write("")), "GET", "/", "X-Forwarded-For", "203.0.113.9")
	if got := log.last(t)["remote"]; got != "203.0.113.9" {
		t.Errorf("WithTrustedProxies: %v", got)
	}
}

func FuzzRemote(f *testing.F) {
	f.Add("10.0.0.1:1", "203.0.113.9, 10.0.0.2")
	f.Add("@", "[::1]:1,,")
	ours := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, peer, forward string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forward}}}
		got := remoteOf(r, ours)
		if _, err := netip.ParseAddr(got); err != nil && !strings.Contains(peer, got) {
			t.Errorf("%q, %q: %q", peer, forward, got)
		}
	})
}
