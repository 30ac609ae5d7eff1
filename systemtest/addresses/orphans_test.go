package addresses_test

import (
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

// orphan makes an inbox that no process has.
func orphan(t *testing.T, client *sqs.Client, id string) string {
	t.Helper()
	name := task.InboxPrefix(pool) + id
	if _, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name,
		Attributes: map[string]string{"VisibilityTimeout": "0"}}); err != nil {
		t.Fatal(err)
	}
	return name
}

// The inboxes of dead processes, empty and full, are removed within a minute; those of live
// ones, idle and busy, never are.
func TestOrphansAreSweptAndTheLivingAreNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var fleet []*chassistest.System
		for range 5 {
			sys := service(t, fleet, reachable)
			quotes(sys.System)
			fleet = append(fleet, sys)
		}
		start(t, fleet...)
		pass(10 * time.Minute)
		if got := inboxes(t, fleet[0].SQS()); len(got) != 5 {
			t.Fatalf("of five that live there are %v", got)
		}
		for _, id := range []string{"0000000000000000", "0000000000000001", "7777777777777777", "ffffffffffffffff"} {
			name := orphan(t, fleet[0].SQS(), id)
			if id == "7777777777777777" {
				for range 30 {
					body := `{"answer": {"id": "1"}}`
					if _, err := fleet[0].SQS().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &name, MessageBody: &body}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		busy := time.Now().Add(time.Minute)
		for time.Now().Before(busy) { // one of them asks all the time
			if _, err := ask(t.Context(), fleet[1], "tea"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got := inboxes(t, fleet[0].SQS()); len(got) != 5 {
			t.Errorf("a minute later there are %v", got)
		}
		swept := int64(0)
		for _, sys := range fleet {
			s := sys.Pools()[0].Addresses()
			if swept += s.Swept; s.Lost != 0 {
				t.Errorf("%+v", s)
			}
		}
		if swept < 4 {
			t.Errorf("%d were swept", swept)
		}
	})
}

// A process without an inbox, which has only answered, removes twenty orphans alone.
func TestOneThatHasAnsweredSweepsAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		worker := service(t, nil, nil)
		quotes(worker.System)
		start(t, worker)
		for i := range 20 {
			orphan(t, worker.SQS(), "00000000000000"+string(rune('a'+i/10))+string(rune('0'+i%10)))
		}
		chassistest.Send(worker, quote, item{}, task.AskedBy(task.Reply(task.InboxPrefix(pool)+"00000000000000a0", "1")))
		pass(time.Minute)
		if got := inboxes(t, worker.SQS()); len(got) != 0 {
			t.Errorf("%d are left", len(got))
		}
		if s := worker.Pools()[0].Addresses(); s.Inbox != "" || s.Swept != 20 {
			t.Errorf("%+v", s)
		}
	})
}

// A real asker is killed with its question under way: a minute later there is no queue of it.
func TestAKilledAskerLeavesNoQueue(t *testing.T) {
	if os.Getenv("CHASSIS_SCALE") != "full" {
		t.Skip("waits for a minute in real time: CHASSIS_SCALE=full; the tests above have simulated time")
	}
	killedAsker(t)
}
