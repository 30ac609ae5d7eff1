package systemtest_test

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// A task actor stopped its parent, the dispatcher, and Stop waited for its answer
// long after the end of its ctx.
func TestAStopKeepsItsContextWhoeverHasGone(t *testing.T) {
	for _, gone := range []string{"dispatcher/test-tasks", "poller/test-tasks", "logger", "stock"} {
		t.Run(gone, func(t *testing.T) {
			kit.Bubble(t, func(t *testing.T) {
				queue, err := localsqs.New()
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = queue.Close() }()
				sys, err := chassis.New("test", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithEmbedded(queue),
					chassis.WithoutDefaultLogger(), chassis.WithLogOutput(io.Discard), kit.ForTests)
				if err != nil {
					t.Fatal(err)
				}
				hangs := make(chan struct{})
				sys.Register("work", actor.PropsFromFunc(func(c actor.Context) {
					if _, ok := c.Message().(*dispatcher.Execute); ok {
						c.Stop(sys.PID(gone))
						<-hangs
					}
				}))
				if _, err := sys.Spawn(kit.Idle(), "stock"); err != nil {
					t.Fatal(err)
				}
				if err := sys.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := sys.Send(t.Context(), "work", struct{}{}); err != nil {
					t.Fatal(err)
				}
				kit.Pass(5 * time.Second)
				ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
				defer cancel()
				began := time.Now()
				err = sys.Stop(ctx)
				if took := time.Since(began); took > 22*time.Second {
					t.Errorf("with a ctx of 12 s Stop took %v: %v", took.Round(time.Second), err)
				}
				close(hangs)
			})
		})
	}
}

// Stop waited for a long poll of the embedded queue, up to 20 s.
func TestAStopCutsALongPollOfTheEmbeddedQueueShort(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) { s.Tasks.ReceiveWait = 20 * time.Second }))
		sys.Register("work", kit.Done())
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		kit.Pass(2 * time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if err := sys.Stop(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("Stop took %v", took)
		}
	})
}

// TestNoMessageIsLeftInvisibleByAStop stops a system at random moments while a
// thousand messages a second come in. After each stop no message may be hidden:
// one that was received and not run would be lost for a whole lease.
// CHASSIS_SCALE=full makes a thousand stops of the 25.
func TestNoMessageIsLeftInvisibleByAStop(t *testing.T) {
	stops := 25
	if os.Getenv("CHASSIS_SCALE") == "full" {
		stops = 1000
	}
	took := stopUnderLoad(t, stops)
	t.Logf("%d stops: median %v, longest %v", stops, took[len(took)/2], took[len(took)-1])
}

// TestStopsAreShort makes the same stops in simulated time, where a busy machine
// makes none longer: each ends within the drain's limit and a second.
func TestStopsAreShort(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		took := stopUnderLoad(t, 25)
		if longest := took[len(took)-1]; longest > drainOfStops+time.Second {
			t.Errorf("the longest stop took %v, more than the drain limit and a second (%v)", longest, drainOfStops+time.Second)
		}
	})
}

// queueOf makes an embedded queue, for systems that are not its only users.
func queueOf(t *testing.T, name string) (*sqs.Client, *sqs.CreateQueueOutput) {
	t.Helper()
	srv, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() }) // in memory
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(srv.HTTPClient()))
	if err != nil {
		t.Fatal(err)
	}
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return client, made
}

// drainOfStops is the time that a stop gives to handlers in stopUnderLoad.
const drainOfStops = time.Second

// stopUnderLoad starts and stops a system while messages come in, and fails the
// test if a stop leaves one hidden. It returns how long the stops took, sorted.
func stopUnderLoad(t *testing.T, stops int) []time.Duration {
	client, made := queueOf(t, "mailer-tasks")
	flood, end := context.WithCancel(t.Context())
	flooded := make(chan error, 1)
	go func() { flooded <- sendThousandASecond(flood, client, made.QueueUrl) }()
	defer func() {
		end()
		if err := <-flooded; err != nil {
			t.Error(err)
		}
	}()

	s := chassis.DefaultSettings()
	s.Tasks.TaskPool, s.Tasks.Workers, s.Tasks.ReceiveWait, s.Log.Level = "mailer-tasks", 20, time.Second, "error"
	s.Tasks.DrainTimeout, s.Tasks.AbandonAfter = drainOfStops, 500*time.Millisecond
	var took []time.Duration
	for i := range stops {
		sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithSQS(client), chassis.WithLogOutput(t.Output()),
			chassis.WithoutDefaultLogger(), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
		if err != nil {
			t.Fatal(err)
		}
		chassis.Handle(sys, task.Define[kit.Greeting]("greet"), func(ctx context.Context, _ task.Job[kit.Greeting]) error {
			select {
			case <-time.After(time.Duration(rand.IntN(20)) * time.Millisecond):
			case <-ctx.Done():
			}
			return nil
		})
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(rand.IntN(50)) * time.Millisecond)
		begun := time.Now()
		if err := sys.Stop(context.Background()); err != nil {
			t.Errorf("stop %d: %v", i, err)
		}
		took = append(took, time.Since(begun))
		out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl,
			AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessagesNotVisible}})
		if err != nil {
			t.Fatal(err)
		}
		if n := out.Attributes["ApproximateNumberOfMessagesNotVisible"]; n != "0" {
			t.Errorf("stop %d left %s messages invisible", i, n)
		}
	}
	slices.Sort(took)
	return took
}

func sendThousandASecond(ctx context.Context, client *sqs.Client, url *string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	greet := task.Define[kit.Greeting]("greet")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		entries := make([]types.SendMessageBatchRequestEntry, 10)
		for i := range entries {
			out, err := greet.Encode(time.Now(), kit.Greeting{To: "x"})
			if err != nil {
				return err
			}
			entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &out.Body, MessageAttributes: out.Attributes}
		}
		if _, err := client.SendMessageBatch(context.WithoutCancel(ctx), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries}); err != nil {
			return err
		}
	}
}

// TestNoReplacementOutlivesTheStop: as of a supervisor that reports its drain while
// the worker that it has just replaced lives on, garrytan/gbrain#2921.
func TestNoReplacementOutlivesTheStop(t *testing.T) {
	for _, when := range []string{"before", "meanwhile"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys, err := chassis.New("test", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(io.Discard),
					chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
				if err != nil {
					t.Fatal(err)
				}
				block := make(chan struct{})
				chassis.Handle(sys, task.Define[any]("slow"), func(context.Context, task.Job[any]) error { <-block; return nil })
				if err := sys.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				actors := []*actor.PID{sys.PID("dispatcher/test-tasks"), sys.PID("poller/test-tasks")}
				kill := func() {
					for _, pid := range actors {
						sys.Actors().Root.Stop(pid)
					}
				}
				if when == "before" {
					kill()
				} else {
					if _, err := sys.Send(t.Context(), "slow", nil); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					time.AfterFunc(5*time.Second, kill)
				}
				begun := time.Now()
				err = sys.Stop(context.Background())
				if took := time.Since(begun); took > time.Minute {
					t.Errorf("the stop took %v: %v", took, err)
				}
				synctest.Wait()
				for _, pid := range actors {
					if _, alive := sys.Actors().ProcessRegistry.GetLocal(pid.Id); alive {
						t.Errorf("%s lives on after the stop (%v)", pid.Id, err)
					}
				}
				close(block)
				time.Sleep(time.Minute) // on the bubble's clock: timers run out
			})
		})
	}
}
