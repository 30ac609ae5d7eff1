package tasks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

const pool = "bench-tasks"

type args struct {
	ID int `json:"id"`
}

var noop = task.Define[args]("noop")

// TestMain makes this binary the queue server when it is asked to be one.
func TestMain(m *testing.M) {
	if os.Getenv("BENCH_QUEUE_SERVER") != "" {
		serve()
		return
	}
	os.Exit(m.Run())
}

func serve() {
	srv, err := localsqs.New()
	if err != nil {
		panic(err)
	}
	url, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(url)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends
	_ = srv.Close()
}

// server starts a queue in a process of its own and returns its URL.
func server(b *testing.B) string {
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "BENCH_QUEUE_SERVER=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	b.Setenv("AWS_ACCESS_KEY_ID", "local")
	b.Setenv("AWS_SECRET_ACCESS_KEY", "local")
	return strings.TrimSpace(url)
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs work between the clocks and reports tasks a second and the CPU
// time that this process spent on a task.
func measure(b *testing.B, work func()) {
	before := cpu()
	b.ResetTimer()
	work()
	b.StopTimer()
	used := cpu() - before
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
	b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
}

// fill puts n tasks with their five attributes on the pool.
func fill(b *testing.B, client *sqs.Client, n int) (url string) {
	made, err := client.CreateQueue(b.Context(), &sqs.CreateQueueInput{QueueName: aws.String(pool)})
	if err != nil {
		b.Fatal(err)
	}
	url = *made.QueueUrl
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				first := int(next.Add(10)) - 10
				if first >= n {
					return
				}
				var entries []types.SendMessageBatchRequestEntry
				for i := first; i < min(first+10, n); i++ {
					out, err := noop.Encode(time.Now(), args{ID: i})
					if err != nil {
						b.Error(err)
						return
					}
					entries = append(entries, types.SendMessageBatchRequestEntry{
						Id: aws.String(strconv.Itoa(i)), MessageBody: &out.Body, MessageAttributes: out.Attributes,
					})
				}
				if _, err := client.SendMessageBatch(b.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return url
}

// left is how many messages are still on the queue, visible or not.
func left(b *testing.B, client *sqs.Client, url string) int {
	out, err := client.GetQueueAttributes(b.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}})
	if err != nil {
		b.Fatal(err)
	}
	sum := 0
	for _, v := range out.Attributes {
		n, err := strconv.Atoi(v)
		if err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	return sum
}

// untilEmpty waits, asking seldom, for the last delete.
func untilEmpty(b *testing.B, client *sqs.Client, url string) {
	for left(b, client, url) > 0 {
		time.Sleep(2 * time.Millisecond)
	}
}

func settings(workers int) chassis.Settings {
	s := chassis.DefaultSettings()
	s.Tasks.TaskPool, s.Tasks.Workers, s.Tasks.MaxWorkers = pool, workers, workers
	s.Log.Level = "error"
	return s
}

// run takes b.N tasks through a system.
func run(b *testing.B, s chassis.Settings) {
	sys, err := chassis.New("bench", chassis.WithSettings(s), chassis.WithoutDefaultLogger())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := sys.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	done, ran := make(chan struct{}), atomic.Int64{}
	chassis.Handle(sys, noop, func(context.Context, task.Job[args]) error {
		if ran.Add(1) == int64(b.N) {
			close(done)
		}
		return nil
	})
	url := fill(b, sys.SQS(), b.N)
	measure(b, func() {
		if err := sys.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		<-done
		untilEmpty(b, sys.SQS(), url)
	})
}

// BenchmarkInProcess is the whole road with the embedded queue: one supervised
// child actor a task, a lease and a delete for each.
func BenchmarkInProcess(b *testing.B) {
	b.Run("ours", func(b *testing.B) { run(b, settings(200)) })
	b.Run("hand-written", func(b *testing.B) {
		srv := embedded(b)
		handWritten(b, sqs.New(sqs.Options{Region: "local", BaseEndpoint: aws.String("http://sqs.local"), Credentials: aws.AnonymousCredentials{},
			HTTPClient: plainBody{srv.HTTPClient()}, DisableMessageChecksumValidation: true}))
	})
	b.Run("hand-written-sqsclient", func(b *testing.B) {
		client, err := sqsclient.New(b.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(embedded(b).HTTPClient()))
		if err != nil {
			b.Fatal(err)
		}
		handWritten(b, client)
	})
}

func embedded(b *testing.B) *localsqs.Server {
	srv, err := localsqs.New()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = srv.Close() })
	return srv
}

// BenchmarkLoopback is the same with the queue in another process; and the
// workers that people use with other stores, on servers of their own.
func BenchmarkLoopback(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		s := settings(200)
		s.Queue.Endpoint, s.Queue.Region = server(b), "us-east-1"
		run(b, s)
	})
	b.Run("hand-written", func(b *testing.B) {
		url := server(b)
		cfg, err := config.LoadDefaultConfig(b.Context(), config.WithRegion("us-east-1"))
		if err != nil {
			b.Fatal(err)
		}
		cfg.HTTPClient = plainBody{awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = 256 }).Freeze()}
		handWritten(b, sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = &url }))
	})
	b.Run("hand-written-sqsclient", func(b *testing.B) {
		client, err := sqsclient.New(b.Context(), sqsclient.Settings{Endpoint: server(b), Region: "us-east-1"})
		if err != nil {
			b.Fatal(err)
		}
		handWritten(b, client)
	})
	b.Run("asynq", runAsynq)
	b.Run("river", runRiver)
}

// plainBody is the fix of the SDK's request body (see the package sqsclient),
// without which a fast server's answers are lost, and nothing else.
type plainBody struct{ next sqs.HTTPClient }

func (p plainBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		plain := *r
		plain.Body, plain.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r = &plain
	}
	return p.next.Do(r)
}

// handWritten is what a good engineer writes in an afternoon: four pollers, a
// goroutine a message, deletes in batches of ten. It extends no lease, counts
// no failure and drains nothing.
func handWritten(b *testing.B, client *sqs.Client) {
	url := fill(b, client, b.N)
	measure(b, func() {
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		deletes, deleted := make(chan *string, 1000), make(chan struct{})
		var pollers, handlers, deleters sync.WaitGroup
		var gone atomic.Int64
		for range 4 {
			deleters.Go(func() { deleteAll(ctx, b, client, url, deletes, &gone, deleted) })
			pollers.Go(func() {
				for ctx.Err() == nil {
					out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
						QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"},
					})
					if err != nil {
						continue // cancelled, at the end
					}
					for _, m := range out.Messages {
						handlers.Go(func() {
							var a args
							if err := json.Unmarshal([]byte(*m.Body), &a); err != nil {
								b.Error(err)
							}
							deletes <- m.ReceiptHandle
						})
					}
				}
			})
		}
		<-deleted
		cancel()
		pollers.Wait()
		handlers.Wait()
		close(deletes)
		deleters.Wait()
	})
}

func deleteAll(ctx context.Context, b *testing.B, client *sqs.Client, url string, in <-chan *string, gone *atomic.Int64, all chan<- struct{}) {
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	var batch []types.DeleteMessageBatchRequestEntry
	flush := func() {
		if len(batch) == 0 {
			return
		}
		if _, err := client.DeleteMessageBatch(context.WithoutCancel(ctx), &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: batch}); err != nil {
			b.Error(err)
		}
		if gone.Add(int64(len(batch))) == int64(b.N) {
			close(all)
		}
		batch = nil
	}
	for {
		select {
		case handle, ok := <-in:
			if !ok {
				flush()
				return
			}
			if batch = append(batch, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(len(batch))), ReceiptHandle: handle}); len(batch) == 10 {
				flush()
			} else if len(batch) == 1 {
				linger.Reset(5 * time.Millisecond)
			}
		case <-linger.C:
			flush()
		}
	}
}

// BenchmarkFloor is what the machine can do at most: a goroutine and a channel
// a task, and no queue at all.
func BenchmarkFloor(b *testing.B) {
	b.Run("goroutine-channel", func(b *testing.B) {
		slots := make(chan struct{}, 200)
		var wg sync.WaitGroup
		measure(b, func() {
			for range b.N {
				slots <- struct{}{}
				wg.Go(func() { <-slots })
			}
			wg.Wait()
		})
	})
}
