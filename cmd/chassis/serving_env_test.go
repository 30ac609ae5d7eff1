package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"
)

// TestTheComposeFile starts the queue with the environment of deploy/compose.yaml,
// on another address, and runs the file's own health check and commands on it.
func TestTheComposeFile(t *testing.T) {
	text, err := os.ReadFile("../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Command     []string
			Environment map[string]string
			Healthcheck struct{ Test []string }
		}
		Volumes map[string]any
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	dir := emptyDir(t)
	queue := file.Services["queue"]
	known := map[string]bool{credentialsVariable: true}
	a := &app{}
	a.queueServe().Flags().VisitAll(func(f *pflag.Flag) { known[servingVariable(f.Name)] = true })
	for name, value := range queue.Environment {
		if strings.HasPrefix(name, servingPrefix) && !known[name] {
			t.Errorf("the variable %s is of no flag", name)
		}
		t.Setenv(name, value)
	}
	t.Setenv("LOCALSQS_PATH", filepath.Join(dir, filepath.Base(os.Getenv("LOCALSQS_PATH"))))
	if len(queue.Command) != 2 || queue.Command[0] != "queue" || queue.Command[1] != "serve" {
		t.Fatalf("the command is %v", queue.Command)
	}
	at := serve(t) // with --listen, which goes over the variable
	test := queue.Healthcheck.Test
	if len(test) < 3 || test[0] != "CMD" || test[1] != "/program" {
		t.Fatalf("the health check is %v", test)
	}
	if out := does(t, replaced(test[2:], "http://127.0.0.1:9324", at)...); !strings.Contains(out, "mailer-tasks") || !strings.Contains(out, "mailer-tasks_dead") {
		t.Errorf("the queues are %s", out)
	}
	cli := file.Services["cli"]
	for name, value := range cli.Environment {
		t.Setenv(name, value)
	}
	if out := does(t, replaced(cli.Command, "http://queue:9324", at)...); !strings.Contains(out, "mailer-tasks") {
		t.Errorf("the queues are %s", out)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	if r := chassisWith(t, "", replaced(cli.Command, "http://queue:9324", at)...); r.code == 0 {
		t.Errorf("with a wrong secret: %+v", r)
	}
	if _, err := os.Stat(os.Getenv("LOCALSQS_PATH")); err != nil {
		t.Error(err)
	}
}

func replaced(words []string, old, by string) (out []string) {
	for _, w := range words {
		out = append(out, strings.ReplaceAll(w, old, by))
	}
	return out
}

// Each flag has a variable, a flag goes over it, and a value that is wrong is
// named.
func TestTheVariablesOfServe(t *testing.T) {
	emptyDir(t)
	if err := os.WriteFile("keys", []byte("id:secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"LISTEN": "127.0.0.1:1", "ACCOUNT": "123456789012", "HOST": "a, b,,c", "CREDENTIALS_FILE": "keys",
		"STRICT": "true", "AS_AWS": "1", "SEED": "7", "CREATE": "one,two", "PATH": ""} {
		t.Setenv(servingPrefix+name, value)
	}
	c := (&app{}).queueServe()
	if err := c.ParseFlags([]string{"--listen", "127.0.0.1:2", "--host", "mine"}); err != nil {
		t.Fatal(err)
	}
	if err := fromEnvironment(c.Flags()); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"listen": "127.0.0.1:2", "host": "[mine]", "account": "123456789012", "credentials": "keys", "strict": "true",
		"as-aws": "true", "seed": "7", "create": "[one,two]", "path": ""} {
		if got := c.Flag(flag).Value.String(); got != want {
			t.Errorf("--%s is %s, want %s", flag, got, want)
		}
	}
	t.Setenv("LOCALSQS_HOST", "a, b,,c")
	c = (&app{}).queueServe()
	if err := fromEnvironment(c.Flags()); err != nil || c.Flag("host").Value.String() != "[a,b,c]" {
		t.Errorf("--host is %s, %v", c.Flag("host").Value, err)
	}
	t.Setenv("LOCALSQS_STRICT", "perhaps")
	if r := chassisWith(t, "", "queue", "serve", "--listen", "127.0.0.1:0"); r.code != exitUsage || !strings.Contains(r.err, `LOCALSQS_STRICT is "perhaps"`) {
		t.Errorf("%+v", r)
	}
}

// What is printed at the start works for command lines that do not read the
// variable: they would purge a queue of AWS.
func TestTheStartOfServeNamesTheEndpoint(t *testing.T) {
	emptyDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := &firstLine{got: make(chan string, 1)}
	var errOut bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"queue", "serve", "--listen", "127.0.0.1:0"}, strings.NewReader(""), first, &errOut)
	}()
	text := <-first.got
	cancel()
	if code := <-ended; code != 0 {
		t.Fatalf("%d: %s", code, errOut.String())
	}
	for _, want := range []string{"aws --endpoint-url http://127.0.0.1:", "AWS_ENDPOINT_URL_SQS=http://127.0.0.1:", "July 2023", "AWS itself"} {
		if !strings.Contains(text, want) {
			t.Errorf("the start does not say %q:\n%s", want, text)
		}
	}
	for listened, want := range map[string]string{"http://[::]:9324": "http://127.0.0.1:9324", "https://0.0.0.0:1": "https://127.0.0.1:1", "http://10.0.0.1:2": "http://10.0.0.1:2"} {
		if got := reachable(listened); got != want {
			t.Errorf("%s is reached at %s, want %s", listened, got, want)
		}
	}
}
