//go:build unix

package poller_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/actors/poller"
)

// BenchmarkHandWritten is the same with a straightforward loop: four receivers,
// each deletes what it got in one batch.
func BenchmarkHandWritten(b *testing.B) {
	b.Run("in process", func(b *testing.B) { handWritten(b, newQueue(b, "tasks")) })
	b.Run("loopback", func(b *testing.B) { handWritten(b, overLoopback(b, "tasks")) })
}

func handWritten(b *testing.B, q *queue) {
	q.fill(b.N)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	began := cpu()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for left.Load() > 0 {
				out, err := q.client.ReceiveMessage(b.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10,
					MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
				if err != nil {
					b.Error(err)
					return
				}
				var entries []types.DeleteMessageBatchRequestEntry
				for i, m := range out.Messages {
					id := strconv.Itoa(i)
					entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: m.ReceiptHandle})
				}
				if len(entries) == 0 {
					return
				}
				if _, err := q.client.DeleteMessageBatch(b.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries}); err != nil {
					b.Error(err)
					return
				}
				left.Add(-int64(len(entries)))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu()-began).Nanoseconds())/1e3/float64(b.N), "cpu-µs/task")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}

// BenchmarkRoad moves messages with five attributes from the embedded queue to
// a subscriber that settles each at once. Sending is not timed. It reports
// tasks a second and requests a task, receives and deletes together.
func BenchmarkRoad(b *testing.B) {
	for _, tc := range []struct {
		way     string
		open    func(testing.TB, string) *queue
		credits int
	}{{"in process", newQueue, 10}, {"in process", newQueue, 100}, {"in process", newQueue, 1000}, {"loopback", overLoopback, 1000}} {
		b.Run(fmt.Sprintf("%s, credits=%d", tc.way, tc.credits), func(b *testing.B) {
			q := tc.open(b, "tasks")
			q.fill(b.N)
			r := q.start()
			done := make(chan struct{})
			left := b.N
			var pid *actor.PID
			sub := r.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				switch m := c.Message().(type) {
				case *poller.Delivered:
					c.Send(pid, &poller.Settle{Lease: m.Lease})
				case *poller.Settled:
					if m.Err != nil {
						b.Error(m.Err)
					}
					if left--; left == 0 {
						close(done)
					} else {
						c.Send(pid, &poller.Want{Credits: 1})
					}
				}
			}))
			pid = r.pid
			b.ReportAllocs()
			began := cpu()
			b.ResetTimer()
			r.cast(&poller.Subscribe{To: sub})
			r.want(tc.credits)
			<-done
			b.StopTimer()
			s := r.poller.Stats()
			b.ReportMetric(float64((cpu()-began).Nanoseconds())/1e3/float64(b.N), "cpu-µs/task")
			b.ReportMetric(float64(s.Receives)/float64(b.N), "receives/task")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
			b.ReportMetric(float64(s.Requests.Delete)/float64(b.N), "deletes/task")
			b.ReportMetric(float64(s.Receives+s.Requests.Delete)/float64(b.N), "requests/task")
		})
	}
}

// cpu is the time that this process has spent on processors.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fill sends n messages as the wire form has them: a JSON body, five attributes.
func (q *queue) fill(n int) {
	q.t.Helper()
	text := func(s string) types.MessageAttributeValue {
		kind := "String"
		return types.MessageAttributeValue{DataType: &kind, StringValue: &s}
	}
	s := poller.NewSender(q.client)
	for n > 0 {
		outs := make([]poller.Outgoing, min(n, 1000))
		for i := range outs {
			outs[i] = poller.Outgoing{Pool: q.name, Body: `{"id": 42, "email": "a@example.org"}`, Attributes: map[string]types.MessageAttributeValue{
				"task_name": text("welcome"), "exec_id": text("ee044653-39bb-4f2a-9b42-2da8965abf09"), "when": text("23/11/26 14:43:02"),
				"job_id": text("unknown"), "job_name": text("unknown"),
			}}
		}
		if _, err := s.SendMany(q.t.Context(), outs); err != nil {
			q.t.Fatal(err)
		}
		n -= len(outs)
	}
	if err := s.Close(q.t.Context()); err != nil {
		q.t.Fatal(err)
	}
}
