package localsqs_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/localsqs"
)

// most is how many messages TestDepthCostsLittle goes up to.
var most = atScale(10_000, 1_000_000)

// samples is how many of each single operation are timed.
var samples = 25

// costs are the medians of single operations, and what holding n messages takes.
type costs struct {
	send, receive, change, delete time.Duration
	restart                       time.Duration
	resident                      int64 // bytes
}

// TestDepthCostsLittle fills a durable queue with 10³, 10⁴ ... messages of 1 KB
// and measures at each depth a restart, memory and single operations.
func TestDepthCostsLittle(t *testing.T) {
	var first costs
	if most == 1_000_000 {
		samples = 200
	}
	t.Logf("%9s %10s %12s %10s %10s %10s %10s", "messages", "restart", "resident", "send", "receive", "change", "delete")
	for n := 1000; n <= most; n *= 10 {
		c := atDepth(t, n)
		t.Logf("%9d %10v %9d MB %10v %10v %10v %10v", n, c.restart.Round(time.Millisecond), c.resident>>20,
			c.send.Round(time.Microsecond), c.receive.Round(time.Microsecond), c.change.Round(time.Microsecond), c.delete.Round(time.Microsecond))
		if n == 1000 {
			first = c
			continue
		}
		if most < 1_000_000 { // these are promises for a machine and a process that do nothing else
			continue
		}
		if c.restart > 2*time.Second {
			t.Errorf("a restart with %d messages took %v, want at most 2s", n, c.restart)
		}
		if c.resident > 500<<20 {
			t.Errorf("%d messages take %d MB, want at most 500", n, c.resident>>20)
		}
		for _, op := range []struct {
			name     string
			now, few time.Duration
		}{{"send", c.send, first.send}, {"receive", c.receive, first.receive}, {"change", c.change, first.change}, {"delete", c.delete, first.delete}} {
			if op.now > 2*op.few {
				t.Errorf("%s takes %v at %d messages and %v at 1000, want at most twice", op.name, op.now, n, op.few)
			}
		}
	}
}

func atDepth(t *testing.T, n int) (c costs) {
	path := filepath.Join(t.TempDir(), "queue.db")
	srv, err := localsqs.New(localsqs.Path(path), localsqs.NoFsync())
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(srv)
	url := createQueue(t, client, "deep", map[string]string{"VisibilityTimeout": "3600"})
	fillQueue(t, client, url, n)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	debug.FreeOSMemory()
	began := time.Now()
	srv = newServer(t, localsqs.Path(path))
	c.restart = time.Since(began)
	client = newClient(srv)
	if got := srv.Stats().Queues[0].Visible; got != n {
		t.Fatalf("there are %d messages after the restart, want %d", got, n)
	}
	var send, rec, change, del []time.Duration
	took := func(list *[]time.Duration, op func()) {
		began := time.Now()
		op()
		*list = append(*list, time.Since(began))
	}
	body := strings.Repeat("x", 1024)
	for range samples {
		took(&send, func() { _ = sendOne(t, client, url, body) })
		var m types.Message
		took(&rec, func() { m = receive(t, client, url, 1, 0)[0] })
		took(&change, func() {
			if _, err := client.ChangeMessageVisibility(context.Background(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 7200}); err != nil {
				t.Fatal(err)
			}
		})
		took(&del, func() { remove(t, client, url, m) })
	}
	c.resident = resident(t)
	c.send, c.receive, c.change, c.delete = median(send), median(rec), median(change), median(del)
	return c
}

func sendOne(t *testing.T, client *sqs.Client, url *string, body string) string {
	return *send(t, client, url, body).MessageId
}

func fillQueue(t *testing.T, client *sqs.Client, url *string, n int) {
	body := strings.Repeat("x", 1024)
	entries := make([]types.SendMessageBatchRequestEntry, 10)
	for i := range entries {
		entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &body}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range n / 80 {
				if out, err := client.SendMessageBatch(context.Background(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries}); err != nil || len(out.Failed) > 0 {
					t.Errorf("send: %v %v", err, out)
					return
				}
			}
		})
	}
	wg.Wait()
	for range n % 80 {
		send(t, client, url, body)
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// resident returns the memory of this process without the pages of the queue file
// that it has mapped: the kernel takes those back when it needs memory.
func resident(t *testing.T) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		var kb int64
		if _, err := fmt.Sscanf(string(line), "RssAnon: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	t.Error("there is no RssAnon in /proc/self/status")
	return 0
}
