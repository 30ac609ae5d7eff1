package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
)

func TestSettingsCheckAndExplain(t *testing.T) {
	emptyDir(t)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("chassis.yaml", "tasks:\n  workers: 4\n  task_timeout: 90\nsender: me\n")
	write("over.toml", "[tasks]\nworkers = 8\n")
	write("bad.yaml", "tasks:\n  workers: many\n  wrokers: 3\nlog:\n  format: xml\n")
	t.Setenv("CHASSIS_LOG__LEVEL", "debug")

	if out := does(t, "settings", "check"); !strings.HasPrefix(out, "ok\nnot looked at: sender (chassis.yaml:4:1)\n") || !strings.Contains(out, "--check-settings") {
		t.Errorf("a section that was not looked at is not named: %q", out)
	}
	if r := chassisWith(t, "", "settings", "check", "--json"); r.out != "[]\n" || r.err != `{"not_looked_at":["sender (chassis.yaml:4:1)"]}`+"\n" || r.code != 0 {
		t.Errorf("check --json: %+v", r)
	}
	if out := does(t, "settings", "check", "over.toml"); out != "ok\n" {
		t.Errorf("check: %q", out)
	}
	r := chassisWith(t, "", "settings", "check", "bad.yaml")
	for _, want := range []string{"bad.yaml:2:12", "bad.yaml:3:3", "did you mean workers", "bad.yaml:5:11"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("check does not name %q:\n%s", want, r.out)
		}
	}
	r = chassisWith(t, "", "settings", "check", "bad.yaml", "--json")
	var mistakes []map[string]any
	if err := json.Unmarshal([]byte(r.out), &mistakes); err != nil || len(mistakes) < 3 || mistakes[0]["kind"] != "type" || r.code != exitSettings {
		t.Errorf("check --json: %v, exit code %d\n%s", err, r.code, r.out)
	}

	write("refers.yaml", "tasks: {workers: 'ssm:/mailer/workers', task_timeout: 'vault:timeout'}\nqueue: {region: 'ssm:/region'}\n")
	r = chassisWith(t, "", "settings", "check", "refers.yaml", "--stores", "ssm,vault")
	if r.code != 0 || !strings.HasPrefix(r.out, "ok\nnot read: ") || !strings.Contains(r.out, "ssm:/mailer/workers, vault:timeout") {
		t.Errorf("references to stores: %+v", r)
	}
	if r := chassisWith(t, "", "settings", "check", "refers.yaml"); r.code != exitSettings || !strings.Contains(r.out, "tasks.task_timeout") || strings.Contains(r.out, "tasks.workers") {
		t.Errorf("a reference to no store: %+v", r)
	}
	if out := does(t, "settings", "explain", "refers.yaml", "--only", "queue", "--set", "--stores", "ssm,vault"); !strings.Contains(out, "ssm:/region") {
		t.Errorf("explain of a reference: %s", out)
	}

	entries := printed[[]settings.Entry](t, "settings", "explain", "chassis.yaml", "over.toml", "--set")
	byPath := map[string]settings.Entry{}
	for _, e := range entries {
		byPath[e.Path] = e
	}
	if e := byPath["tasks.workers"]; len(entries) != 3 || e.Value != "8" || e.Source.File != "over.toml" || len(e.Shadowed) == 0 {
		t.Errorf("explain: %+v", entries)
	}
	out := does(t, "settings", "explain", "chassis.yaml", "over.toml", "--only", "tasks")
	if !strings.Contains(out, "over.toml:2:11, hides 4 at chassis.yaml:2:12") || strings.Contains(out, "log.level") {
		t.Errorf("explain: %s", out)
	}
	if r := chassisWith(t, "", "settings", "explain", "--only", "taks"); r.code != exitNotFound || !strings.Contains(r.err, `"taks"`) {
		t.Errorf("explain --only: exit code %d, %s", r.code, r.err)
	}
	write("clash.yaml", "tasks:\n  task_pool: a\n  task_timeout: 1.5\n  pools: {Loud Name: {}, a_dead: {}}\nqueue: {region: eu-central-1, path: x}\n")
	r = chassisWith(t, "", "settings", "check", "clash.yaml")
	for _, want := range []string{"clash.yaml:2:3: tasks: ", "whole seconds", `"Loud Name"`, `the queue "a_dead" is`, "clash.yaml:5:8: queue: path and listen"} {
		if !strings.Contains(r.out, want) || r.code != exitSettings {
			t.Errorf("what New refuses passes: no %q, exit code %d\n%s", want, r.code, r.out)
		}
	}
	write("pools.yaml", "tasks: {pools: {reports: {workers: 1}}}\n")
	if out := does(t, "settings", "check", "pools.yaml"); out != "ok\n" {
		t.Errorf("the embedded queue names the first pool after the service: %s", out)
	}
	if out := does(t, "settings", "explain"); !strings.Contains(out, "CHASSIS_LOG__LEVEL") {
		t.Errorf("explain: %s", out)
	}
}

// What is printed as an example loads.
func TestSettingsAreDescribed(t *testing.T) {
	emptyDir(t)
	for _, format := range []string{"yaml", "env"} {
		text := does(t, "settings", "example", "--format", format)
		if !strings.Contains(strings.ToLower(text), "task_timeout") {
			t.Errorf("%s: %s", format, text)
		}
		if format == "env" {
			continue
		}
		f, err := settings.FormatOf("x." + format)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chassis.LoadSettings(settings.Bytes("example."+format, f, []byte(text))); err != nil {
			t.Errorf("the %s example does not load: %v", format, err)
		}
	}
	var schema map[string]any
	if err := json.Unmarshal([]byte(does(t, "settings", "schema")), &schema); err != nil || schema["properties"] == nil {
		t.Errorf("schema: %v %v", err, schema)
	}
	if out := does(t, "settings", "reference"); !strings.Contains(out, "tasks.task_pool") || !strings.Contains(out, "CHASSIS_TASKS__TASK_POOL") {
		t.Errorf("reference: %s", out)
	}
}
