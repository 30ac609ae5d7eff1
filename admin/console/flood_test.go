package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/task"
)

// heap is the memory in use after a collection.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestHostileNamesFillNothing throws hosts, paths, task names, level names and job
// ids at a running service: 1 200 of each, or 100 000 at full scale. The page's
// 100 ms are judged at full scale only: among other tests, under the race
// detector, the clock says little.
func TestHostileNamesFillNothing(t *testing.T) {
	n, soon := 1200, 2*time.Second
	if os.Getenv("CHASSIS_SCALE") == "full" {
		n, soon = 100_000, 100*time.Millisecond
	}
	ran := make(chan struct{}, 1000)
	sys, d := open(t, func(sys *chassis.System) {
		chassis.Handle(sys, task.Define[greeting]("greet"), func(context.Context, task.Job[greeting]) error {
			select {
			case ran <- struct{}{}:
			default:
			}
			return nil
		})
	})
	before := heap()
	minute, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	url, err := sys.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("mailer-tasks")})
	if err != nil {
		t.Fatal(err)
	}
	var thrown [5]int
	failure := errors.New("unknown path")
	send := func(count *int, name, job func(i int) string) {
		for i := 0; i < n && minute.Err() == nil; i += 10 {
			*count += 10
			var entries []types.SendMessageBatchRequestEntry
			for k := i; k < min(i+10, n); k++ {
				m := task.Message{Name: name(k), ExecID: fmt.Sprintf("e%d", k), JobID: job(k), JobName: job(k), Body: "{}"}
				entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(k - i)), MessageBody: &m.Body, MessageAttributes: m.Attributes()})
			}
			if _, err := sys.SQS().SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url.QueueUrl, Entries: entries}); err != nil {
				t.Error(err)
				return
			}
		}
	}
	refused := 0
	var floods sync.WaitGroup
	floods.Go(func() {
		for i := 0; i < n && minute.Err() == nil; i++ {
			thrown[0]++
			_ = sys.Breaker(fmt.Sprintf("https://host-%d.example", i)).Do(t.Context(), "/x", func(context.Context) error { return failure })
		}
	})
	floods.Go(func() {
		b := sys.Breaker("https://mail.internal")
		for i := 0; i < n && minute.Err() == nil; i++ {
			thrown[1]++
			_ = b.Do(t.Context(), fmt.Sprintf("/path-%d/a/b", i), func(context.Context) error { return failure })
		}
	})
	floods.Go(func() {
		send(&thrown[2], func(i int) string { return fmt.Sprintf("stranger-%d", i) }, func(int) string { return "j" })
	})
	floods.Go(func() {
		send(&thrown[3], func(int) string { return "greet" }, func(i int) string { return strings.Repeat(fmt.Sprintf("job-%d.", i), 20) })
	})
	floods.Go(func() {
		for i := 0; i < n && minute.Err() == nil; i++ {
			thrown[4]++
			if code, _ := d.do("POST", "api/v1/log/level", fmt.Sprintf(`{"name":"level-%d","level":"debug"}`, i)); code != 200 {
				refused++
			}
		}
	})
	over := make(chan struct{})
	go func() { floods.Wait(); close(over) }()
	var took []time.Duration
	look := func(path string) string {
		begun := time.Now()
		code, body := d.do("GET", path, "")
		took = append(took, time.Since(begun))
		if code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
		if len(body) > 4<<20 {
			t.Errorf("%s has %d bytes", path, len(body))
		}
		return body
	}
	for busy := true; busy; {
		look("")
		look("api/v1/state")
		select {
		case <-over:
			busy = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	<-over
	<-ran
	flood := took
	took = nil
	for range 20 { // after the flood, with all that it has left
		look("")
		look("api/v1/state")
	}
	series := strings.Count(look("metrics"), "\n")
	slices.Sort(flood)
	slices.Sort(took)
	grown := int64(heap()) - int64(before)
	t.Logf("%v thrown: %d breakers, %d level names (%d refused), %d lines of metrics, %.1f MB more, answers in %v (half), %v (99 %%), after it in %v and %v",
		thrown, len(sys.Breakers()), len(sys.Log().Levels()), refused, series, float64(grown)/(1<<20), flood[len(flood)/2], flood[len(flood)*99/100], took[len(took)/2], took[len(took)*99/100])
	if len(sys.Breakers()) > 10_001 || len(sys.Log().Levels()) > 1010 || series > 8000 {
		t.Error("what messages make is not bounded")
	}
	if grown > 512<<20 { // the embedded queue, in memory, holds all of its messages
		t.Errorf("%d MB", grown>>20)
	}
	if flood[len(flood)/2] > soon || took[len(took)/2] > soon {
		t.Errorf("the page does not answer in %v", soon)
	}
}

// TestHostileExecIDsOfAMegabyte: messages as large as SQS takes them, and an open page.
func TestHostileExecIDsOfAMegabyte(t *testing.T) {
	started, release := make(chan struct{}, 100), make(chan struct{})
	sys, d := open(t, func(sys *chassis.System) {
		chassis.Handle(sys, task.Define[greeting]("greet", task.MaxFailures(1)), func(ctx context.Context, job task.Job[greeting]) error {
			started <- struct{}{}
			select {
			case <-release:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", sys.AdminURL()+"api/v1/stream", nil)
	res, err := d.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	largest := make(chan int64, 1)
	go func() { n, _ := io.Copy(io.Discard, res.Body); largest <- n }()
	url, err := sys.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("mailer-tasks")})
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	const messages = 60
	id := strings.Repeat("x", 900<<10)
	for i := range messages {
		m := task.Message{Name: "greet", ExecID: fmt.Sprintf("%s%d", id, i), Body: "{}"}
		if _, err := sys.SQS().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url.QueueUrl, MessageBody: &m.Body, MessageAttributes: m.Attributes()}); err != nil {
			t.Fatal(err)
		}
	}
	<-started
	page := ask[admin.ExecutionPage](d, "GET", "api/v1/executions?limit=500", "")
	if len(page.List) == 0 || len(page.List[0].ExecID) > clip.Name {
		t.Fatalf("%d executions", len(page.List))
	}
	time.Sleep(3 * time.Second) // of the page
	grown := int64(heap()) - int64(before)
	t.Logf("%.1f MB more, %d of them in the queue", float64(grown)/(1<<20), messages*900>>10)
	if grown > 256<<20 {
		t.Errorf("%d MB", grown>>20)
	}
	// What is shown cut can still be cancelled.
	shown := page.List[0].ExecID
	if found := ask[admin.Found](d, "POST", "api/v1/executions/cancel", `{"exec_id":"`+shown+`"}`); found.Found != 1 {
		t.Errorf("cancelled %d", found.Found)
	}
	close(release)
	cancel()
	if n := <-largest; n > 8<<20 {
		t.Errorf("the page was sent %d bytes", n)
	}
}

// TestHostileLevelsSilenceNoAudit: an operator turns the log off and acts.
func TestHostileLevelsSilenceNoAudit(t *testing.T) {
	sys, d := open(t, func(sys *chassis.System) {
		chassis.Handle(sys, task.Define[greeting]("greet"), func(context.Context, task.Job[greeting]) error { return nil })
	})
	for _, name := range []string{"", "audit", "admin"} {
		ask[any](d, "POST", "api/v1/log/level", `{"name":"`+name+`","level":"emergency"}`)
	}
	ask[any](d, "POST", "api/v1/tasks/pause", `{"task":"greet"}`)
	if log := strings.Join(sys.Log().Tail(100), "\n"); !strings.Contains(log, "/api/v1/tasks/pause") || !strings.Contains(log, `\"greet\"`) {
		t.Errorf("the log does not say that the task was paused:\n%s", log)
	}
}
