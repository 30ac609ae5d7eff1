package walk_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sambatech/chassis/localsqs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// walk runs a script against a server that checks signatures.
func walk(t *testing.T, command ...string) {
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
	if len(asked) != 23 {
		t.Errorf("%d operations were walked, want all 23: %v", len(asked), asked)
	}
}

func TestBoto3(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not installed (Debian: python3-boto3): boto3 is not checked")
	}
	walk(t, "python3", "walk.py", "ENDPOINT")
}

func TestJavaScriptSDK(t *testing.T) {
	dir := os.Getenv("AWS_SDK_JS_DIR")
	if dir == "" {
		t.Skip("AWS_SDK_JS_DIR does not name a directory with @aws-sdk/client-sqs (npm install @aws-sdk/client-sqs): the JavaScript SDK is not checked")
	}
	walk(t, "node", "walk.mjs", "ENDPOINT", dir)
}

func TestCLI(t *testing.T) {
	if os.Getenv("AWS_CLI_WALK") == "" {
		t.Skip("AWS_CLI_WALK is not set: the AWS CLI, whose 25 calls take a while, is not checked")
	}
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed: it is not checked")
	}
	walk(t, "./walk.sh", "ENDPOINT")
}
