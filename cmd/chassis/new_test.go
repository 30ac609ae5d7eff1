package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gopkg.in/yaml.v3"
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

// newFiles are those that a service of a kind has, besides those of all.
var newFiles = map[string][]string{
	"worker": {"greet.go", "greet_test.go", "schedule.go", "schedule_test.go"},
	"api":    {"http.go", "http_test.go"},
	"both":   {"greet.go", "greet_test.go", "schedule.go", "schedule_test.go", "http.go", "http_test.go"},
}

// begun is a new service in a folder of its own.
type begun struct {
	t    *testing.T
	name string
}

// begin makes a service of a kind, as a user does first.
func begin(t *testing.T, root, kind string, args ...string) begun {
	t.Helper()
	b := begun{t, "mailer-" + kind}
	got := printed[struct{ Files []string }](t, append([]string{"new", b.name, "--kind", kind, "--replace", root,
		"--module", "example.org/mailer"}, args...)...)
	want := append([]string{".dockerignore", ".github/workflows/ci.yaml", ".gitignore", "Dockerfile", "README.md", "chassis.yaml",
		"config.go", "deploy/kubernetes.yaml", "go.mod", "greetings.go", "greetings_test.go", "main.go", "service.go"}, newFiles[kind]...)
	if slices.Sort(want); !slices.Equal(got.Files, want) {
		t.Errorf("files of kind %s: %q, want %q", kind, got.Files, want)
	}
	return b
}

// do runs a command in the service's folder.
func (b begun) do(name string, args ...string) string {
	b.t.Helper()
	c := exec.CommandContext(b.t.Context(), name, args...)
	c.Dir = b.name
	out, err := c.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// tests builds the service and runs its own tests.
func (b begun) tests() {
	b.t.Helper()
	b.do("go", "mod", "tidy", "-diff")
	if out := b.do("go", "test", "-count", "1", "./..."); !strings.Contains(out, "ok") {
		b.t.Errorf("go test: %s", out)
	}
	b.do("go", "build", "-o", b.name, ".")
}

// settings checks the settings file, and that of the manifests, with the program bin.
func (b begun) settings(bin string) {
	b.t.Helper()
	if out := does(b.t, "settings", "check", b.name+"/chassis.yaml"); !strings.HasPrefix(out, "ok\nnot looked at: ") {
		b.t.Errorf("its settings: %s", out)
	}
	b.t.Setenv("CHASSIS_ADMIN__TOKEN", "0123456789abcdef") // of the Secret
	for _, file := range []string{"chassis.yaml", configMap(b.t, b.name+"/deploy/kubernetes.yaml")} {
		if out := b.do(bin, "--check-settings", file); out != "ok\n" {
			b.t.Errorf("its own check of %s: %s", file, out)
		}
	}
}

// serves runs the program bin until SIGTERM, at which it ends with 0.
func (b begun) serves(bin string) {
	b.t.Helper()
	c := exec.CommandContext(b.t.Context(), bin)
	c.Dir = b.name
	c.Env = append(os.Environ(), "CHASSIS_ADMIN__LISTEN=127.0.0.1:0", "CHASSIS_LOG__FORMAT=json")
	if !strings.HasSuffix(b.name, "worker") { // a variable of no setting is a mistake
		c.Env = append(c.Env, "CHASSIS_LISTEN=127.0.0.1:0")
	}
	if !strings.HasSuffix(b.name, "api") {
		c.Env = append(c.Env, "CHASSIS_QUEUE__LISTEN=127.0.0.1:0")
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	var refused strings.Builder
	c.Stderr = &refused
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	var log strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		var record struct{ Msg string }
		if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "running" {
			if err := c.Process.Signal(syscall.SIGTERM); err != nil {
				b.t.Error(err)
			}
		}
	}
	if err := c.Wait(); err != nil || !strings.Contains(log.String(), "stopped") {
		b.t.Errorf("the service: %v\n%s%s", err, log.String(), refused.String())
	}
}

// configMap writes the settings of the manifests to a file, and returns its path.
func configMap(t *testing.T, manifests string) string {
	t.Helper()
	f, err := os.Open(manifests)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	kinds, text := map[string]int{}, ""
	for d := yaml.NewDecoder(f); ; {
		var m struct {
			Kind string
			Data map[string]string
		}
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", manifests, err)
		}
		kinds[m.Kind]++
		text += m.Data["chassis.yaml"]
	}
	if kinds["Deployment"] != 1 || kinds["ConfigMap"] != 1 || text == "" {
		t.Errorf("%s: %v", manifests, kinds)
	}
	file := filepath.Join(t.TempDir(), "chassis.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestANewServiceBuildsAndPassesItsTests is what a user does first. Every kind is
// vetted, with its tests; one kind, or with CHASSIS_SCALE=full each, is tested, and run.
func TestANewServiceBuildsAndPassesItsTests(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	root := checkout(t)
	emptyDir(t)
	for _, kind := range []string{"worker", "api", "both"} {
		b := begin(t, root, kind, "--vendor=false")
		if out := b.do("gofmt", "-l", "."); out != "" {
			t.Errorf("gofmt would change %s", out)
		}
		b.do("go", "vet", "./...")
		var ci any
		text, err := os.ReadFile(b.name + "/.github/workflows/ci.yaml")
		if err != nil || yaml.Unmarshal(text, &ci) != nil {
			t.Errorf("ci.yaml of %s: %v\n%s", kind, err, text)
		}
		if kind == "both" || os.Getenv("CHASSIS_SCALE") == "full" {
			b.tests()
			b.settings("./" + b.name)
			b.serves("./" + b.name)
		}
	}
}

// TestTheImageOfANewServiceBuilds runs the steps of the Dockerfile, with the files that
// the build would get, without a network or a module cache. One kind takes a minute
// and more: everything is compiled again.
func TestTheImageOfANewServiceBuilds(t *testing.T) {
	if os.Getenv("CHASSIS_SCALE") != "full" || runtime.GOOS != "linux" {
		t.Skip("compiles all again, with GNU tar: CHASSIS_SCALE=full on Linux")
	}
	root := checkout(t)
	dir := emptyDir(t)
	for _, kind := range []string{"worker", "api", "both"} {
		b := begin(t, root, kind)
		b.do(filepath.Join(root, ".ci", "image"), ".", filepath.Join(dir, "out"))
		b.serves(filepath.Join(dir, "out", b.name))
	}
}

func TestTwoNewServicesHavePortsOfTheirOwn(t *testing.T) {
	root := checkout(t)
	emptyDir(t)
	port := regexp.MustCompile(`127\.0\.0\.1:(\d+)`)
	seen := map[string]string{}
	for _, name := range []string{"mailer", "orders", "invoices"} {
		does(t, "new", name, "--replace", root, "--tidy=false")
		text, err := os.ReadFile(name + "/chassis.yaml")
		if err != nil {
			t.Fatal(err)
		}
		found := port.FindAllStringSubmatch(string(text), -1)
		if len(found) != portsEach {
			t.Errorf("%s: %d ports", name, len(found))
		}
		for _, m := range found {
			if other := seen[m[1]]; other != "" {
				t.Errorf("%s and %s have port %s", other, name, m[1])
			}
			seen[m[1]] = name
		}
	}
	// Where something listens now, the next place is taken.
	first := freePorts("mailer")
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if next := freePorts("mailer"); next == first || (next-firstPort)%portsEach != 0 {
		t.Errorf("port %d, and then %d", first, next)
	}
}

// TestANewServiceWithoutAPublishedModule says in one line what to do.
func TestANewServiceWithoutAPublishedModule(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	root := checkout(t)
	emptyDir(t)
	t.Setenv("GOPROXY", "off")
	r := chassisWith(t, "", "new", "mailer")
	if r.code != exitFailed || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, "no published module") {
		t.Fatalf("%+v", r)
	}
	_, line, _ := strings.Cut(r.err, "run in mailer: ")
	line = strings.ReplaceAll(strings.TrimSpace(line), "../chassis", root)
	c := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(line, "&& go mod vendor", "&& go list ./..."))
	c.Dir = "mailer"
	if out, err := c.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "mailer\n") {
		t.Errorf("%s: %v\n%s", line, err, out)
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
		"new x --kind robot":         "worker, api or both",
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
	emptyDir(t)
	bin := binary(t)
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
