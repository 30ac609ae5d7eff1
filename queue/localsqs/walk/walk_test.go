package walk_test

import (
	"os"
	"os/exec"
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

// walk runs a script against a server that checks signatures.
func walk(t *testing.T, operations int, command ...string) {
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
	asked := srv.Stats().Requests
	if len(asked) != operations {
		t.Errorf("%d operations were walked, want all %d: %v", len(asked), operations, asked)
	}
}

func TestBoto3(t *testing.T) {
	out, err := exec.Command("python3", "-c", "import boto3; print(hasattr(boto3.client('sqs', region_name='x'), 'start_message_move_task'))").Output()
	if err != nil || strings.TrimSpace(string(out)) != "True" {
		t.Skip("python3 has no boto3 of June 2023 or later (pip install boto3): the JSON protocol is not checked by it")
	}
	walk(t, allOperations, "python3", "walk.py", "ENDPOINT")
}

func TestJavaScriptSDK(t *testing.T) {
	dir := os.Getenv("AWS_SDK_JS_DIR")
	if dir == "" {
		t.Skip("AWS_SDK_JS_DIR does not name a directory with @aws-sdk/client-sqs (npm install @aws-sdk/client-sqs): the JavaScript SDK is not checked")
	}
	walk(t, allOperations, "node", "walk.mjs", "ENDPOINT", dir)
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

// Debian 12's boto3 speaks the query protocol alone.
func TestDebiansBoto3(t *testing.T) {
	const python = "/usr/bin/python3"
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
