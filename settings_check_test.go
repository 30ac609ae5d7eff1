package chassis_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sambatech/chassis"
)

// checked is the settings of the program that the test runs.
type checked struct {
	chassis.Settings
	Mail struct {
		From string `rule:"required"`
	}
}

// TestMain of a service would be its main.
func init() {
	switch os.Getenv("CHECKED_SERVICE") {
	case "1":
		chassis.CheckSettings(checked{Settings: chassis.DefaultSettings()})
		os.Exit(42) // it went on
	case "2":
		cfg, use := chassis.MustLoad(checked{Settings: chassis.DefaultSettings()})
		if cfg.Mail.From == "a" && use != nil {
			os.Exit(42)
		}
		os.Exit(43)
	}
}

// chassis settings check says ok to a file that the service refuses, for it does
// not know the service's own sections.
func TestAFileThatTheServiceRefusesIsOK(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good.yaml":  "mail: {from: a}\n",
		"own.yaml":   "mail: {form: a}\n",
		"other.yaml": "mail: {from: a}\nother: 1\n",
		"ours.yaml":  "mail: {from: a}\ntasks: {workers: many}\n",
		"pools.yaml": "mail: {from: a}\nqueue: {region: eu-central-1}\ntasks: {pools: {p: {}}}\n", // New refuses it
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 42, ""},
		{"serve --check-settings", 42, ""},
		{"--check-settings", 3, "mail.from: is required"},
		{"--check-settings good.yaml", 0, "ok\n"},
		{"--check-settings own.yaml", 3, "own.yaml:1:8: mail.form: unknown key in mail; did you mean from?"},
		{"--check-settings other.yaml", 3, "other.yaml:2:1: other: unknown key"},
		{"--check-settings ours.yaml", 3, "ours.yaml:2:18: tasks.workers"},
		{"--check-settings pools.yaml", 3, "tasks.pools is set, but tasks.task_pool is not"},
		{"--check-settings none.yaml", 3, "none.yaml: cannot be read"},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], strings.Fields(c.args)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CHECKED_SERVICE=1")
		out, err := cmd.Output()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: exit code %d, %s; want %d, %s", c.args, code, out, c.code, c.want)
		}
	}
}

// A service that cannot load its settings says why, and ends before it has begun.
func TestMustLoad(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args, from string
		code       int
		want       string
	}{
		{"", "a", 42, ""},
		{"", "", 1, "mail.from: is required"},
		{"--check-settings", "a", 0, "ok\n"},
		{"--check-settings", "", 3, "mail.from: is required"},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], strings.Fields(c.args)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CHECKED_SERVICE=2")
		if c.from != "" {
			cmd.Env = append(cmd.Env, "CHASSIS_MAIL__FROM="+c.from)
		}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		code := 0
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		if code != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("%q with %q: exit code %d, %s; want %d, %s", c.args, c.from, code, out, c.code, c.want)
		}
	}
}
