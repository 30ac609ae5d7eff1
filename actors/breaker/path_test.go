package breaker_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/sambatech/chassis/actors/breaker"
)

// TestOneHostInManySpellings is one service: a failure counts, whichever of them
// the breaker or the request has.
func TestOneHostInManySpellings(t *testing.T) {
	for want, spellings := range map[string][]string{
		"https://mail.internal": {"https://mail.internal", "HTTPS://MAIL.internal", "https://mail.internal.", "https://mail.internal:443",
			"https://mail.internal:0443", "https://mail.internal.:000443", "https://mail.internal:", "https://Mail.Internal.:"},
		"http://mail.internal:8080":      {"http://mail.internal:8080", "http://mail.internal.:08080"},
		"http://mail.internal":           {"http://mail.internal:80", "http://mail.internal:0080"},
		"https://mail.internal:80":       {"https://mail.internal:80", "https://mail.internal.:080"},
		"https://[::1]":                  {"https://[::1]", "https://[0:0:0:0:0:0:0:1]:443", "https://[0000::0001]:0443"},
		"https://[fe80::a]:8443":         {"https://[FE80::A]:8443", "https://[fe80:0::a]:08443"},
		"https://xn--bcher-kva.internal": {"https://bücher.internal", "https://BÜCHER。internal.:0443", "https://XN--bcher-KVA.internal:443"},
		"http://127.0.0.1":               {"http://127.0.0.1:80", "http://[::ffff:127.0.0.1]", "http://127.0.0.1."},
	} {
		for _, spelling := range spellings {
			if got, err := breaker.ParseService(spelling); err != nil || got != want {
				t.Errorf("%s: %q, %v, want %s", spelling, got, err, want)
			}
			for _, other := range spellings {
				b, err := breaker.Spawn(newSystem(t), spelling, breaker.Settings{})
				if err != nil {
					t.Fatal(err)
				}
				u, err := url.Parse(other + "/v1")
				if err != nil {
					t.Fatal(err)
				}
				_, _ = b.Transport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })).
					RoundTrip(&http.Request{URL: u, Header: http.Header{}})
				if failures(b) != 1 {
					t.Errorf("breaker of %s: a failing request to %s is not counted", spelling, other)
				}
				_ = b.Stop(t.Context())
			}
		}
	}
	for _, service := range []string{"https://.", "https://.:443"} {
		if got, err := breaker.ParseService(service); err == nil {
			t.Errorf("%q was taken as %q", service, got)
		}
	}
}
