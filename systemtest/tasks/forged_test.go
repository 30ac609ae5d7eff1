package tasks_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// Another producer writes each of the chassis' attributes with every kind of value, one message each, beside a sound task a minute.
// Right: each of the sound ones runs within a minute, each of the others is run, dead or waits for its far time; fewer than 2 000 requests an hour.
func TestForgedAttributesCostTheirOwnMessageOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := chassistest.New(t, chassistest.Name("test"), kit.Quietly("critical"))
		p := &kit.Tap{}
		sys := kit.Tapped(t, base, p, kit.Quietly("critical"))
		var mu sync.Mutex // guards ran
		ran := map[string]int{}
		var sound atomic.Int64
		forged, tick := task.Define[kit.Payload]("forged", task.MaxFailures(2), task.Wait(time.Second, task.None)), task.Define[kit.Payload]("tick")
		for _, s := range []*chassis.System{base.System, sys.System} {
			chassis.Handle(s, forged, func(_ context.Context, j task.Job[kit.Payload]) error {
				mu.Lock()
				defer mu.Unlock()
				ran[j.ExecID]++
				return kit.ErrBroken
			})
			chassis.Handle(s, tick, func(context.Context, task.Job[kit.Payload]) error { sound.Add(1); return nil })
		}
		kit.Begin(t, sys)
		client, url := kit.QueueClient(t, base.Queue), "http://sqs.local/000000000000/test-tasks"
		var ids []string
		for _, name := range []string{"failures", "attempts", "error", "reason", "first", "when", "not_before", "unknown", "silent", "more"} {
			for _, value := range []string{"-1", "0", "1073741824", "9223372036854775807", "1e400", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-9999-01-01", "due", "{}", `{"task_name":{"v":"x"}}`,
				`{"chassis.failures":{"v":"7"}}`, strings.Repeat("é", 5000), "\u2028", "exhausted", " "} {
				text := func(s string) types.MessageAttributeValue {
					return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
				}
				id := name + " " + value[:min(len(value), 60)]
				if strings.HasPrefix(value, "é") {
					id = name + " long"
				}
				ids = append(ids, id)
				if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(`{"n":1}`), MessageAttributes: map[string]types.MessageAttributeValue{
					"task_name": text("forged"), "exec_id": text(id), "when": text("01/01/00 00:00:00"), "job_id": text("j"), "job_name": text("j"), "chassis." + name: text(value),
				}}); err != nil {
					t.Fatal(id, err)
				}
			}
		}
		kit.Pass(time.Minute)
		before := p.Count("")
		for range 180 {
			chassistest.Send(base, tick, kit.Payload{})
			kit.Pass(time.Minute)
		}
		if sound.Load() != 180 {
			t.Errorf("%d of 180 sound tasks ran", sound.Load())
		}
		if n := p.Count("") - before; n > 3*2000 {
			t.Errorf("%d requests in 3 hours", n)
		}
		dead := letters(base)
		for _, id := range ids {
			far := strings.HasSuffix(id, "9999-12-31T23:59:59Z") && (strings.HasPrefix(id, "when") || strings.HasPrefix(id, "not_before"))
			switch {
			case far && (ran[id] > 0 || dead[id] != ""):
				t.Errorf("%s: %d runs, %q, want it to wait", id, ran[id], dead[id])
			case !far && dead[id] == "":
				t.Errorf("%s: %d runs and no dead letter; queues %s", id, ran[id], kit.Depths(base.Queue))
			case ran[id] > 2:
				t.Errorf("%s: %d runs of 2", id, ran[id])
			}
		}
	})
}
