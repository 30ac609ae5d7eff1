package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// checkout is the root of this module.
func checkout(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestANewServiceBuildsAndPassesItsTests is what a user does first.
func TestANewServiceBuildsAndPassesItsTests(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	root := checkout(t)
	emptyDir(t)
	got := printed[struct {
		Dir   string
		Files []string
	}](t, "new", "mailer", "--replace", root, "--module", "example.org/mailer")
	for _, want := range []string{"main.go", "greet_test.go", "go.mod", "Dockerfile", ".dockerignore", ".gitignore", "README.md", "chassis.yaml"} {
		if !slices.Contains(got.Files, want) {
			t.Errorf("no %s: %v", want, got.Files)
		}
	}
	do := func(name string, args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), name, args...)
		c.Dir = "mailer"
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if out := do("gofmt", "-l", "."); out != "" {
		t.Errorf("gofmt would change %s", out)
	}
	do("go", "mod", "tidy", "-diff")
	do("go", "vet", "./...")
	if out := do("go", "test", "-count", "1", "./..."); !strings.Contains(out, "ok") {
		t.Errorf("go test: %s", out)
	}
	do("go", "build", "-o", "mailer", ".")
	if out := does(t, "settings", "check", "mailer/chassis.yaml"); !strings.HasPrefix(out, "ok\nnot looked at: greeter (mailer/chassis.yaml:4:1)\n") {
		t.Errorf("its settings: %s", out)
	}
	if out := do("./mailer", "--check-settings"); out != "ok\n" {
		t.Errorf("its own check: %s", out)
	}

	// It serves until SIGTERM and ends with 0.
	c := exec.CommandContext(t.Context(), "./mailer")
	c.Dir = "mailer"
	c.Env = append(os.Environ(), "CHASSIS_QUEUE__LISTEN=127.0.0.1:0", "CHASSIS_LOG__FORMAT=json")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		var record struct{ Msg string }
		if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "running" {
			if err := c.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
	}
	if err := c.Wait(); err != nil || !strings.Contains(log.String(), "stopped") {
		t.Errorf("the service: %v\n%s", err, log.String())
	}
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	emptyDir(t)
	if err := os.Mkdir("there", 0o700); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"new":                        "arg",
		"new Upper":                  "lower-case",
		"new ../up":                  "lower-case",
		"new there":                  "there already",
		"new x --replace .":          "checkout",
		"new x --module -bad":        "--module",
		"new x --module x/../y":      "--module",
		"new x --module x/":          "--module",
		"new x --dir deep/down/here": "deep/down/here",
	} {
		r := chassisWith(t, "", strings.Fields(line)...)
		if r.code == 0 || !strings.Contains(r.err, want) {
			t.Errorf("chassis %s: %+v", line, r)
		}
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("a folder was left behind")
	}
}

// TestTheBinary runs the command as a process: its exit codes and signals.
func TestTheBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	root := checkout(t)
	bin := filepath.Join(emptyDir(t), "chassis")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/chassis")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var exit *exec.ExitError
	if err := exec.CommandContext(t.Context(), bin, "queue", "ls", "--path", "none").Run(); !errors.As(err, &exit) || exit.ExitCode() != exitNotFound {
		t.Errorf("queue ls of no file: %v", err)
	}
	server := exec.CommandContext(t.Context(), bin, "queue", "serve", "--listen", "127.0.0.1:0", "--path", "q.db", "--create", "p", "--json")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var got struct{ Endpoint string }
	if err := json.NewDecoder(out).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if id, err := exec.CommandContext(t.Context(), bin, "send", "x", "--pool", "p", "--endpoint", got.Endpoint).Output(); err != nil || len(id) != 37 {
		t.Errorf("send: %q %v", id, err)
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("queue serve at SIGTERM: %v", err)
	}
	if list, err := exec.CommandContext(t.Context(), bin, "queue", "ls", "--path", "q.db").Output(); err != nil || !strings.Contains(string(list), "p      1") {
		t.Errorf("ls of the file: %s %v", list, err)
	}
}
