package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/settings"
)

func TestSettingsAreExplainedWithoutSecrets(t *testing.T) {
	sys, _ := newSystem(t, func(s *chassis.Settings) {
		s.Admin.Listen, s.Admin.Token = "127.0.0.1:0", settings.NewSecret("0123456789abcdef-secret")
		s.Tasks.Workers = 9
	})
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", sys.AdminURL()+"api/v1/settings", nil)
	r.Header.Set("Authorization", "Bearer 0123456789abcdef-secret")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if bytes.Contains(body, []byte("-secret")) || strings.Contains(strings.Join(sys.Log().Tail(100), ""), "-secret") {
		t.Errorf("the token is shown: %s", body)
	}
	var all struct{ List []admin.Setting }
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]admin.Setting{}
	for _, s := range all.List {
		found[s.Key] = s
	}
	if w := found["tasks.workers"]; w.Value != "9" || w.From != "the program" {
		t.Errorf("tasks.workers: %+v", w)
	}
	if w := found["tasks.scale_factor"]; w.Value != "100" || w.From != "default" || w.Doc == "" {
		t.Errorf("tasks.scale_factor: %+v", w)
	}
	if w := found["admin.token"]; !w.Secret || w.Value == "" {
		t.Errorf("admin.token: %+v", w)
	}
}

// TestTheServicesOwnSettingsAreExplained: every value by where it was really
// given, also one that happens to equal the default.
func TestTheServicesOwnSettingsAreExplained(t *testing.T) {
	type Mail struct {
		From  string                  `rule:"required" doc:"sender address"`
		Batch int                     `doc:"mails sent at once"`
		Token settings.Secret[string] `doc:"token of the relay"`
	}
	type Config struct {
		chassis.Settings
		Mail Mail
	}
	const file = "admin:\n  listen: 127.0.0.1:0\npool: own-tasks\ntasks:\n  task_pool: .pool\n  workers: 3\nmail:\n  from: a@example.org\n"
	cfg, use, err := chassis.Load(Config{Settings: chassis.DefaultSettings(), Mail: Mail{Batch: 4}},
		settings.Bytes("chassis.yaml", settings.YAML, []byte(file)), settings.Environ("CHASSIS", []string{"CHASSIS_MAIL__TOKEN=s3cret"}), settings.Shared())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Mail.From != "a@example.org" || cfg.Mail.Token.Reveal() != "s3cret" || cfg.Tasks.TaskPool != "own-tasks" {
		t.Errorf("%+v", cfg.Mail)
	}
	sys, err := chassis.New("mailer", use, chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(), forTests)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(sys.AdminURL() + "api/v1/settings")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if bytes.Contains(body, []byte("s3cret")) {
		t.Errorf("the token is shown: %s", body)
	}
	var all struct{ List []admin.Setting }
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	from := map[string]string{}
	if first := all.List[0].Key; first != "mail.from" {
		t.Errorf("the service's own do not come first, but %s", first)
	}
	for _, s := range all.List {
		if _, twice := from[s.Key]; twice {
			t.Errorf("%s is there twice", s.Key)
		}
		from[s.Key] = s.From
		if s.Key == "mail.token" && (!s.Secret || s.Value == "") || s.Key == "mail.batch" && (s.Value != "4" || s.Doc == "") {
			t.Errorf("%+v", s)
		}
	}
	for key, want := range map[string]string{
		"tasks.workers": "chassis.yaml:6:12", "tasks.max_workers": "default", "tasks.task_pool": "chassis.yaml:5:14 (alias .pool, at chassis.yaml:3:7)",
		"mail.from": "chassis.yaml:8:9", "mail.batch": "default", "mail.token": "CHASSIS_MAIL__TOKEN", "tasks.receive_wait": "the chassis", "log.levels.actor": "the chassis",
	} {
		if from[key] != want {
			t.Errorf("%s is from %q, want %q", key, from[key], want)
		}
	}
}
