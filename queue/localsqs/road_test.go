package localsqs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/sambatech/chassis/queue/localsqs"
)

func newServer(t testing.TB, opts ...localsqs.Option) *localsqs.Server {
	t.Helper()
	srv, err := localsqs.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

func newClient(srv *localsqs.Server) *sqs.Client {
	return sqs.New(sqs.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String("http://localsqs.internal"),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient:   srv.HTTPClient(),
	})
}

func createQueue(t testing.TB, client *sqs.Client, name string, attrs map[string]string) *string {
	t.Helper()
	out, err := client.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attrs})
	if err != nil {
		t.Fatal(err)
	}
	return out.QueueUrl
}

func send(t testing.TB, client *sqs.Client, url *string, body string) *sqs.SendMessageOutput {
	t.Helper()
	out, err := client.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func receive(t testing.TB, client *sqs.Client, url *string, most, wait int32) []types.Message {
	t.Helper()
	out, err := client.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: most, WaitTimeSeconds: wait})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

func remove(t testing.TB, client *sqs.Client, url *string, m types.Message) {
	t.Helper()
	if _, err := client.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("error is %v, want one with code %s", err, code)
	}
}

func TestAMessageGoesTheWholeRoad(t *testing.T) {
	client := newClient(newServer(t))
	url := createQueue(t, client, "jobs", nil)
	for i := range 25 {
		send(t, client, url, fmt.Sprintf("body %d with \"quotes\" and ü", i))
	}
	for i := 0; i < 25; {
		for _, m := range receive(t, client, url, 10, 0) {
			if want := fmt.Sprintf("body %d with \"quotes\" and ü", i); *m.Body != want {
				t.Fatalf("message %d is %q, want %q", i, *m.Body, want)
			}
			remove(t, client, url, m)
			i++
		}
	}
	if left := receive(t, client, url, 10, 0); left != nil {
		t.Fatalf("left over: %v", left)
	}
}

func TestALongPollWakesOnSendAndOnTheEndOfAVisibility(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		client := newClient(srv)
		url := createQueue(t, client, "jobs", map[string]string{"VisibilityTimeout": "5"})
		got := make(chan []types.Message)
		go func() { got <- receive(t, client, url, 10, 20) }()
		synctest.Wait()
		send(t, client, url, "a")
		if m := <-got; len(m) != 1 {
			t.Fatalf("got %d messages, want 1", len(m))
		}
		began := time.Now()
		if m := receive(t, client, url, 10, 20); len(m) != 1 {
			t.Fatalf("got %d messages, want the first one again", len(m))
		}
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("waited %v, want 5s", waited)
		}
		began = time.Now()
		if m := receive(t, client, url, 10, 3); m != nil || time.Since(began) != 3*time.Second {
			t.Errorf("got %d messages after %v, want none after 3s", len(m), time.Since(began))
		}
	})
}

func TestALongPollEndsWithItsCallerAndWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		client := newClient(srv)
		url := createQueue(t, client, "jobs", nil)
		ctx, cancel := context.WithCancel(context.Background())
		failed := make(chan error)
		poll := func(ctx context.Context) {
			_, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
			failed <- err
		}
		go poll(ctx)
		synctest.Wait()
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want context.Canceled", err)
		}
		began := time.Now()
		go poll(context.Background())
		synctest.Wait()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-failed; err != nil {
			t.Errorf("a poll ended by Close failed: %v", err)
		}
		if time.Since(began) != 0 {
			t.Errorf("Close took %v to end it", time.Since(began))
		}
	})
}

func TestQueuesErrors(t *testing.T) {
	client := newClient(newServer(t))
	ctx := context.Background()
	_, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("nowhere")})
	wantCode(t, err, "AWS.SimpleQueueService.NonExistentQueue")
	var gone *types.QueueDoesNotExist
	if !errors.As(err, &gone) || gone.ErrorMessage() != "The specified queue does not exist." {
		t.Errorf("error is %v", err)
	}
	createQueue(t, client, "jobs", map[string]string{"VisibilityTimeout": "7"})
	_, err = client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("jobs"), Attributes: map[string]string{"VisibilityTimeout": "8"}})
	wantCode(t, err, "QueueAlreadyExists")
}
