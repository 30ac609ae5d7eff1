package dispatcher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// mutator makes messages out of sound ones.
type mutator struct{ *rand.Rand }

func (m mutator) text() string {
	switch m.IntN(6) {
	case 0:
		return ""
	case 1:
		return strings.Repeat("9", m.IntN(400))
	case 2:
		return strings.Repeat("é\x00\ufffd", m.IntN(20))
	case 3:
		return []string{"now", "-1", "NaN", "null", "31/12/99 23:59:59", "01/01/00 00:00:00", "9999-12-31T23:59:59Z", "due", "{}", `{"x":{"s":1}}`}[m.IntN(10)]
	case 4:
		return time.Now().Add(time.Duration(m.Int64N(int64(2000 * time.Hour)))).Format(task.WhenLayout)
	default:
		b := make([]byte, m.IntN(40))
		for i := range b {
			b[i] = byte(m.UintN(256))
		}
		return string(b)
	}
}

func (m mutator) body() string {
	switch m.IntN(8) {
	case 0:
		return m.text()
	case 1:
		return strings.Repeat("[", m.IntN(20_000))
	case 2:
		return `{"id": 1}`[:m.IntN(9)]
	case 3:
		return strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	case 4:
		return `{"id": 1e99999}`
	default:
		return fmt.Sprintf(`{"id": %d}`, m.IntN(100))
	}
}

func (m mutator) attributes() map[string]types.MessageAttributeValue {
	attrs := map[string]types.MessageAttributeValue{}
	names := []string{"task_name", "exec_id", "when", "job_id", "job_name", "chassis.failures", "chassis.not_before", "chassis.when",
		"chassis.unknown", "chassis.attempts", "chassis.more", "chassis.error", "chassis.first", "traceparent", "own"}
	sound := map[string]string{"task_name": "t", "exec_id": "e", "when": "01/01/00 00:00:00", "job_id": "j", "job_name": "n"}
	for k, v := range sound {
		attrs[k] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(v)}
	}
	for range m.IntN(6) {
		name := names[m.IntN(len(names))]
		switch m.IntN(5) {
		case 0:
			delete(attrs, name)
		case 1:
			attrs[name] = types.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte(m.text())}
		case 2:
			attrs[name] = types.MessageAttributeValue{DataType: aws.String("Number"), StringValue: aws.String(fmt.Sprint(m.IntN(1e6) - 5e5))}
		case 3:
			attrs[name] = types.MessageAttributeValue{}
		default:
			attrs[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(m.text())}
		}
		if len(attrs) == 10 {
			break
		}
	}
	return attrs
}

// TestMalformedMessagesNeverStopTheConsumer: each of very many broken messages
// is acknowledged, dead-lettered with a reason, or postponed by the rule, and a
// sound one behind them still runs. CHASSIS_SCALE=full: a million.
func TestMalformedMessagesNeverStopTheConsumer(t *testing.T) {
	const batch = 2000
	malformed := sized(1_000_000, 8_000, batch)
	seed := rand.Uint64()
	t.Logf("seed %d, %d messages", seed, malformed)
	mut := mutator{rand.New(rand.NewPCG(seed, 0))}
	var done, dead, left int
	for sent := 0; sent < malformed; sent += batch {
		synctest.Test(t, func(t *testing.T) {
			system := newSystem()
			r := newRig(t, system, "pool", dispatcher.Settings{Workers: 20, MaxWorkers: 20, UnknownTasksRetries: 3})
			defer func() { r.down(); shutdown(system) }()
			ok := 0
			h := task.Erase(func(context.Context, task.Job[struct{ ID int }]) error { return nil })
			r.handle("t", h, task.MaxFailures(2))
			r.handle("sentinel", func(context.Context, raw) error { ok++; return nil })
			r.inspect(func(q *queue) {
				for range batch {
					q.messages = append(q.messages, q.made(mut.body(), mut.attributes(), "", 0))
				}
			})
			r.after(3 * time.Minute)
			r.send("sentinel", nil)
			r.settle()
			s := r.mon.Stats()
			for _, ts := range s.Tasks {
				if ts.Name == "t" {
					done += int(ts.Succeeded)
					ok += int(ts.Succeeded)
				}
			}
			if s.Status != dispatcher.Running || s.Running+s.Held+s.Queued+s.Settling != 0 {
				t.Fatalf("the consumer: %+v", s)
			}
			list := r.dead()
			for _, m := range list {
				if m.Reason == "" || m.LastError == "" {
					t.Fatalf("dead letter without a reason: %+v", m)
				}
			}
			n := 0
			r.inspect(func(q *queue) {
				for _, m := range q.messages {
					n++
					msg, _ := task.Decode(m.body, m.attrs)
					if !msg.When.After(time.Now()) && !msg.NotBefore.After(time.Now()) {
						t.Errorf("left without a reason to wait: %+v", msg)
					}
				}
			})
			dead, left = dead+len(list), left+n
			if ok+len(list)+n != batch+1 {
				t.Fatalf("%d done, %d dead, %d postponed of %d and a sound one", ok-1, len(list), n, batch)
			}
		})
	}
	t.Logf("%d acknowledged, %d dead-lettered, %d postponed", done, dead, left)
}
