package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asCommand makes a process of the test's program the command itself: see binary.
const asCommand = "TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	// net/http keeps the idle connections of the SDK's client for a while, and
	// Proto.Actor's goroutine that counts dead letters ends by time alone; what it
	// is called is the compiler's to say (go1.26, go1.27).
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"),
		goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewThrottle.func1.1"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// result is what one run of the command gave.
type result struct {
	code     int
	out, err string
}

// chassisWith runs the command in this process.
func chassisWith(t *testing.T, in string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(in), &out, &errOut)
	return result{code, out.String(), errOut.String()}
}

// does runs the command, which must succeed.
func does(t *testing.T, args ...string) string {
	t.Helper()
	r := chassisWith(t, "", args...)
	if r.code != 0 {
		t.Fatalf("chassis %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// printed runs the command with --json and reads what it prints.
func printed[T any](t *testing.T, args ...string) T {
	t.Helper()
	var v T
	text := does(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("chassis %s --json: %v\n%s", strings.Join(args, " "), err, text)
	}
	return v
}

// binary returns the command as a program for a process of its own. It is the test's own
// program, which runs main alone, so that nothing has to be built and linked once more.
func binary(t *testing.T) string {
	t.Helper()
	bin, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asCommand, "1")
	return bin
}

// lines runs the command with --json and reads an object of each line that it prints.
func lines[T any](t *testing.T, args ...string) (all []T) {
	t.Helper()
	for line := range strings.Lines(does(t, append(args, "--json")...)) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("chassis %s --json: %v\n%s", strings.Join(args, " "), err, line)
		}
		all = append(all, v)
	}
	return all
}

// emptyDir makes the test work in a new directory, with nothing of ours in the
// environment.
func emptyDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "CHASSIS_") || strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "none"))
	return dir
}

// serve starts "queue serve" in this process and returns its endpoint.
func serve(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	first := &firstLine{got: make(chan string, 1)}
	ended := make(chan int, 1)
	var errOut bytes.Buffer
	go func() {
		ended <- run(ctx, append([]string{"queue", "serve", "--json", "--listen", "127.0.0.1:0"}, args...), strings.NewReader(""), first, &errOut)
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("queue serve ended with %d: %s", code, errOut.String())
		}
	})
	select {
	case line := <-first.got:
		var got struct{ Endpoint string }
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("queue serve printed %q: %v", line, err)
		}
		return got.Endpoint
	case code := <-ended:
		ended <- code
		t.Fatalf("queue serve ended with %d: %s", code, errOut.String())
	}
	return ""
}

// firstLine hands on the first write.
type firstLine struct{ got chan string }

func (f *firstLine) Write(p []byte) (int, error) {
	select {
	case f.got <- string(p):
	default:
	}
	return len(p), nil
}

func TestWrongUsageSaysWhatIsWrongAndDoesNothing(t *testing.T) {
	emptyDir(t)
	if err := os.WriteFile("bad.yaml", []byte("tasks:\n  workers: many\ntaks: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("sqs.yaml", []byte("queue:\n  endpoint: http://127.0.0.1:1\n  max_attempts: 1\ntasks:\n  task_pool: p\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("garbage.db", bytes.Repeat([]byte("garbage "), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]struct {
		code int
		says string
	}{
		"":                        {2, "which of"},
		"bogus":                   {2, "bogus"},
		"queue":                   {2, "ls, peek, purge, serve"},
		"queue bogus":             {2, "bogus"},
		"queue ls --bogus":        {2, "--bogus"},
		"queue ls a b":            {2, "2"},
		"queue ls":                {2, "--path FILE"},
		"queue ls --path none.db": {4, "none.db"},
		"queue ls --path a --endpoint http://127.0.0.1:1":     {2, "one or the other"},
		"queue ls --path garbage.db":                          {1, "garbage.db"},
		"queue ls --endpoint ftp://x --region x":              {1, "ftp://x"},
		"queue ls --settings sqs.yaml":                        {1, "127.0.0.1:1"},
		"queue ls --settings bad.yaml":                        {3, "bad.yaml:2:12"},
		"queue ls --settings none.yaml":                       {3, "none.yaml"},
		"queue ls --region eu-central-1":                      {1, "credentials"},
		"queue peek q --path none.db --max 0":                 {2, "--max is 0"},
		"queue serve --listen 0.0.0.0:0":                      {1, "loopback"},
		"queue serve --listen nowhere":                        {1, "nowhere"},
		"queue serve --create Not_Lower --listen 127.0.0.1:0": {1, "not_lower"},
		"send":                                         {2, "arg"},
		"send x --path none.db --pool p":               {4, "none.db"},
		"send x --endpoint http://127.0.0.1:1":         {2, "--pool"},
		"send x --settings sqs.yaml --at tomorrow":     {2, "tomorrow"},
		"send x --settings sqs.yaml --rate -1":         {2, "--rate"},
		"send x --settings sqs.yaml --rate NaN":        {2, "--rate"},
		"send x --settings sqs.yaml --rate +Inf":       {2, "--rate"},
		"dead back --all --rate NaN":                   {2, "--rate"},
		"dead back --settings sqs.yaml":                {2, "which ones"},
		"dead back --settings sqs.yaml --all --task x": {2, "--all"},
		"dead rm --settings sqs.yaml --all":            {5, "--yes"},
		"dead ls --settings sqs.yaml --reason bored":   {2, "bored"},
		"dead ls --settings sqs.yaml --limit -3":       {2, "--limit"},
		"settings check bad.yaml":                      {3, "mistakes in the settings: 2"},
		"settings check none.yaml":                     {3, "mistakes in the settings: 1"},
		"settings example --format xml":                {2, "xml"},
		"settings schema extra":                        {2, "extra"},
	} {
		for _, asJSON := range []bool{false, true} {
			args := strings.Fields(line)
			if asJSON {
				args = append(args, "--json")
			}
			r := chassisWith(t, "", args...)
			if r.code != want.code || !strings.Contains(r.err, want.says) {
				t.Errorf("chassis %s: exit code %d, want %d; stderr must hold %q:\n%s", strings.Join(args, " "), r.code, want.code, want.says, r.err)
			}
			var got struct {
				Error string
				Code  int `json:"exit_code"`
			}
			if asJSON && (json.Unmarshal([]byte(r.err), &got) != nil || got.Code != want.code || got.Error == "") {
				t.Errorf("chassis %s: no JSON error: %s", strings.Join(args, " "), r.err)
			}
		}
	}
}

func TestTheCommandSaysItsVersion(t *testing.T) {
	if out := does(t, "--version"); !strings.HasPrefix(out, "chassis version ") {
		t.Errorf("%q", out)
	}
}
