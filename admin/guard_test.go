package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

const goodToken = "0123456789abcdef0123456789abcdef"

func TestOffLoopbackEverythingButProbesAndPageFilesNeedsTheToken(t *testing.T) {
	p := newPlant()
	srv := serve(t, p, Settings{Listen: ":9190", Token: settings.NewSecret(goodToken), PProf: true})
	paths := []string{"/api/v1/state", "/api/v1/stream", "/api/v1/executions", "/api/v1/dead", "/api/v1/transitions", "/api/v1/log",
		"/api/v1/settings", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline"}
	for _, path := range paths {
		for name, headers := range map[string][]string{
			"no token":     nil,
			"wrong":        {"Authorization: Bearer 0123456789abcdef0123456789abcdeF"},
			"prefix":       {"Authorization: Bearer 0123456789abcdef"},
			"empty":        {"Authorization: Bearer "},
			"no scheme":    {"Authorization: " + goodToken},
			"basic":        {"Authorization: Basic " + goodToken},
			"other header": {"X-Token: " + goodToken},
			"cookie":       {"Cookie: token=" + goodToken},
		} {
			w := ask(srv, "GET", path, "", append(headers, "Host: 10.0.0.9")...)
			if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s, %s: %d %s", path, name, w.Code, w.Body)
			}
		}
	}
	for _, path := range []string{"/api/v1/dead/delete", "/api/v1/breakers/force", "/api/v1/tasks/pause", "/api/v1/log/level", "/api/v1/executions/cancel"} {
		if w := ask(srv, "POST", path, `{}`, "Host: 10.0.0.9"); w.Code != http.StatusUnauthorized {
			t.Errorf("POST %s without the token: %d %s", path, w.Code, w.Body)
		}
	}
	if w := ask(srv, "GET", "/api/v1/state?token="+goodToken, "", "Host: 10.0.0.9"); w.Code != http.StatusUnauthorized {
		t.Errorf("a token in the URL, which ends up in logs, was taken: %d", w.Code)
	}
	for _, path := range []string{"/api/v1/state", "/metrics", "/debug/pprof/"} {
		if w := ask(srv, "GET", path, "", "Host: 10.0.0.9", "Authorization: bearer "+goodToken); w.Code != 200 {
			t.Errorf("%s with the token: %d %s", path, w.Code, w.Body)
		}
	}
	if got := p.done(); len(got) != 0 {
		t.Errorf("refused requests did something: %q", got)
	}
}

func TestForeignHostsAndOriginsAreRefused(t *testing.T) {
	loopback := serve(t, newPlant(), Settings{Hosts: []string{"Admin.example.org"}})
	public := serve(t, newPlant(), Settings{Listen: "0.0.0.0:9190", Token: settings.NewSecret(goodToken)})
	for _, c := range []struct {
		name    string
		srv     *Server
		method  string
		path    string
		headers []string
		want    int
	}{
		{"localhost", loopback, "GET", "/api/v1/state", []string{"Host: localhost:1234"}, 200},
		{"IPv4", loopback, "GET", "/api/v1/state", []string{"Host: 127.0.0.1"}, 200},
		{"IPv6", loopback, "GET", "/api/v1/state", []string{"Host: [::1]:9190"}, 200},
		{"a name of the setting", loopback, "GET", "/api/v1/state", []string{"Host: admin.example.org:8080"}, 200},
		{"rebinding", loopback, "GET", "/api/v1/state", []string{"Host: evil.example:9190"}, 403},
		{"rebinding to a probe", loopback, "GET", "/readyz", []string{"Host: evil.example:9190"}, 403},
		{"rebinding to the page", loopback, "GET", "/", []string{"Host: evil.example:9190"}, 403},
		{"rebinding by a name that looks like it", loopback, "GET", "/api/v1/state", []string{"Host: localhost.evil.example"}, 403},
		{"a number that is an address to some", loopback, "GET", "/api/v1/state", []string{"Host: 2130706433"}, 403},
		{"another machine's address", loopback, "GET", "/api/v1/state", []string{"Host: 10.0.0.1:9190"}, 403},
		{"no host", loopback, "GET", "/api/v1/state", []string{"Host: "}, 403},
		{"user in host", loopback, "GET", "/api/v1/state", []string{"Host: a@localhost"}, 403},
		{"garbage", loopback, "GET", "/api/v1/state", []string{"Host: loc\x00al/host"}, 403},
		{"own origin", loopback, "POST", "/api/v1/tasks/pause", []string{"Origin: http://localhost:9190"}, 200},
		{"foreign origin", loopback, "POST", "/api/v1/tasks/pause", []string{"Origin: https://evil.example"}, 403},
		{"another port's origin", loopback, "POST", "/api/v1/tasks/pause", []string{"Origin: http://localhost:3000"}, 403},
		{"null origin, as of a sandboxed frame", loopback, "POST", "/api/v1/tasks/pause", []string{"Origin: null"}, 403},
		{"empty origin", loopback, "POST", "/api/v1/tasks/pause", []string{"Origin: "}, 403},
		{"foreign origin of a read", loopback, "GET", "/api/v1/state", []string{"Origin: https://evil.example"}, 403},
		{"cross-site fetch", loopback, "GET", "/api/v1/state", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"same-site fetch of another port", loopback, "POST", "/api/v1/tasks/pause", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"a link to the page", loopback, "GET", "/", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 200},
		{"a link to the API", loopback, "GET", "/api/v1/state", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 403},
		{"pod address", public, "GET", "/readyz", []string{"Host: 10.0.0.1:9190"}, 200},
		{"rebinding to a public one", public, "GET", "/readyz", []string{"Host: evil.example"}, 403},
		{"foreign origin with the token", public, "POST", "/api/v1/tasks/pause",
			[]string{"Host: 10.0.0.1:9190", "Authorization: Bearer " + goodToken, "Origin: http://10.0.0.2:9190"}, 403},
	} {
		body := ""
		if c.method == "POST" {
			body = `{"task":""}`
		}
		if w := ask(c.srv, c.method, c.path, body, c.headers...); w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", c.name, w.Code, c.want, w.Body)
		}
	}
}

func TestThePageMayLoadNothingFromElsewhereAndNotBeFramed(t *testing.T) {
	srv := serve(t, newPlant(), Settings{})
	w := ask(srv, "GET", "/", "")
	csp := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy has no %s: %s", want, csp)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
		t.Errorf("a loose policy: %s", csp)
	}
	if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", w.Header())
	}
}

func TestMalformedAndOversizedCommandsAreRefused(t *testing.T) {
	p := newPlant()
	srv := serve(t, p, Settings{})
	big := `{"ids":["` + strings.Repeat("x", maxBody) + `"]}`
	for _, c := range []struct {
		name, path, body string
		want             int
		headers          []string
	}{
		{"oversized", "/api/v1/dead/back", big, 413, nil},
		{"no JSON", "/api/v1/dead/back", "ids=m1", 400, nil},
		{"cut off", "/api/v1/dead/back", `{"ids":["m1"]`, 400, nil},
		{"two values", "/api/v1/dead/back", `{"ids":["m1"]}{"ids":["m2"]}`, 400, nil},
		{"an array", "/api/v1/dead/back", `["m1"]`, 400, nil},
		{"no ids", "/api/v1/dead/back", `{}`, 400, nil},
		{"a misspelt field", "/api/v1/dead/back", `{"id":["m1"]}`, 400, nil},
		{"wrong type", "/api/v1/dead/back", `{"ids":"m1"}`, 400, nil},
		{"too many", "/api/v1/dead/back", `{"ids":[` + strings.Repeat(`"m",`, maxDead) + `"m"]}`, 400, nil},
		{"unconfirmed", "/api/v1/dead/delete", `{"ids":["m1"]}`, 400, nil},
		{"wrongly confirmed", "/api/v1/dead/delete", `{"ids":["m1"],"confirm":"yes"}`, 400, nil},
		{"a form's type", "/api/v1/dead/delete", `{"ids":["m1"],"confirm":"delete"}`, 415, []string{"Content-Type: text/plain"}},
		{"no type", "/api/v1/dead/delete", `{"ids":["m1"],"confirm":"delete"}`, 415, []string{"Content-Type: "}},
		{"no exec_id", "/api/v1/executions/cancel", `{}`, 400, nil},
		{"no duration", "/api/v1/executions/snooze", `{"exec_id":"e"}`, 400, nil},
		{"a negative duration", "/api/v1/executions/snooze", `{"exec_id":"e","for":-1}`, 400, nil},
		{"an endless duration", "/api/v1/executions/snooze", `{"exec_id":"e","for":1e300}`, 400, nil},
		{"no duration but a list", "/api/v1/executions/snooze", `{"exec_id":"e","for":[]}`, 400, nil},
		{"a bad duration", "/api/v1/executions/snooze", `{"exec_id":"e","for":"soon"}`, 400, nil},
		{"a state that cannot be forced", "/api/v1/breakers/force", `{"service":"https://mail.internal","to":"half-open"}`, 400, nil},
		{"no service", "/api/v1/breakers/force", `{"to":"forced-open"}`, 400, nil},
		{"no service to reset", "/api/v1/breakers/reset", `{}`, 400, nil},
		{"an unknown level", "/api/v1/log/level", `{"name":"","level":"loud"}`, 400, nil},
		{"an unknown task", "/api/v1/tasks/pause", `{"task":"unknown-task"}`, 404, nil},
		{"an unknown path", "/api/v1/nothing", `{}`, 405, nil},
	} {
		w := ask(srv, "POST", c.path, c.body, c.headers...)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", c.name, w.Code, c.want, w.Body)
		}
		var p Problem
		if c.want != 405 && (json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Status != c.want || p.Detail == "") {
			t.Errorf("%s: the answer is no problem: %s", c.name, w.Body)
		}
	}
	for _, path := range []string{"/api/v1/executions?limit=0", "/api/v1/executions?limit=501", "/api/v1/executions?offset=-1", "/api/v1/executions?limit=x",
		"/api/v1/dead?limit=99999", "/api/v1/log?lines=1e9", "/api/v1/transitions", "/api/v1/transitions?service=https://mail.internal&since=-1"} {
		if w := ask(srv, "GET", path, ""); w.Code != 400 {
			t.Errorf("GET %s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := ask(srv, "GET", "/api/v1/dead/delete", ""); w.Code == 200 && strings.Contains(w.Body.String(), "found") {
		t.Error("a GET deletes")
	}
	if got := p.done(); len(got) != 0 {
		t.Errorf("refused commands did something: %q", got)
	}
}

func TestSettingsThatWouldExposeTheServiceAreErrors(t *testing.T) {
	for name, c := range map[string]struct {
		s    Settings
		want string // "" for no error
	}{
		"default":            {Settings{}, ""},
		"off":                {Settings{Listen: "off"}, ""},
		"IPv6 loopback":      {Settings{Listen: "[::1]:0"}, ""},
		"all, no token":      {Settings{Listen: ":9190"}, "admin.token"},
		"all of IPv4":        {Settings{Listen: "0.0.0.0:9190"}, "admin.token"},
		"a name, no token":   {Settings{Listen: "host.internal:9190"}, "admin.token"},
		"all, with token":    {Settings{Listen: ":9190", Token: settings.NewSecret(goodToken)}, ""},
		"short token":        {Settings{Token: settings.NewSecret("secret")}, "at least 16"},
		"newline in token":   {Settings{Token: settings.NewSecret(goodToken + "\n")}, "white space"},
		"no port":            {Settings{Listen: "127.0.0.1"}, "host:port"},
		"wildcard host":      {Settings{Hosts: []string{"*"}}, "admin.hosts.0"},
		"host with a port":   {Settings{Hosts: []string{"a", "b:80"}}, "admin.hosts.1"},
		"the token stays in": {Settings{Token: settings.NewSecret("short-and-secret"[:15])}, "15 bytes"},
	} {
		err := c.s.Validate()
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		case err != nil && !c.s.Token.IsZero() && strings.Contains(err.Error(), strings.TrimSpace(c.s.Token.Reveal())):
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
}
