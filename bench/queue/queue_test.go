package queue

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

const (
	workers   = 8
	batchSize = 10
	bodySize  = 1024
)

// impls are what is measured: each gives a client, whose server ends with b.
var impls = []struct {
	name string
	open func(b *testing.B) *sqs.Client
}{
	{"ours", func(b *testing.B) *sqs.Client { return inProcess(b) }},
	{"ours-loopback", func(b *testing.B) *sqs.Client { return loopback(b) }},
	{"ours-disk", func(b *testing.B) *sqs.Client { return inProcess(b, onDisk(b)) }},
	{"ours-disk-loopback", func(b *testing.B) *sqs.Client { return loopback(b, onDisk(b)) }},
	{"fauxqs", func(b *testing.B) *sqs.Client { return fauxqs(b) }},
	{"fauxqs-disk", func(b *testing.B) *sqs.Client {
		return fauxqs(b, "FAUXQS_DATA_DIR="+b.TempDir(), "FAUXQS_PERSISTENCE=true")
	}},
}

func BenchmarkSend(b *testing.B) {
	for _, impl := range impls {
		b.Run(impl.name, func(b *testing.B) {
			client := impl.open(b)
			url := queue(b, client)
			b.ReportAllocs()
			b.ResetTimer()
			fill(b, client, url, b.N)
			report(b)
		})
	}
}

func BenchmarkReceiveAndDelete(b *testing.B) {
	for _, impl := range impls {
		b.Run(impl.name, func(b *testing.B) {
			client := impl.open(b)
			url := queue(b, client)
			fill(b, client, url, b.N)
			b.ReportAllocs()
			b.ResetTimer()
			drain(b, client, url, b.N)
			report(b)
		})
	}
}

func report(b *testing.B) {
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// inProcess is the client that a system of ours makes for its embedded queue.
func inProcess(b *testing.B, opts ...localsqs.Option) *sqs.Client {
	client, err := sqsclient.New(context.Background(), sqsclient.DefaultSettings(), sqsclient.WithHTTPClient(serve(b, opts...).HTTPClient()))
	if err != nil {
		b.Fatal(err)
	}
	return client
}

func loopback(b *testing.B, opts ...localsqs.Option) *sqs.Client {
	url, err := serve(b, opts...).Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return newClient(url, overSocket(b))
}

func serve(b *testing.B, opts ...localsqs.Option) *localsqs.Server {
	srv, err := localsqs.New(opts...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := srv.Close(); err != nil {
			b.Error(err)
		}
	})
	return srv
}

func onDisk(b *testing.B) localsqs.Option {
	return localsqs.Path(filepath.Join(b.TempDir(), "queue.db"))
}

func newClient(url string, client sqs.HTTPClient) *sqs.Client {
	return sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &url, HTTPClient: client,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")})
}

// overSocket is the HTTP client for both servers. It gives net/http a body
// that ends as it expects: smithy-go's does not, and costs connections.
func overSocket(b *testing.B) sqs.HTTPClient {
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * workers}
	b.Cleanup(transport.CloseIdleConnections)
	return &plain{http.Client{Transport: transport}}
}

type plain struct{ http.Client }

func (p *plain) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return p.Client.Do(r)
}

// fauxqs starts the peer.
func fauxqs(b *testing.B, env ...string) *sqs.Client {
	dir := os.Getenv("FAUXQS_DIR")
	if dir == "" {
		b.Skip("FAUXQS_DIR is not set: fauxqs is not measured; see fauxqs.sh")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "node_modules/.bin/node"), filepath.Join(dir, "node_modules/fauxqs/dist/server.js"))
	cmd.Env = append(os.Environ(), append(env, "FAUXQS_PORT="+strconv.Itoa(port), "FAUXQS_LOGGER=false", "FAUXQS_HOST=127.0.0.1")...)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	for i := 0; ; i++ {
		if res, err := http.Get(url + "/health"); err == nil {
			_ = res.Body.Close()
			break
		} else if i == 600 {
			b.Fatalf("fauxqs does not answer: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return newClient(url, overSocket(b))
}

func queue(b *testing.B, client *sqs.Client) *string {
	out, err := client.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: aws.String("bench"),
		Attributes: map[string]string{"VisibilityTimeout": "3600"}})
	if err != nil {
		b.Fatal(err)
	}
	return out.QueueUrl
}

// fill sends n messages.
func fill(b *testing.B, client *sqs.Client, url *string, n int) {
	body := strings.Repeat("a word or two, ", bodySize/15+1)[:bodySize]
	var left atomic.Int64
	left.Store(int64(n))
	parallel(func() {
		for {
			most := left.Add(-batchSize) + batchSize
			if most <= 0 {
				return
			}
			entries := make([]types.SendMessageBatchRequestEntry, min(batchSize, most))
			for i := range entries {
				entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &body}
			}
			out, err := client.SendMessageBatch(context.Background(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries})
			if err != nil || len(out.Failed) > 0 {
				b.Errorf("send: %v, %v", err, out)
				return
			}
		}
	})
}

// drain receives and deletes n messages.
func drain(b *testing.B, client *sqs.Client, url *string, n int) {
	var done atomic.Int64
	parallel(func() {
		for done.Load() < int64(n) {
			got, err := client.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: batchSize})
			if err != nil {
				b.Errorf("receive: %v", err)
				return
			}
			if len(got.Messages) == 0 {
				continue
			}
			entries := make([]types.DeleteMessageBatchRequestEntry, len(got.Messages))
			for i := range entries {
				entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: got.Messages[i].ReceiptHandle}
			}
			out, err := client.DeleteMessageBatch(context.Background(), &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: entries})
			if err != nil || len(out.Failed) > 0 {
				b.Errorf("delete: %v, %v", err, out)
				return
			}
			done.Add(int64(len(out.Successful)))
		}
	})
}

func parallel(work func()) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(work)
	}
	wg.Wait()
}
