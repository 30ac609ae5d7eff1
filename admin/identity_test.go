package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

// TestHostileRedirectGivesNoCommand: a program of this machine follows a 307 of its
// upstream to the admin server, with its own body and headers.
func TestHostileRedirectGivesNoCommand(t *testing.T) {
	p := newPlant()
	srv := listening(t, p, Settings{Listen: "127.0.0.1:0"})
	for _, path := range []string{"api/v1/tasks/pause", "api/v1/breakers/reset", "api/v1/log/level", "api/v1/dead/delete"} {
		upstream := http.Server{Handler: http.RedirectHandler(srv.URL()+path, http.StatusTemporaryRedirect), ReadHeaderTimeout: time.Second}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go upstream.Serve(l)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for _, body := range []string{"{}", `{"task":""}`, `{"ids":["m1"],"confirm":"delete"}`, `{"name":"","level":"emergency"}`, `{"service":"https://mail.internal"}`} {
			res, err := client.Post("http://"+l.Addr().String(), "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s: %s", path, body, res.Status)
			}
		}
		upstream.Close()
	}
	if done := p.done(); len(done) > 0 {
		t.Errorf("it did %q", done)
	}
	if w := ask(srv, "POST", "/api/v1/tasks/pause", `{}`); w.Code != 400 || len(p.done()) > 0 {
		t.Errorf("{} paused %q: %d", p.done(), w.Code)
	}
}

func TestHostileEyesSeeNoToken(t *testing.T) {
	s := Settings{Token: settings.NewSecret(goodToken), Tokens: map[string]Token{"alice": {settings.NewSecret(goodToken), ScopeRead}}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("settings", "admin", s)
	asJSON, _ := json.Marshal(s)
	if all := fmt.Sprintf("%v %+v %#v %s %s", s, s, s, asJSON, log.String()); strings.Contains(all, goodToken) {
		t.Errorf("the token is shown: %s", all)
	}
	for name, token := range map[string]string{"the manifest's": "change-me-to-32-random-hex-digits", "in capitals": "CHANGEME-CHANGEME-1234", "one key": strings.Repeat("a", 40)} {
		for _, s := range []Settings{{Token: settings.NewSecret(token)}, {Tokens: map[string]Token{"a": {settings.NewSecret(token), ""}}}} {
			if err := s.Validate(); err == nil || strings.Contains(err.Error(), token) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestHostileReaderGivesNoCommands: scopes, and rotation without a restart.
func TestHostileReaderGivesNoCommands(t *testing.T) {
	p := newPlant()
	reader, operator := "reader-0123456789ab", "operator-0123456789"
	set := Settings{ShowBodies: "operate", PProf: true, Tokens: map[string]Token{"bob": {settings.NewSecret(reader), ""}, "alice": {settings.NewSecret(operator), ScopeOperate}}}
	srv := serve(t, p, set)
	code := func(method, path, token string) int {
		body := ""
		if method == "POST" {
			body = `{"task":""}`
		}
		return ask(srv, method, path, body, "Authorization: Bearer "+token).Code
	}
	for _, c := range []struct {
		method, path, token string
		want                int
	}{
		{"GET", "/api/v1/state", reader, 200}, {"POST", "/api/v1/tasks/pause", reader, 403}, {"GET", "/debug/pprof/", reader, 403},
		{"GET", "/api/v1/state", operator, 200}, {"POST", "/api/v1/tasks/pause", operator, 200}, {"GET", "/debug/pprof/", operator, 200},
	} {
		if got := code(c.method, c.path, c.token); got != c.want {
			t.Errorf("%s %s by %s: %d, want %d", c.method, c.path, c.token, got, c.want)
		}
	}
	if w := ask(srv, "GET", "/api/v1/dead", "", "Authorization: Bearer "+reader); strings.Contains(w.Body.String(), "a@b") || !strings.Contains(w.Body.String(), `"hidden":true`) {
		t.Errorf("a reader sees %s", w.Body)
	}
	if w := ask(srv, "GET", "/api/v1/dead", "", "Authorization: Bearer "+operator); !strings.Contains(w.Body.String(), "a@b") {
		t.Errorf("an operator sees %s", w.Body)
	}
	if me := ask(srv, "GET", "/api/v1/me", "", "Authorization: Bearer "+reader).Body.String(); !strings.Contains(me, `"bob","scope":"read"`) {
		t.Errorf("me: %s", me)
	}
	set.Tokens = map[string]Token{"alice2": {settings.NewSecret("renewed-0123456789"), ScopeOperate}}
	if err := srv.Apply(set); err != nil {
		t.Fatal(err)
	}
	if old, fresh := code("GET", "/api/v1/state", operator), code("POST", "/api/v1/tasks/pause", "renewed-0123456789"); old != 401 || fresh != 200 {
		t.Errorf("after the rotation the old token gets %d, the new one %d", old, fresh)
	}
}

// TestHostileHeaderIsNoIdentity: a company's handler says who it is, by the ctx alone.
func TestHostileHeaderIsNoIdentity(t *testing.T) {
	p := newPlant()
	cfg := p.config(Settings{Token: settings.NewSecret(goodToken)})
	cfg.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Signed") == "by the company" {
				r = r.WithContext(WithIdentity(r.Context(), Identity{"carol", ScopeRead}))
			}
			next.ServeHTTP(w, r)
		})
	}
	srv := made(t, cfg)
	if w := ask(srv, "GET", "/api/v1/me", "", "X-Signed: by the company"); w.Code != 200 || !strings.Contains(w.Body.String(), "carol") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(srv, "POST", "/api/v1/tasks/pause", `{"task":""}`, "X-Signed: by the company"); w.Code != 403 {
		t.Errorf("a reader paused the pool: %d", w.Code)
	}
	if w := ask(srv, "GET", "/api/v1/me", ""); w.Code != 401 {
		t.Errorf("without an identity: %d", w.Code)
	}
}
