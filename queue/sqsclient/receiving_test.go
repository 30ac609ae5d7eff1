package sqsclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// receiveOf returns what a receive brings, as a slice of its own.
func receiveOf(client *sqs.Client) func(context.Context, *sqs.ReceiveMessageInput) ([]sqsclient.Message, error) {
	receive := sqsclient.MessagesOf(client)
	return func(ctx context.Context, in *sqs.ReceiveMessageInput) (got []sqsclient.Message, err error) {
		err = receive(ctx, in, func(messages []sqsclient.Message) { got = slices.Clone(messages) })
		return got, err
	}
}

// Messages are received and deleted past the SDK's call, after one that it made
// itself.
func TestReceivesAndDeletesByTheShortcutAlone(t *testing.T) {
	server, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	client := newClient(t, sqsclient.Settings{}, sqsclient.WithHTTPClient(server.HTTPClient()))
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	receive, remove := receiveOf(client), sqsclient.DeleteBatchOf(client)
	for round := range 3 {
		if _, err := client.SendMessageBatch(t.Context(), batch(*made.QueueUrl, "a", "é\r\n😀")); err != nil {
			t.Fatal(err)
		}
		got, err := receive(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
		if err != nil || len(got) != 2 || got[1].Body != "é\r\n😀" || got[0].Receives != 1 || value(got[0], "n") != "1" ||
			time.Since(time.UnixMilli(got[0].Sent)).Abs() > time.Hour || got[0].First < got[0].Sent {
			t.Fatal(got, err)
		}
		in := &sqs.DeleteMessageBatchInput{QueueUrl: made.QueueUrl, Entries: []types.DeleteMessageBatchRequestEntry{
			{Id: aws.String("0"), ReceiptHandle: &got[0].Handle}, {Id: aws.String("1"), ReceiptHandle: &got[1].Handle},
			{Id: aws.String("2"), ReceiptHandle: aws.String("nonsense")}}}
		out, err := remove(t.Context(), in)
		if err != nil || len(out.Successful) != 2 || len(out.Failed) != 1 || *out.Failed[0].Code != "ReceiptHandleIsInvalid" {
			t.Fatal(round, out, err)
		}
	}
	if s := sqsclient.StatsOf(client); s.SDK != 1 || s.Shortcut != 5 {
		t.Errorf("%+v, want the first request by the SDK and five by the shortcut", s)
	}
	_, err = receive(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String("none")})
	var gone *types.QueueDoesNotExist
	var operation *smithy.OperationError
	if !errors.As(err, &gone) || !errors.As(err, &operation) || operation.Operation() != "ReceiveMessage" {
		t.Errorf("a queue that is not there: %v", err)
	}
}

// value returns an attribute of a message that either reader has read.
func value(m sqsclient.Message, name string) string {
	for _, a := range m.Texts {
		if a.Name == name {
			return a.Value
		}
	}
	return aws.ToString(m.Attributes[name].StringValue)
}

// What the SDK refuses, or knows alone, goes its way, with the same result.
func TestReceivesAndDeletesThatTheShortcutDoesNotKnow(t *testing.T) {
	var requests []seen
	client := newClient(t, sqsclient.Settings{}, watch(&requests, func(int) (int, string) { return 200, `{}` }))
	receive, remove := receiveOf(client), sqsclient.DeleteBatchOf(client)
	if _, err := receive(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String("q")}); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]*sqs.ReceiveMessageInput{
		"no queue":            {},
		"the older attribute": {QueueUrl: aws.String("q"), AttributeNames: []types.QueueAttributeName{"All"}}, //nolint:staticcheck // it is deprecated
	} {
		_, err := receive(t.Context(), in)
		_, theirs := client.ReceiveMessage(t.Context(), in)
		if fmt.Sprint(err) != fmt.Sprint(theirs) {
			t.Errorf("%s: %v, the SDK says %v", name, err, theirs)
		}
	}
	for name, in := range map[string]*sqs.DeleteMessageBatchInput{
		"no queue":   {Entries: []types.DeleteMessageBatchRequestEntry{}},
		"no entries": {QueueUrl: aws.String("q")},
		"no id":      {QueueUrl: aws.String("q"), Entries: []types.DeleteMessageBatchRequestEntry{{ReceiptHandle: aws.String("h")}}},
		"no handle":  {QueueUrl: aws.String("q"), Entries: []types.DeleteMessageBatchRequestEntry{{Id: aws.String("i")}}},
	} {
		_, err := remove(t.Context(), in)
		_, theirs := client.DeleteMessageBatch(t.Context(), in)
		if err == nil || fmt.Sprint(err) != fmt.Sprint(theirs) {
			t.Errorf("%s: %v, the SDK says %v", name, err, theirs)
		}
	}
	if s := sqsclient.StatsOf(client); s.Shortcut != 0 {
		t.Errorf("%+v", s)
	}
}

// Over a network a body is compared with the MD5 that SQS states.
func TestAMessageThatArrivesOtherwiseIsAnError(t *testing.T) {
	sum := "5d41402abc4b2a76b9719d911017c592" // of hello
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"Messages":[{"MessageId":"m","ReceiptHandle":"h","Body":"hello","MD5OfBody":%q}]}`, sum)
	})
	client := newClient(t, sqsclient.Settings{Endpoint: server.URL, Region: "eu-west-1"}, keys)
	receive := receiveOf(client)
	for range 2 {
		if out, err := receive(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String("q")}); err != nil || out[0].Body != "hello" {
			t.Fatal(err)
		}
	}
	sum = "00000000000000000000000000000000"
	out, err := receive(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String("q")})
	if out != nil || !errors.Is(err, sqsclient.ErrReceivedChecksum) {
		t.Errorf("a wrong checksum: %v, %v", out, err)
	}
	if s := sqsclient.StatsOf(client); s.Shortcut != 2 {
		t.Errorf("%+v", s)
	}
}

// A refusal is asked for once by the shortcut, then by the SDK alone, until it
// succeeds.
func TestARefusedReceiveIsLeftToTheSDK(t *testing.T) {
	var requests []seen
	denied := false
	client := newClient(t, sqsclient.Settings{}, watch(&requests, func(int) (int, string) {
		if denied {
			return 403, `{"__type":"AccessDeniedException","message":"no"}`
		}
		return 200, `{}`
	}))
	receive := receiveOf(client)
	ask := func() error {
		_, err := receive(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String("q")})
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	denied = true
	for range 5 {
		if ask() == nil {
			t.Fatal("it is not refused")
		}
	}
	if s := sqsclient.StatsOf(client); s.Refused != 1 || len(requests) != 7 {
		t.Errorf("%+v, %d requests; want 1 + 2 + 4", s, len(requests))
	}
	denied = false
	for range 3 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	if s := sqsclient.StatsOf(client); s.Shortcut != 3 {
		t.Errorf("%+v, want the shortcut taken again after one success of the SDK", s)
	}
}
