package systemtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// pythonMessage is a message as the Python chassis asked its SDK to send it.
type pythonMessage struct {
	Case string `json:"case"`
	Send struct {
		MessageBody       string
		DelaySeconds      int32
		MessageAttributes map[string]types.MessageAttributeValue
	} `json:"send_message"`
}

func pythonMessages(t *testing.T) []pythonMessage {
	t.Helper()
	text, err := os.ReadFile("../task/testdata/python-sent.json")
	if err != nil {
		t.Fatal(err)
	}
	var messages []pythonMessage
	if err := json.Unmarshal(text, &messages); err != nil {
		t.Fatal(err)
	}
	if len(messages) != 10 {
		t.Fatalf("%d recorded messages, want 10", len(messages))
	}
	return messages
}

// otherSDK is an SQS endpoint of its own and a client that nobody of ours has
// built, as another service has one.
func otherSDK(t *testing.T) (endpoint string, client *sqs.Client) {
	t.Helper()
	srv, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	if endpoint, err = srv.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return endpoint, sqs.New(sqs.Options{
		Region: "eu-central-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
		HTTPClient: srv.HTTPClient(), // the road over a socket is the system's
	})
}

// atEndpoint is the one change between the embedded queue and SQS: settings.
func atEndpoint(t *testing.T, endpoint string) func(*chassis.Settings) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	return func(s *chassis.Settings) {
		s.Queue.Endpoint, s.Queue.Region = endpoint, "eu-central-1"
		s.Tasks.TaskPool, s.Tasks.ReceiveWait = "mailer-tasks", time.Second
	}
}

// TestMessagesOfThePythonChassisRun puts the recorded messages on a queue with
// a plain client; the system takes them from it over a socket.
func TestMessagesOfThePythonChassisRun(t *testing.T) {
	endpoint, client := otherSDK(t)
	sys, _ := kit.NewSystem(t, atEndpoint(t, endpoint))
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("mailer-tasks")})
	if err != nil {
		t.Fatal(err)
	}
	type ran struct {
		info *task.Info
		args any
	}
	got := make(chan ran, 20)
	for _, name := range []string{"plain", "nested", "unicode", "scheduled", "with_job", "anything", "resend", "after_failure"} {
		chassis.Handle(sys, task.Define[any](name), func(_ context.Context, job task.Job[any]) error {
			got <- ran{job.Info, job.Args}
			return nil
		})
	}
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]pythonMessage{}
	for _, m := range pythonMessages(t) {
		_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: made.QueueUrl, MessageBody: &m.Send.MessageBody, MessageAttributes: m.Send.MessageAttributes,
		}) // without its delay, so that the test need not wait for it
		if err != nil {
			t.Fatalf("%s: %v", m.Case, err)
		}
		if when, err := time.Parse("02/01/06 15:04:05", *m.Send.MessageAttributes["when"].StringValue); err != nil {
			t.Fatal(err)
		} else if time.Until(when) < 5*time.Minute {
			want[*m.Send.MessageAttributes["exec_id"].StringValue] = m
		}
	}
	for range len(want) {
		r := <-got
		m, ok := want[r.info.ExecID]
		if !ok {
			t.Fatalf("ran %s %s, which was not due", r.info.Task, r.info.ExecID)
		}
		var args any
		if err := json.Unmarshal([]byte(m.Send.MessageBody), &args); err != nil {
			t.Fatal(err)
		}
		a := m.Send.MessageAttributes
		if !reflect.DeepEqual(r.args, args) || r.info.Task != *a["task_name"].StringValue ||
			r.info.JobID != *a["job_id"].StringValue || r.info.JobName != *a["job_name"].StringValue ||
			r.info.When.Format("02/01/06 15:04:05") != *a["when"].StringValue {
			t.Errorf("%s: ran with %v %+v", m.Case, r.args, r.info)
		}
	}
}

// TestWhatWeSendHasThePythonChassisForm receives a task of ours with a plain
// client and holds it against a recorded message.
func TestWhatWeSendHasThePythonChassisForm(t *testing.T) {
	endpoint, client := otherSDK(t)
	sys, _ := kit.NewSystem(t, atEndpoint(t, endpoint))
	recorded := pythonMessages(t)[2] // every character that is escaped
	var args json.RawMessage = []byte(recorded.Send.MessageBody)
	var plain any
	if err := json.Unmarshal(args, &plain); err != nil {
		t.Fatal(err)
	}
	_, err := sys.Send(t.Context(), "unicode", plain, task.Pool("other-tasks"))
	if !errors.Is(err, poller.ErrNoQueue) {
		t.Fatalf("sent to a pool of another service without a queue: %v", err)
	}
	if _, err := poller.EnsureQueue(t.Context(), client, "other-tasks", poller.EnsureOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	execID, err := sys.Send(t.Context(), "unicode", plain, task.Pool("other-tasks"))
	if err != nil {
		t.Fatal(err)
	}
	url, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("other-tasks")})
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, MessageAttributeNames: []string{"All"}})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	m := out.Messages[0]
	var sent any
	if err := json.Unmarshal([]byte(*m.Body), &sent); err != nil || !reflect.DeepEqual(sent, plain) {
		t.Errorf("the body is %s, %v", *m.Body, err)
	}
	if strings.ContainsFunc(*m.Body, func(r rune) bool { return r > 126 }) {
		t.Errorf("the body is not escaped as the original's: %s", *m.Body)
	}
	if len(m.MessageAttributes) != len(recorded.Send.MessageAttributes) {
		t.Errorf("attributes %v, want just those of %v", m.MessageAttributes, recorded.Send.MessageAttributes)
	}
	for name := range recorded.Send.MessageAttributes {
		if v, ok := m.MessageAttributes[name]; !ok || *v.DataType != "String" {
			t.Errorf("attribute %s: %+v", name, v)
		}
	}
	if got := *m.MessageAttributes["exec_id"].StringValue; got != execID {
		t.Errorf("exec_id %s, want %s", got, execID)
	}
	if _, err := time.Parse("02/01/06 15:04:05", *m.MessageAttributes["when"].StringValue); err != nil {
		t.Error(err)
	}
}

// TestABodyThatIsNoJSONIsADeadLetter also shows that the consumer goes on.
func TestABodyThatIsNoJSONIsADeadLetter(t *testing.T) {
	sys, _ := kit.NewSystem(t, nil)
	ran := make(chan string, 1)
	chassis.Handle(sys, task.Define[kit.Greeting]("greet"), func(_ context.Context, job task.Job[kit.Greeting]) error {
		ran <- job.Args.To
		return nil
	})
	events := sys.Tasks().Events(100)
	defer events.Close()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	url, err := sys.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("mailer-tasks")})
	if err != nil {
		t.Fatal(err)
	}
	name := types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("greet")}
	for _, body := range []string{"{not json", `{"to": "Zoë"}`} {
		if _, err := sys.SQS().SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: url.QueueUrl, MessageBody: &body, MessageAttributes: map[string]types.MessageAttributeValue{"task_name": name},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if to := <-ran; to != "Zoë" {
		t.Errorf("ran for %q", to)
	}
	for settled := 0; settled < 2; {
		if e := <-events.C; e.Kind == "settled" {
			settled++
		}
	}
	n := 0
	for d, err := range sys.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if d.Reason != task.ReasonUndecodable || d.Body != "{not json" || !strings.Contains(d.LastError, "body") || !strings.Contains(d.LastError, "invalid character") {
			t.Errorf("dead letter %+v", d.Message)
		}
	}
	if n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
}

// TestWhatIsWrongIsToldAtTheStart tries every entrance with garbage.
func TestWhatIsWrongIsToldAtTheStart(t *testing.T) {
	none := func(_ context.Context, _ task.Job[kit.Greeting]) error { return nil }
	start := func(t *testing.T, change func(*chassis.Settings), register bool) error {
		sys, _ := kit.NewSystem(t, change)
		if register {
			chassis.Handle(sys, task.Define[kit.Greeting]("greet", task.MaxFailures(-1)), none)
		} else {
			chassis.Handle(sys, task.Define[kit.Greeting]("greet"), none)
		}
		return sys.Start(t.Context())
	}
	has := func(t *testing.T, err error, words ...string) {
		t.Helper()
		if err == nil {
			t.Fatal("no error")
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("the error does not name %q: %v", w, err)
			}
		}
		t.Log(err)
	}
	t.Run("a definition", func(t *testing.T) { has(t, start(t, nil, true), "greet", "MaxFailures(-1)") })
	t.Run("no pool", func(t *testing.T) {
		endpoint, _ := otherSDK(t)
		at := atEndpoint(t, endpoint)
		has(t, start(t, func(s *chassis.Settings) { at(s); s.Tasks.TaskPool = "" }, false), "tasks.task_pool", "name the queue")
	})
	t.Run("a queue that is not there", func(t *testing.T) {
		endpoint, _ := otherSDK(t)
		at := atEndpoint(t, endpoint)
		err := start(t, func(s *chassis.Settings) { at(s); s.Tasks.MissingQueue = "error" }, false)
		has(t, err, "mailer-tasks", "create it")
		if !errors.Is(err, poller.ErrNoQueue) {
			t.Errorf("not ErrNoQueue: %v", err)
		}
	})
	t.Run("nobody answers", func(t *testing.T) {
		has(t, start(t, atEndpoint(t, "http://127.0.0.1:1"), false), "http://127.0.0.1:1", "endpoint")
	})
	t.Run("no credentials", func(t *testing.T) {
		endpoint, _ := otherSDK(t)
		change := atEndpoint(t, endpoint)
		for name, value := range map[string]string{
			"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
			"AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_CONFIG_FILE": os.DevNull,
		} {
			t.Setenv(name, value)
		}
		err := start(t, change, false)
		has(t, err, "AWS_ACCESS_KEY_ID")
		if !errors.Is(err, sqsclient.ErrCredentials) {
			t.Errorf("not ErrCredentials: %v", err)
		}
	})
	t.Run("a settings file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "chassis.yaml")
		text := "tasks:\n  workres: 4\n  max_workers: many\nqueue:\n  endpoint: nowhere\ntaks:\n  workers: 2\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := chassis.LoadSettings(settings.File(file))
		has(t, err, file+":2:3", "workres", "workers", file+":3:16", "many", file+":5:13", "nowhere", file+":6:1", "taks", "tasks")
	})
	t.Run("a broken settings file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "chassis.toml")
		if err := os.WriteFile(file, []byte("[tasks]\nworkers = \n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := chassis.LoadSettings(settings.File(file))
		has(t, err, file+":2")
	})
}

// TestASettingsFileOfThePythonChassisLoads uses the recorded one.
func TestASettingsFileOfThePythonChassisLoads(t *testing.T) {
	s, err := chassis.LoadSettings(settings.File("../settings/testdata/python-settings.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Tasks.TaskPool != "mailer-tasks" || s.Tasks.TaskTimeout != time.Minute || s.Tasks.Workers != 4 || s.Tasks.MaxWorkers != 12 ||
		s.Tasks.ScaleFactor != 50 || s.CircuitBreaker.RequestTimeout != 3*time.Second || s.CircuitBreaker.ClosedFailLimit != 4 ||
		s.CircuitBreaker.HalfSuccessLimit != 10 {
		t.Errorf("loaded %+v %+v", s.Tasks, s.CircuitBreaker)
	}
}
