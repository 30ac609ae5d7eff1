package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

// FuzzAPI sends anything to every path. Whatever comes is answered, by a status
// that is no server's mistake; what is foreign is refused; and a command that is
// not answered by 200 has done nothing.
func FuzzAPI(f *testing.F) {
	p := newPlant()
	srv := serve(f, p, Settings{})
	public := serve(f, p, Settings{Listen: ":0", Token: settings.NewSecret(goodToken)})
	for _, seed := range []struct{ method, path, host, origin, body string }{
		{"POST", "/api/v1/dead/delete", "localhost", "", `{"ids":["m1"],"confirm":"delete"}`},
		{"POST", "/api/v1/executions/snooze", "127.0.0.1:1", "http://127.0.0.1:1", `{"exec_id":"e","for":"1h"}`},
		{"POST", "/api/v1/breakers/force", "[::1]:80", "", `{"service":"s","path":"/","to":"forced-open","for":1e9}`},
		{"POST", "/api/v1/log/level", "localhost", "null", `{"name":"\u0000","level":"debug"}`},
		{"POST", "/api/v1/tasks/pause", "evil.example", "", `{"task":1}`},
		{"GET", "/api/v1/executions?offset=1&limit=3&search=%ff", "localhost", "", ""},
		{"GET", "/api/v1/transitions?service=&since=18446744073709551616", "localhost", "", ""},
		{"GET", "/../../etc/passwd", "localhost", "", ""},
		{"GET", "\xa4", "localhost", "", ""}, // was a 500: no path of a file system
		{"DELETE", "/metrics", "localhost", "", "{"},
	} {
		f.Add(seed.method, seed.path, seed.host, seed.origin, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, path, host, origin, body string) {
		if strings.Contains(path, "stream") {
			t.Skip("does not end by itself")
		}
		r := httptest.NewRequest(http.MethodGet, "http://x/", strings.NewReader(body))
		if u, err := r.URL.Parse(path); err == nil && u.Host == "x" {
			r.URL = u
		}
		r.Method, r.Host = method, host
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(CommandHeader, "1")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		before := len(p.done())
		w := httptest.NewRecorder()
		public.Handler().ServeHTTP(w, r)
		if after := len(p.done()); after != before {
			t.Fatalf("without the token %s %s did %q", method, path, p.done()[before:])
		}
		if strings.HasPrefix(r.URL.Path, "/api/") && w.Code == 200 {
			t.Fatalf("without the token %s %s: 200 %s", method, path, w.Body)
		}
		w = httptest.NewRecorder()
		srv.Handler().ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		if len(p.done()) != before && (w.Code != 200 || method != "POST") {
			t.Fatalf("%s %s answered %d but did %q", method, path, w.Code, p.done()[before:])
		}
		if origin != "" && w.Code == 200 && !strings.HasSuffix(strings.ToLower(origin), strings.ToLower("//"+host)) {
			t.Fatalf("the origin %q was let through to %q", origin, host)
		}
		if w.Header().Get("Content-Type") == "application/problem+json" && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("no JSON: %s", w.Body)
		}
	})
}
