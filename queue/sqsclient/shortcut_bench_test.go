package sqsclient_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/sqsclient"
)

// tenMessages is the answer to a receive of ten tasks with their five
// attributes.
func tenMessages() []byte {
	var b bytes.Buffer
	b.WriteString(`{"Messages":[`)
	for i := range 10 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"MessageId":"5b2f7f2c-8d3c-4d58-9d9a-0c1f2e3d4a5%d","ReceiptHandle":"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a/%d","MD5OfBody":"b3d0a8b3a6f2a4a0f3c4d9b1d2e8c7a1","Body":"{\"id\": %d}",`+
			`"Attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1795458243000","ApproximateFirstReceiveTimestamp":"1795458243100"},`+
			`"MD5OfMessageAttributes":"0c1f2e3d4a5b6c7d8e9f0a1b2c3d4e5f","MessageAttributes":{`+
			`"exec_id":{"StringValue":"5b2f7f2c-8d3c-4d58-9d9a-0c1f2e3d4a5%d","DataType":"String"},"job_id":{"StringValue":"unknown","DataType":"String"},"job_name":{"StringValue":"unknown","DataType":"String"},`+
			`"task_name":{"StringValue":"noop","DataType":"String"},"when":{"StringValue":"23/11/26 13:05:00","DataType":"String"}}}`, i, i, i, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func still(b *testing.B, answer []byte, opts ...sqsclient.Option) *sqs.Client {
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Requestid": {"x"}}
	client, err := sqsclient.New(b.Context(), sqsclient.Settings{}, append([]sqsclient.Option{sqsclient.WithHTTPClient(doerFunc(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer))}, nil
	}))}, opts...)...)
	if err != nil {
		b.Fatal(err)
	}
	return client
}

// BenchmarkReceive is what the client costs for a receive of ten tasks, whose
// answer is there at once.
func BenchmarkReceive(b *testing.B) {
	in := &sqs.ReceiveMessageInput{QueueUrl: aws.String("http://sqs.local/0/q"), MaxNumberOfMessages: 10, WaitTimeSeconds: 20, VisibilityTimeout: 120,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp", "MessageGroupId"}}
	ctx := sqsclient.WithShortcut(context.Background())
	for name, opts := range roads {
		client := still(b, tenMessages(), opts...)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				out, err := client.ReceiveMessage(ctx, in)
				if err != nil || len(out.Messages) != 10 {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDelete is what the client costs for a batch of ten deletes.
func BenchmarkDelete(b *testing.B) {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: aws.String("http://sqs.local/0/q")}
	var answer bytes.Buffer
	answer.WriteString(`{"Successful":[`)
	for i := range 10 {
		if i > 0 {
			answer.WriteByte(',')
		}
		fmt.Fprintf(&answer, `{"Id":"%d"}`, i)
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: aws.String("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a")})
	}
	answer.WriteString(`]}`)
	ctx := sqsclient.WithShortcut(context.Background())
	for name, opts := range roads {
		client := still(b, answer.Bytes(), opts...)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				out, err := client.DeleteMessageBatch(ctx, in)
				if err != nil || len(out.Successful) != 10 {
					b.Fatal(err)
				}
			}
		})
	}
}

var roads = map[string][]sqsclient.Option{"embedded": nil, "signed": {keys}}
