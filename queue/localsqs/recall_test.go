package localsqs_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// A long poll that is recalled is answered at once, and loses nothing.
func TestARecalledPollIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := localsqs.New()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = server.Close() }()
		client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(server.HTTPClient()))
		if err != nil {
			t.Fatal(err)
		}
		made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("mails")})
		if err != nil {
			t.Fatal(err)
		}
		recall := make(chan struct{})
		ctx := localsqs.WithRecall(t.Context(), recall)
		receive := &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, WaitTimeSeconds: 20, VisibilityTimeout: 600}
		began := time.Now()
		time.AfterFunc(3*time.Second, func() { close(recall) })
		for _, ctx := range []struct{ name string }{{"under way"}, {"after the recall"}} {
			out, err := client.ReceiveMessage(localsqs.WithRecall(t.Context(), recall), receive)
			if err != nil || len(out.Messages) != 0 || time.Since(began) != 3*time.Second {
				t.Errorf("%s: %d messages after %v, %v", ctx.name, len(out.Messages), time.Since(began), err)
			}
		}
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String("m")}); err != nil {
			t.Fatal(err)
		}
		if out, err := client.ReceiveMessage(ctx, receive); err != nil || len(out.Messages) != 1 {
			t.Errorf("what is there at once is given: %v, %v", out, err)
		}
	})
}
