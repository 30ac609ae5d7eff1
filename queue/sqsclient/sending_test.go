package sqsclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

func batch(url string, bodies ...string) *sqs.SendMessageBatchInput {
	in := &sqs.SendMessageBatchInput{QueueUrl: &url}
	for i, body := range bodies {
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: &body,
			MessageAttributes: map[string]types.MessageAttributeValue{"n": {DataType: aws.String("Number"), StringValue: aws.String("1")}}})
	}
	return in
}

// A batch by the shortcut arrives whole, also its refusals in part, and is counted.
func TestABatchIsSentByTheShortcut(t *testing.T) {
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
	send := sqsclient.SendBatchOf(client)
	bodies := []string{"plain", "a \"quoted\" \\ é 😀 <&>", "bad \x01"}
	for range 3 {
		out, err := send(t.Context(), batch(*made.QueueUrl, bodies...))
		if err != nil || len(out.Successful) != 2 || len(out.Failed) != 1 || *out.Failed[0].Id != "2" || *out.Successful[0].MessageId == "" {
			t.Fatal(out, err)
		}
	}
	if s := sqsclient.StatsOf(client); s.SDK != 1 || s.Shortcut != 2 {
		t.Errorf("%+v, want the first request by the SDK and two by the shortcut", s)
	}
	found, err := server.Peek("q", 10)
	if err != nil || len(found) != 6 {
		t.Fatal(len(found), err)
	}
	for i, m := range found {
		if m.Body != bodies[i%2] || m.Attributes["n"] != "1" {
			t.Errorf("message %d is %q with %v", i, m.Body, m.Attributes)
		}
	}
}

// What the shortcut does not know goes the SDK's way, with the same result.
func TestABatchThatTheShortcutDoesNotKnow(t *testing.T) {
	for name, change := range map[string]func(*sqs.SendMessageBatchInput){
		"a binary attribute": func(in *sqs.SendMessageBatchInput) {
			in.Entries[0].MessageAttributes["b"] = types.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte{1}}
		},
		"a system attribute": func(in *sqs.SendMessageBatchInput) {
			in.Entries[0].MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
				"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1")}}
		},
		"no id":      func(in *sqs.SendMessageBatchInput) { in.Entries[0].Id = nil },
		"no body":    func(in *sqs.SendMessageBatchInput) { in.Entries[0].MessageBody = nil },
		"no entries": func(in *sqs.SendMessageBatchInput) { in.Entries = nil },
		"no queue":   func(in *sqs.SendMessageBatchInput) { in.QueueUrl = nil },
	} {
		var requests []seen
		answer := func(int) (int, string) { return 200, `{"Successful":[],"Failed":[]}` }
		client := newClient(t, sqsclient.Settings{}, watch(&requests, answer))
		send := sqsclient.SendBatchOf(client)
		if _, err := send(t.Context(), batch("q", "warm")); err != nil {
			t.Fatal(err)
		}
		in := batch("q", "x")
		change(in)
		_, err := send(t.Context(), in)
		_, theirs := client.SendMessageBatch(t.Context(), in)
		if (err == nil) != (theirs == nil) || err != nil && err.Error() != theirs.Error() {
			t.Errorf("%s: %v, the SDK says %v", name, err, theirs)
		}
		if s := sqsclient.StatsOf(client); s.Shortcut != 0 || s.SDK != 2 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// Over a network, where bytes may be changed, the bodies are compared by their MD5.
func TestABatchThatArrivesOtherwiseIsAnError(t *testing.T) {
	wrong := false
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Entries []struct{ Id, MessageBody string }
		}
		if text, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(text, &in) != nil {
			t.Error(err)
		}
		sum := "5d41402abc4b2a76b9719d911017c592" // of hello
		if wrong {
			sum = "00000000000000000000000000000000"
		}
		_, _ = fmt.Fprintf(w, `{"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":%q}]}`, sum)
	})
	client := newClient(t, sqsclient.Settings{Endpoint: server.URL, Region: "eu-west-1"}, keys)
	send := sqsclient.SendBatchOf(client)
	for range 2 {
		if out, err := send(t.Context(), batch("q", "hello")); err != nil || *out.Successful[0].MessageId != "m" {
			t.Fatal(err)
		}
	}
	wrong = true
	_, err := send(t.Context(), batch("q", "hello"))
	var operation *smithy.OperationError
	if !errors.Is(err, sqsclient.ErrChecksum) || !errors.As(err, &operation) {
		t.Errorf("a wrong checksum: %v", err)
	}
	if s := sqsclient.StatsOf(client); s.Shortcut != 2 {
		t.Errorf("%+v", s)
	}
}

// A right that is refused is asked for once, not by the shortcut and the SDK each time,
// and changes nothing for receives.
func TestARefusedSendIsAskedForOnce(t *testing.T) {
	var requests []seen
	denied := true
	client := newClient(t, sqsclient.Settings{}, watch(&requests, func(n int) (int, string) {
		if n > 1 && denied && requests[n-1].Header.Get("X-Amz-Target") == "AmazonSQS.SendMessageBatch" {
			return 403, `{"__type":"AccessDeniedException","message":"no"}`
		}
		return 200, `{"Successful":[],"Failed":[]}`
	}))
	send := sqsclient.SendBatchOf(client)
	if _, err := send(t.Context(), batch("q", "x")); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		before := len(requests)
		if _, err := send(t.Context(), batch("q", "x")); err == nil {
			t.Fatal("it is not refused")
		}
		if n := len(requests) - before; n > 1 && i > 0 {
			t.Errorf("send %d made %d requests", i, n)
		}
		if _, err := client.ReceiveMessage(sqsclient.WithShortcut(t.Context()), &sqs.ReceiveMessageInput{QueueUrl: aws.String("q")}); err != nil {
			t.Fatal(err)
		}
	}
	if s := sqsclient.StatsOf(client); s.Refused != 1 {
		t.Errorf("%+v", s)
	}
	denied = false
	before := sqsclient.StatsOf(client).Shortcut
	for range 3 {
		if _, err := send(t.Context(), batch("q", "x")); err != nil {
			t.Fatal(err)
		}
	}
	if n := sqsclient.StatsOf(client).Shortcut - before; n != 2 {
		t.Errorf("of three sends after the refusals %d took the shortcut, want 2: the first is the SDK's", n)
	}
}

// A client of other making goes the SDK's way alone.
func TestABatchOfAnotherClient(t *testing.T) {
	var requests []seen
	answer := func(int) (int, string) { return 200, `{"Successful":[],"Failed":[]}` }
	calls := 0
	client := newClient(t, sqsclient.Settings{}, watch(&requests, answer), sqsclient.WithOptions(func(*sqs.Options) { calls++ }))
	send := sqsclient.SendBatchOf(client)
	for range 2 {
		if _, err := send(context.WithoutCancel(t.Context()), batch("q", "x")); err != nil {
			t.Fatal(err)
		}
	}
	if s := sqsclient.StatsOf(client); s.Shortcut != 0 || len(requests) != 2 || calls == 0 {
		t.Errorf("%+v, %d requests", s, len(requests))
	}
}
