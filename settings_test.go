package chassis_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/settings"
)

// pageClient keeps no connection, for its goroutines would outlive a test.
var pageClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// health_url has a user and a password in it, as URLs of health checks may. The
// breaker uses it whole; nothing shows it.
func TestThePasswordOfAHealthURLIsShown(t *testing.T) {
	const healthURL = `circuit_breaker: {health_url: "http://probe:hunter2@127.0.0.1:1/health", services: {"https://a.internal": {health_url: "http://probe:hunter2@h/"}}}` +
		"\n"
	shown := map[string]string{}
	s, err := chassis.LoadSettings(yaml(healthURL))
	if err != nil {
		t.Fatal(err)
	}
	layout, err := settings.LayoutOf(chassis.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	entries, err := layout.Explain(yaml(healthURL), settings.Shared())
	if err != nil {
		t.Fatal(err)
	}
	shown["explain"] = fmt.Sprintf("%+v", entries)
	shown["the changes"] = fmt.Sprintf("%+v", settings.Diff(chassis.DefaultSettings(), s))
	for _, wrong := range []string{"http://probe:hunter2@127.0.0.1:x/", "ftp://probe:hunter2@h"} {
		_, err = chassis.LoadSettings(yaml(`circuit_breaker: {health_url: "` + wrong + `"}` + "\n"))
		shown["the error for a wrong one"] += fmt.Sprint(err)
		bad := chassis.DefaultSettings()
		bad.CircuitBreaker.HealthURL = wrong
		_, err = chassis.New("mailer", chassis.WithSettings(bad))
		shown["the error of New"] += fmt.Sprint(err)
	}
	_, err = chassis.LoadSettings(yaml(`circuit_breaker: {services: {"https://probe:hunter2@a.internal": {}}}` + "\n"))
	shown["the error for a service's name"] = fmt.Sprint(err)
	endpoint := s
	endpoint.Queue.Endpoint, endpoint.Queue.Region = "http://probe:hunter2@127.0.0.1:1", "eu-central-1"
	_, err = chassis.New("mailer", chassis.WithSettings(endpoint), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger())
	shown["the error for the queue's endpoint"] = fmt.Sprint(err)
	var log strings.Builder
	s.Admin.Listen = "127.0.0.1:0"
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithLogOutput(&log), chassis.WithoutDefaultLogger(),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	sys.Breaker("https://a.internal")
	if err := sys.Start(t.Context()); err != nil {
		shown["the error of Start"] = err.Error()
	}
	if url := sys.AdminURL(); url == "" {
		t.Error("the system has no page")
	} else {
		for _, path := range []string{"settings", "breakers", "info", ""} {
			res, err := pageClient.Get(url + "api/v1/" + path)
			if err != nil {
				t.Error(err)
				continue
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			shown["GET /api/v1/"+path] = string(body)
		}
	}
	next := s
	next.CircuitBreaker.HealthURL = "http://probe:hunter2again@127.0.0.1:1/health"
	if _, err := sys.Apply(t.Context(), next); err != nil {
		t.Error(err)
	}
	if err := sys.Stop(t.Context()); err != nil {
		t.Log(err)
	}
	shown["the log"] = log.String()
	if !strings.Contains(log.String(), "a setting has changed") {
		t.Errorf("no change in the log: %s", log.String())
	}
	for where, text := range shown {
		if i := strings.Index(text, "hunter2"); i >= 0 {
			t.Errorf("%s shows the password: …%s…", where, text[max(0, i-80):min(len(text), i+30)])
		}
	}
}

// "A settings file of the Python chassis loads unchanged" was not so of these.
func TestASettingsFileOfAPythonServiceIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"the contract's": "tasks: {task_pool: p, task_timeout: 43200, workers: 9, max_workers: 2, scale_factor: 1, unknown_tasks_retries: 1000, unknown_tasks_delay: 3600, when_window: 0}\n" +
			"circuit_breaker: {request_timeout: 900, open_timeout: 600, closed_fail_limit: 1000, closed_success_limit: 9, half_fail_limit: 9, half_success_limit: 1}\n",
		"the original's window": "tasks: {when_window: 300}\n",
		"own keys":              "name: mailer\nlogs: [a]\nqueues: {a: b}\nadmins: [a@example.org]\ntask: x\nlogger: {handlers: [x]}\nlogo: x.png\n",
	} {
		if _, err := chassis.LoadSettings(yaml(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for text, want := range map[string][]string{
		"log: {path: /var/log/x, size: 1}\n": {"chassis.yaml:1:7: log.path: unknown key in log", "own_log", "unknown key in log"},
		"log: debug\n":                       {"chassis.yaml:1:6: log: expected a section", "own_log"},
		"queue: {url: x}\n":                  {"queue.url: unknown key", "own_queue"},
		"admin: [a@example.org]\n":           {"admin: expected a section", "own_admin"},
		"log: {levl: debug}\n":               {"did you mean level?"},
		"taks: {workers: 1}\n":               {"did you mean tasks?"},
	} {
		_, err := chassis.LoadSettings(yaml(text))
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "own_") != strings.Contains(strings.Join(want, " "), "own_") {
				t.Errorf("%s: %v, want %q", text, err, w)
			}
		}
		if n := strings.Count(fmt.Sprint(err), "own_"); n > 1 {
			t.Errorf("%s: said %d times: %v", text, n, err)
		}
	}
}

// Without a section queue the messages end with the process. Where the
// environment names AWS that was logged at INFO.
func TestAQueueInMemoryOnAWSIsNotWarnedOf(t *testing.T) {
	for _, name := range []string{"AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME", "ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	warned := func(change func(*chassis.Settings)) bool {
		t.Helper()
		sys, log := newSystem(t, change)
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := sys.Log().Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(log.String(), "the environment names AWS")
	}
	if warned(nil) {
		t.Error("warned of on a laptop")
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	if !warned(nil) {
		t.Error("not warned of")
	}
	if warned(func(s *chassis.Settings) { s.Queue.Path = filepath.Join(t.TempDir(), "q.db") }) {
		t.Error("a queue in a file is warned of")
	}

	forbid := chassis.DefaultSettings()
	forbid.Queue.Memory = "forbid"
	_, err := chassis.New("mailer", chassis.WithSettings(forbid), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger())
	if err == nil || !strings.Contains(err.Error(), "queue.region") || !strings.Contains(err.Error(), "in_memory") {
		t.Errorf("forbidden: %v", err)
	}
	if _, err := chassis.LoadSettings(yaml("queue: {in_memory: never}\n")); err == nil || !strings.Contains(err.Error(), "forbid") {
		t.Errorf("another word: %v", err)
	}
	newSystem(t, func(s *chassis.Settings) { s.Queue.Memory, s.Queue.Path = "forbid", filepath.Join(t.TempDir(), "q.db") })
}

func TestSettingsWithoutTheChassisArePointedOut(t *testing.T) {
	type Config struct{ Mail struct{ From string } }
	if _, _, err := chassis.Load(Config{}, settings.Bytes("a.yaml", settings.YAML, nil)); err == nil || !strings.Contains(err.Error(), "embed chassis.Settings") {
		t.Errorf("%v", err)
	}
	type Whole struct {
		chassis.Settings
		Mail struct {
			From string `rule:"required"`
		}
	}
	_, _, err := chassis.Load(Whole{Settings: chassis.DefaultSettings()}, settings.Bytes("a.yaml", settings.YAML, []byte("tasks:\n  workers: many\n")))
	for _, word := range []string{"a.yaml:2:12", "mail.from"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not name %s: %v", word, err)
		}
	}
}

func TestAnExposedAdminServerWithoutATokenDoesNotStart(t *testing.T) {
	s := chassis.DefaultSettings()
	s.Admin.Listen = "0.0.0.0:0"
	if _, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithoutDefaultLogger()); err == nil || !strings.Contains(err.Error(), "admin.token") {
		t.Errorf("%v", err)
	}
}

// TestFileReadersFindNoToken: named tokens come by variables and mounted files.
func TestFileReadersFindNoToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "alice")
	if err := os.WriteFile(file, []byte("the-token-of-alice-0123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := chassis.LoadSettings(settings.Environ("CHASSIS", []string{"CHASSIS_ADMIN__TOKENS__ALICE__TOKEN_FILE=" + file,
		"CHASSIS_ADMIN__TOKENS__ALICE__SCOPE=operate", "CHASSIS_ADMIN__TOKENS__DASHBOARD__TOKEN=the-token-of-all-0123"}))
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Admin.Tokens["alice"]; a.Token.Reveal() != "the-token-of-alice-0123" || a.Scope != admin.ScopeOperate {
		t.Errorf("alice: %q %s", a.Token.Reveal(), a.Scope)
	}
	if d := s.Admin.Tokens["dashboard"]; d.Token.Reveal() != "the-token-of-all-0123" || d.Scope == admin.ScopeOperate {
		t.Errorf("dashboard: %q %s", d.Token.Reveal(), d.Scope)
	}
	if text := fmt.Sprintf("%+v", s); strings.Contains(text, "the-token") {
		t.Errorf("the settings show a token: %s", text)
	}
}
