package walk_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sambatech/chassis/queue/localsqs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// All operations, and those that SDKs of 2022 know: no message moves.
const (
	allOperations = 23
	withoutMoves  = 20
)

// walk runs a script that asks for so many operations.
func walk(t *testing.T, operations int, command ...string) {
	t.Helper()
	if asked := run(t, command...).Requests; len(asked) != operations {
		t.Errorf("%d operations were walked, want all %d: %v", len(asked), operations, asked)
	}
}

// run runs a script against a server that checks signatures, and returns what
// the server saw of it.
func run(t *testing.T, command ...string) localsqs.Stats {
	t.Helper()
	srv, err := localsqs.New(localsqs.Credentials("local", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	url, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range command {
		command[i] = strings.ReplaceAll(command[i], "ENDPOINT", url)
	}
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "walked") {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
	return srv.Stats()
}

func TestBoto3(t *testing.T) {
	out, err := exec.Command("python3", "-c", "import boto3; print(hasattr(boto3.client('sqs', region_name='x'), 'start_message_move_task'))").Output()
	if err != nil || strings.TrimSpace(string(out)) != "True" {
		t.Skip("python3 has no boto3 of June 2023 or later (pip install boto3): the JSON protocol is not checked by it")
	}
	walk(t, allOperations, "python3", "walk.py", "ENDPOINT")
}

// Version 3.438 and version 2.1450 are the last that speak the query protocol.
func TestJavaScriptSDK(t *testing.T) {
	dir := os.Getenv("AWS_SDK_JS_DIR")
	if dir == "" {
		t.Skip("AWS_SDK_JS_DIR does not name a directory with @aws-sdk/client-sqs (sdks.sh DIR makes one): the JavaScript SDKs are not checked")
	}
	for _, name := range []string{"@aws-sdk/client-sqs", "client-sqs-2023", "aws-sdk-v2"} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(dir, "node_modules", name)); err != nil {
				t.Skipf("%v: this SDK is not checked", err)
			}
			walk(t, allOperations, "node", "walk.mjs", "ENDPOINT", dir, name)
		})
	}
}

func TestCurl(t *testing.T) {
	out, err := exec.Command("curl", "--help", "all").Output()
	if err != nil || !strings.Contains(string(out), "--aws-sigv4") {
		t.Skip("there is no curl that signs (7.75 or later): it is not checked")
	}
	if s := run(t, "./curl.sh", "ENDPOINT"); len(s.Requests) != 7 {
		t.Errorf("curl asked for %v", s.Requests)
	}
}

// Debian 12's Celery and Kombu delete by signed links, and receive by forms.
func TestDebiansCelery(t *testing.T) {
	if os.Getenv("CHASSIS_SCALE") != "full" {
		t.Skip("CHASSIS_SCALE is not full: Celery is not checked, its worker takes a while to end")
	}
	out, err := exec.Command(python, "-c", "import celery, kombu.asynchronous.http.curl, pycurl; print(celery.__version__)").Output()
	if err != nil || !strings.HasPrefix(string(out), "5.2.") {
		t.Skipf("%s has no Celery 5.2 (Debian 12: python3-celery, python3-pycurl), but %q: it is not checked", python, out)
	}
	s := run(t, python, "celery_walk.py", "ENDPOINT")
	for _, q := range s.Queues {
		if q.Visible+q.InFlight+q.Delayed > 0 {
			t.Errorf("the worker left messages: %+v", q)
		}
	}
	if s.Requests["SendMessage"] == 0 || s.Requests["DeleteMessage"] == 0 {
		t.Errorf("Celery asked for %v", s.Requests)
	}
}

func TestCLI(t *testing.T) {
	if os.Getenv("CHASSIS_SCALE") != "full" {
		t.Skip("CHASSIS_SCALE is not full: the AWS CLI is not checked, its 25 calls take a while")
	}
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed: it is not checked")
	}
	walk(t, allOperations, "./walk.sh", "ENDPOINT")
}

// python is Debian's own, with Debian's own packages.
const python = "/usr/bin/python3"

// Debian 12's boto3 speaks the query protocol alone.
func TestDebiansBoto3(t *testing.T) {
	out, err := exec.Command(python, "-c", "import boto3; print(boto3.__version__)").Output()
	if err != nil || !strings.HasPrefix(string(out), "1.26.") {
		t.Skipf("%s has no boto3 1.26 (Debian 12: python3-boto3), but %q: the query protocol is not checked by it", python, out)
	}
	walk(t, withoutMoves, python, "walk.py", "ENDPOINT")
}

// So does Debian 12's AWS CLI.
func TestDebiansCLI(t *testing.T) {
	const cli = "/usr/bin/aws"
	if os.Getenv("CHASSIS_SCALE") != "full" {
		t.Skip("CHASSIS_SCALE is not full: Debian's AWS CLI is not checked, its 22 calls take a while")
	}
	out, err := exec.Command(cli, "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "aws-cli/2.9.") {
		t.Skipf("%s is no AWS CLI 2.9 (Debian 12: awscli), but %q: the query protocol is not checked by it", cli, out)
	}
	walk(t, withoutMoves, "./walk.sh", "ENDPOINT", cli, "without-moves")
}
