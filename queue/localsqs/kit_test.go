package localsqs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
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

// plausible is a request with headers that are in order and a wrong signature:
// an access key's id is no secret.
func plausible(host string, length int) string {
	now := time.Now().UTC()
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Date: %s\r\n"+
		"Authorization: AWS4-HMAC-SHA256 Credential=id/%s/us-east-1/sqs/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=%064d\r\nContent-Length: %d\r\n\r\n",
		host, now.Format("20060102T150405Z"), now.Format("20060102"), 0, length)
}

func signedClient(t *testing.T, url string, transport http.RoundTripper) *sqs.Client {
	t.Helper()
	return sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &url, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
}

// heapDuring is the most that the heap grew to while f ran, above what it was before.
func heapDuring(f func()) (most uint64) {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	var watched sync.WaitGroup
	watched.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse+now.StackInuse)
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	f()
	close(done)
	watched.Wait()
	return most - min(most, before.HeapInuse+before.StackInuse)
}

func probe(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
