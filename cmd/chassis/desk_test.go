package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sambatech/chassis/internal/clip"
)

const evil = `\u001b]0;owned\u0007\u202egnp\u009b2J\u007f`

// hostile answers as a service with control characters in every text, and keeps
// the last token that it was given. status and state are those of the workers and
// of a breaker: other words than the known ones are no answer of a service.
func hostile(t *testing.T, status, state string) (url string, token *atomic.Value) {
	t.Helper()
	token = &atomic.Value{}
	token.Store("")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token.Store(r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/api/v1/state":
			_, _ = w.Write([]byte(`{"service":{"name":"` + evil + `","version":"` + evil + `","host":"` + evil + `","state":"` + evil + `","queue":"` + evil + `"},
				"ready":{"TASK_QUEUES":"` + evil + `","reasons":["` + evil + `"]},"queues":[{"name":"` + evil + `","error":"` + evil + `"}],
				"workers":{"status":"` + status + `","pools":[]},"tasks":[{"name":"` + evil + `"}],
				"breakers":[{"service":"` + evil + `","entries":[{"path":"` + evil + `","state":"` + state + `"}]}]}`))
		case "/api/v1/executions":
			_, _ = w.Write([]byte(`{"list":[{"task":"` + evil + `","exec_id":"` + evil + `","phase":"` + evil + `","error":"` + evil + `"}]}`))
		case "/api/v1/dead":
			_, _ = w.Write([]byte(`{"list":[{"id":"m","task":"` + evil + `","exec_id":"` + evil + `","reason":"` + evil + `","last_error":"` + evil + `","body":"` + evil + `"}]}`))
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"detail":"` + evil + `"}`))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, token
}

// TestHostileAnswersDoNotControlTheTerminal, nor do errors and JSON.
func TestHostileAnswersDoNotControlTheTerminal(t *testing.T) {
	emptyDir(t)
	t.Run("known states", func(t *testing.T) { controlsNothing(t, "RUNNING", "open") })
	t.Run("unknown states", func(t *testing.T) { controlsNothing(t, evil, evil) })
}

func controlsNothing(t *testing.T, status, state string) {
	url, _ := hostile(t, status, state)
	for _, args := range []string{"top --once", "top --once --json", "dead ls", "dead ls --json", "dead show m", "dead show m --json",
		"dead back m", "dead back m --json", "dead rm m --yes", "queue ls --endpoint " + url, "queue peek q --endpoint " + url} {
		words := strings.Fields(args)
		if words[0] != "queue" {
			words = append(words, "--admin", url)
		}
		r := chassisWith(t, "", words...)
		for _, text := range []string{r.out, r.err} {
			if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && clip.Unsafe(r) }); i >= 0 {
				t.Errorf("chassis %s writes %q", args, text[i:min(len(text), i+30)])
			}
		}
		if strings.Contains(args, "--json") && r.code == 0 {
			var v any
			if err := json.Unmarshal([]byte(r.out), &v); err != nil {
				t.Errorf("chassis %s: %v", args, err)
			}
		}
	}
	if rows := lines[deadRow](t, "dead", "ls", "--admin", url); rows[0].Task != "\x1b]0;owned\a\u202egnp\u009b2J\x7f" {
		t.Errorf("JSON has another value: %q", rows[0].Task)
	}
}

// TestHostileFolderDoesNotChooseWhereTheTokenGoes: a chassis.yaml, or an .env, of a
// folder that was downloaded names the address.
func TestHostileFolderDoesNotChooseWhereTheTokenGoes(t *testing.T) {
	const secret = "0123456789abcdef-of-the-user"
	for name, content := range map[string]string{
		"chassis.yaml": "admin:\n  listen: HOST\n", "chassis.toml": "[admin]\nlisten = \"HOST\"\n", ".env": "CHASSIS_ADMIN__LISTEN=HOST\n",
	} {
		emptyDir(t)
		url, token := hostile(t, "RUNNING", "open")
		host := strings.TrimPrefix(url, "http://")
		if err := os.WriteFile(name, []byte(strings.ReplaceAll(content, "HOST", host)), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("CHASSIS_ADMIN__TOKEN", secret)
		if r := chassisWith(t, "", "top", "--once"); r.code != exitUnconfirmed || token.Load() != "" || !strings.Contains(r.err, host) || !strings.Contains(r.err, "--admin") {
			t.Errorf("%s: code %d, sent %q: %s", name, r.code, token.Load(), r.err)
		}
		does(t, "top", "--once", "--interval", "100ms", "--admin", url)
		if token.Load() != "Bearer "+secret {
			t.Errorf("%s: named by a flag, but it was sent %q", name, token.Load())
		}
		token.Store("")
		if name != ".env" {
			does(t, "top", "--once", "--interval", "100ms", "--settings", name)
			if token.Load() != "Bearer "+secret {
				t.Errorf("%s: the file is named by a flag, but it was sent %q", name, token.Load())
			}
		}
	}
}
