package flow_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/flow"
)

// want fails the test unless that ran, in any order.
func (b *book) want(t *testing.T, want ...string) {
	t.Helper()
	got := b.all()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func begun(t *testing.T, flows *flow.Flows, f flow.Flow, opts ...flow.StartOption) string {
	t.Helper()
	id, err := flows.Start(t.Context(), f, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestMistakesAreErrorsOfTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, flows, _ := start(t)
		batch := flow.Batch(func(func(flow.Flow) bool) {})
		for name, f := range map[string]flow.Flow{
			"it is empty":                {},
			"a chain without links":      flow.Chain(),
			"member 0: it is empty":      flow.Group(flow.Flow{}),
			"the flow's to set":          flow.Task(work, arg{}, task.ExecID("x")),
			"the attribute \"flow\"":     flow.Task(work, arg{}, task.Attribute("flow", "x")),
			"cannot be JSON":             flow.Task(task.Define[func()]("f"), nil),
			"NeedAll is for a group":     w("a").NeedAll(),
			"has no undo":                w("a").Undo(u("b").Undo(u("c"))),
			"of one task":                flow.Chain(w("a"), w("b")).Undo(u("c")),
			"stands at the begin":        w("a").Then(batch),
			"not a member of a group":    flow.Group(batch),
			"without a sequence":         flow.Batch(nil),
			"must be at least 1":         flow.Task(task.Define[arg]("x", task.MaxFailures(0)), arg{}),
			"member 1: not a member":     flow.Batch(slices.Values([]flow.Flow{w("a"), flow.Chain()})),
			"it does not fit into a mes": flow.Chain(w("a"), flow.Task(work, arg{Name: noise(1 << 20)}), flow.Task(work, arg{Name: noise(1 << 20)})),
		} {
			if name == "member 1: not a member" {
				name = "member 1"
			}
			if _, err := flows.Start(t.Context(), f); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("want an error with %q, got %v", name, err)
			}
		}
		if err := flows.Continue(t.Context(), w("a")); err == nil {
			t.Error("a flow is continued outside of a task")
		}
		if err := flows.Cancel(t.Context(), ""); err == nil {
			t.Error("a flow without an id is cancelled")
		}
	})
}

// noise does not compress: nearly n bytes.
func noise(n int) string {
	var b strings.Builder
	for x := uint64(1); b.Len() < n; x = x*6364136223846793005 + 1442695040888963407 {
		fmt.Fprintf(&b, "%016x", x)
	}
	return b.String()[:n-4000]
}

func TestSecondNewIsAMistake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, _, _ := start(t)
		if _, err := flow.New(sys.System); err == nil {
			t.Error("a service has two flow.New")
		}
	})
}

// TestStartThatIsTriedAgainCallsBackOnce: the same id sends the same executions.
func TestStartThatIsTriedAgainCallsBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		f := flow.Group(w("a"), w("b")).Then(flow.Next(joined))
		begun(t, flows, f, flow.ID("order-7"), flow.Job("7", "order"))
		begun(t, flows, f, flow.ID("order-7"), flow.Job("7", "order"))
		idle(sys, flows)
		b.want(t, "a", "a", "b", "b", "joined 2 of 2, failed []")
		if len(b.execs) != 3 || !b.jobs["7/order"] || len(b.jobs) != 1 {
			t.Errorf("executions %v, jobs %v", b.execs, b.jobs)
		}
	})
}

// TestOnFailTaskIsNotPartOfTheFlow: it runs, and the member has failed all the same.
func TestOnFailTaskIsNotPartOfTheFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		def := task.Define[arg]("fragile", task.MaxFailures(1), task.OnFail("work"))
		chassis.Handle(sys.System, def, func(context.Context, task.Job[arg]) error { return errors.New("no") })
		begun(t, flows, flow.Group(flow.Task(def, arg{Name: "a"}), w("b")).Then(flow.Next(joined)))
		idle(sys, flows)
		b.want(t, "a", "b", "joined 1 of 2, failed [0]")
	})
}

// TestTaskThatNobodyKnowsFailsItsFlow: its dead letter reports, too.
func TestTaskThatNobodyKnowsFailsItsFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		begun(t, flows, flow.Group(flow.Task(task.Define[arg]("misspelt"), arg{}), w("b")).Then(flow.Next(joined)))
		idle(sys, flows)
		b.want(t, "b", "joined 1 of 2, failed [0]")
	})
}

// TestProcessWithoutFlowsLeavesThemToOthers: it would lose what follows.
func TestProcessWithoutFlowsLeavesThemToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		old := chassistest.New(t, chassistest.Beside(sys))
		before := &book{}
		register(old.System, before)
		if err := old.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun(t, flows, flow.Chain(w("a"), w("b")))
		time.Sleep(30 * time.Second) // the old process has the messages
		idle(sys, flows)
		before.want(t)
		b.want(t, "a", "b")
	})
}

// TestGarbageEndsNoFlow: on the flow's queue, and in the attribute of a task.
func TestGarbageEndsNoFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		begun(t, flows, flow.Group(w("a"), w("b")).Then(flow.Next(joined)))
		url, err := sys.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(flows.Queue())})
		if err != nil {
			t.Fatal(err)
		}
		for i, body := range []string{"garbage", "{}", `{"g":"other"}`, strings.Repeat("9", 100_000)} {
			if _, err := sys.SQS().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url.QueueUrl, MessageBody: &body,
				MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String(fmt.Sprint(i))}); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range []string{"z", "{", "null", `{"q":"x.fifo","s":{"g":"y","i":-5}}`} {
			chassistest.Send(sys, work, arg{Name: "c"}, task.Attribute(task.AttrFlow, v))
		}
		idle(sys, flows)
		b.want(t, "a", "b", "c", "c", "c", "c", "joined 2 of 2, failed []")
		logged := fmt.Sprint(sys.Logs())
		for _, want := range []string{"is not of a flow: it is deleted", "what follows it cannot be read"} {
			if !strings.Contains(logged, want) {
				t.Errorf("not logged: %s", want)
			}
		}
	})
}

// TestDeadLetterThatIsSentBackIsDone: while its group waits, the member counts as done.
func TestDeadLetterThatIsSentBackIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		broken := true
		def := task.Define[arg]("fragile", task.MaxFailures(1))
		chassis.Handle(sys.System, def, func(_ context.Context, job task.Job[arg]) error {
			if broken {
				return errors.New("no")
			}
			b.note(job.Info, "%s", job.Args.Name)
			return nil
		})
		begun(t, flows, flow.Group(flow.Task(def, arg{Name: "a"}),
			flow.Task(work, arg{Name: "b"}, task.At(time.Now().Add(3*time.Hour)))).Then(flow.Next(joined)))
		sys.WaitFor("", dispatcher.GivenUp)
		time.Sleep(time.Hour)
		broken = false
		for d, err := range sys.DeadLetters(t.Context()) {
			if err == nil {
				err = d.SendBack(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		idle(sys, flows)
		b.want(t, "a", "b", "joined 2 of 2, failed []")
	})
}

// TestGroupOfAMonthIsJoined: its reports are older than its queue keeps a message.
func TestGroupOfAMonthIsJoined(t *testing.T) {
	if os.Getenv("CHASSIS_SCALE") != "full" {
		t.Skip("it polls for a month: CHASSIS_SCALE=full")
	}
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		begun(t, flows, flow.Group(w("a"), bad("b"), flow.Task(work, arg{Name: "c"},
			task.At(time.Now().Add(30*24*time.Hour)))).Then(flow.Next(joined)))
		idle(sys, flows)
		b.want(t, "a", "c", "joined 2 of 3, failed [1]")
	})
}

// TestOrderedPool: links on a FIFO pool and on a standard one, in one flow.
func TestOrderedPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) {
			s.Tasks.Pools = map[string]chassis.PoolSettings{"ledger.fifo": {}}
		}))
		flows, err := flow.New(sys.System)
		if err != nil {
			t.Fatal(err)
		}
		b := &book{}
		register(sys.System, b)
		ledger := task.Pool("ledger.fifo")
		begun(t, flows, flow.Chain(flow.Task(work, arg{Name: "a"}, ledger), w("b"), flow.Group(
			flow.Task(work, arg{Name: "c"}, ledger, task.Group("x")), flow.Task(work, arg{Name: "d", Fail: 99}, ledger), w("e"),
		), flow.Next(joined, ledger)))
		idle(sys, flows)
		b.want(t, "a", "b", "c", "e", "joined 2 of 3, failed [1]")
	})
}

// TestResultThatDoesNotFit: the task that returns it fails, and says why.
func TestResultThatDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		def := task.Define[arg]("big", task.MaxFailures(1))
		chassis.Handle(sys.System, def, func(ctx context.Context, _ task.Job[arg]) error {
			return task.Return(ctx, strings.Repeat("x", task.MaxResult))
		})
		begun(t, flows, flow.Group(flow.Chain(flow.Task(def, arg{}), flow.Next(work))).Then(flow.Next(joined)))
		idle(sys, flows)
		b.want(t, "joined 0 of 1, failed [0]")
	})
}

// TestContinue: a link that finds out its members, and a task outside of any flow.
func TestContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		fan := task.Define[int]("fan")
		chassis.Handle(sys.System, fan, func(ctx context.Context, job task.Job[int]) error {
			return flows.Continue(ctx, flow.Batch(func(yield func(flow.Flow) bool) {
				for i := range job.Args {
					f := w(fmt.Sprint(i))
					if i == 1 {
						f = bad("one")
					}
					if !yield(f) {
						return
					}
				}
			}).Then(flow.Next(joined)))
		})
		begun(t, flows, flow.Chain(w("a").Undo(u("a")), flow.Task(fan, 3), w("b"), bad("c")))
		chassistest.Send(sys, fan, 2, task.ForJob("j", "k"))
		chassistest.Send(sys, fan, 0)
		idle(sys, flows)
		b.want(t, "a", "0", "2", "joined 2 of 3, failed [1]", "b", "undo a", // of the flow
			"0", "joined 1 of 2, failed [1]", "joined 0 of 0, failed []")
	})
}

// TestCancel: what has not begun is left out, and what is done is undone.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		other := chassistest.New(t, chassistest.Beside(sys), chassistest.Name("test")) // a fleet of two
		theirs, err := flow.New(other.System)
		if err != nil {
			t.Fatal(err)
		}
		register(other.System, b)
		if err := other.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		later := func(name string, d time.Duration) flow.Flow {
			return flow.Task(work, arg{Name: name}, task.At(time.Now().Add(d)))
		}
		id := begun(t, flows, flow.Chain(w("a").Undo(u("a")), flow.Group(w("b"), later("c", 9*time.Minute), later("d", time.Hour)).
			Undo(u("g")), flow.Next(joined)))
		begun(t, flows, flow.Chain(later("e", time.Hour), w("f")))
		// Of a flow that is not cancelled: a process reads the tags while it has work.
		begun(t, flows, flow.Group(later("g", 9*time.Minute), later("h", 59*time.Minute)))
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if err := theirs.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		idle(sys, flows)
		b.want(t, "a", "b", "c", "undo g", "undo a", "e", "f", "g", "h")
	})
}

// TestCancelsMakeRoom: a queue has 50 tags at most.
func TestCancelsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, flows, _ := start(t)
		for i := range 70 {
			if err := flows.Cancel(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			time.Sleep(time.Second)
		}
	})
}
