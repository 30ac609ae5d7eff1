package deploy_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors/dispatcher"
)

// TestThePolicyGivesWhatIsAskedForAndNoMore reads the calls to SQS from the
// code that a service runs.
func TestThePolicyGivesWhatIsAskedForAndNoMore(t *testing.T) {
	data, err := os.ReadFile("iam-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Statement []struct{ Action, Resource []string }
	}
	if err := json.Unmarshal(data, &policy); err != nil {
		t.Fatal(err)
	}
	if len(policy.Statement) != 1 {
		t.Fatalf("%d statements", len(policy.Statement))
	}
	optional := map[string]bool{
		"sqs:CreateQueue":   true, // with missing_queue: create; the manifests say error
		"sqs:ListQueueTags": true, // these three on the queue of ticks, with schedules
		"sqs:TagQueue":      true,
		"sqs:UntagQueue":    true,
		"sqs:ListQueues":    true, // sqsclient.Check: a refusal is an answer
		"sqs:DeleteQueue":   true, // of inboxes alone, with chassis.Ask
	}
	asked := map[string]bool{}
	client := reflect.TypeOf(&sqs.Client{})
	for _, pattern := range []string{"../*.go", "../actors/*/*.go", "../queue/*.go", "../queue/sqsclient/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				method, ok := call.Fun.(*ast.SelectorExpr)
				if ok && len(call.Args) == 2 && method.Sel.Name != "Options" {
					if _, is := client.MethodByName(method.Sel.Name); is {
						asked["sqs:"+strings.TrimSuffix(method.Sel.Name, "Batch")] = true
					}
				}
				return true
			})
		}
	}
	for action := range asked {
		if !optional[action] && !slices.Contains(policy.Statement[0].Action, action) {
			t.Errorf("the code asks for %s, which the policy does not give", action)
		}
	}
	for _, action := range policy.Statement[0].Action {
		if !asked[action] {
			t.Errorf("the policy gives %s, which the code never asks for", action)
		}
	}
	const arn = "arn:aws:sqs:eu-central-1:123456789012:"
	if want := []string{arn + "mailer-tasks", arn + dispatcher.DeadLetterPool("mailer-tasks")}; !slices.Equal(policy.Statement[0].Resource, want) {
		t.Errorf("the policy is for %q, not %q", policy.Statement[0].Resource, want)
	}
}

func TestTheDockerfiles(t *testing.T) {
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	for _, file := range []string{"Dockerfile", "../cmd/chassis/service/Dockerfile.tmpl"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stages := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(data), -1)
		if len(stages) != 2 || stages[0][1] != "golang:"+string(version[1]) || !strings.HasPrefix(stages[1][1], "gcr.io/distroless/static") {
			t.Errorf("%s: stages %q", file, stages)
		}
		for _, line := range []string{"USER nonroot:nonroot", "CGO_ENABLED=0", "STOPSIGNAL SIGTERM", "ENTRYPOINT [\"/"} {
			if !strings.Contains(string(data), line) {
				t.Errorf("%s: no %q", file, line)
			}
		}
	}
	program := regexp.MustCompile(`(?m)^ARG PROGRAM=(\S+)`)
	data, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if m := program.FindSubmatch(data); m == nil {
		t.Error("the Dockerfile builds nothing")
	} else if _, err := os.Stat(filepath.Join("..", string(m[1]), "main.go")); err != nil {
		t.Error(err)
	}
}
