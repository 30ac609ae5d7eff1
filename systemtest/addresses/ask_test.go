package addresses_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/addresses"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

// ask asks for a price.
func ask(ctx context.Context, sys *chassistest.System, name string, opts ...task.Option) (price, error) {
	return chassis.Ask[price](ctx, sys.System, quote, item{name}, opts...)
}

func TestAQuestionIsAnsweredByAnotherProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		worker := service(t, nil, nil)
		quotes(worker.System)
		asker := chassistest.New(t, chassistest.Beside(worker), chassistest.Name("web"))
		start(t, worker, asker)
		for range 3 {
			if got, err := ask(t.Context(), asker, "tea", task.Pool(pool)); err != nil || got.Cents != 300 {
				t.Errorf("%+v, %v", got, err)
			}
		}
		s := asker.Pools()[0].Addresses()
		if s.Asked != 3 || s.Answered != 3 || s.Dropped != 0 || s.Garbage != 0 {
			t.Errorf("%+v", s)
		}
		if err := asker.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := worker.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &s.Inbox}); err == nil {
			t.Errorf("the inbox %s is there after the stop", s.Inbox)
		}
	})
}

func TestATaskThatIsGivenUpAnswersWithItsFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := service(t, nil, nil)
		chassis.Handle(sys.System, quote, func(context.Context, task.Job[item]) error { return errors.New("out of stock") })
		start(t, sys)
		_, err := ask(t.Context(), sys, "tea")
		var failed *task.FailedError
		if !errors.As(err, &failed) || failed.Reason != task.ReasonExhausted || !strings.Contains(failed.Text, "out of stock") {
			t.Errorf("%v", err)
		}
		pass(time.Second)
		for d, err := range sys.DeadLetters(t.Context()) {
			if err != nil || d.Reply != "" {
				t.Errorf("the dead letter has the reply address %q, %v", d.Reply, err)
			}
		}
	})
}

func TestARetriedTaskAnswersOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := service(t, nil, nil)
		chassis.Handle(sys.System, quote, func(ctx context.Context, job task.Job[item]) error {
			if job.Attempt == 1 {
				return task.RetryAfter(errors.New("not yet"), time.Hour) // by a copy, which keeps the address
			}
			return task.Return(ctx, price{1})
		})
		start(t, sys)
		if got, err := ask(t.Context(), sys, "tea"); err != nil || got.Cents != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		if s := sys.Pools()[0].Addresses(); s.Answered != 1 || s.Dropped != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestALateAnswerIsDroppedAndCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := service(t, nil, nil)
		chassis.Handle(sys.System, quote, func(ctx context.Context, job task.Job[item]) error {
			time.Sleep(time.Minute)
			return task.Return(ctx, price{1})
		})
		start(t, sys)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := ask(ctx, sys, "tea")
		var none *addresses.NoAnswerError
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &none) || none.ExecID == "" {
			t.Errorf("%v", err)
		}
		pass(2 * time.Minute)
		if s := sys.Pools()[0].Addresses(); s.Abandoned != 1 || s.Dropped != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Garbage in the inbox, and an answer that comes twice, cost nothing.
func TestWhatNobodyAskedForIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := service(t, nil, nil)
		quotes(sys.System)
		start(t, sys)
		if _, err := ask(t.Context(), sys, "tea"); err != nil {
			t.Fatal(err)
		}
		in := sys.Pools()[0].Addresses().Inbox
		for _, body := range []string{"{", "[]", `"x"`, `{"answer": {"id": "x"}}`, `{"answer": {"id": "x"}}`, `{"notices": [{}]}`, "{}",
			`{"notices": [{"exec_id": "` + strings.Repeat("x", 300) + `"}]}`, `{"hello": "other-tasks"}`} {
			if _, err := sys.SQS().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &in, MessageBody: &body}); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Second)
		if s := sys.Pools()[0].Addresses(); s.Dropped != 2 || s.Garbage != 5 {
			t.Errorf("%+v", s)
		}
		if _, err := ask(t.Context(), sys, "tea"); err != nil {
			t.Error(err)
		}
	})
}

// A message may ask for its answer anywhere: it goes to inboxes only.
func TestNoAnswerGoesToAnotherQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := service(t, nil, nil)
		quotes(sys.System)
		start(t, sys)
		for _, reply := range []string{pool + "/1", "other-inbox-1/2", "shop-tasks-inbox-0123456789abcdef/x", "/", "x"} {
			chassistest.Send(sys, quote, item{"tea"}, task.AskedBy(reply))
		}
		pass(time.Minute)
		for _, o := range sys.Outcomes() {
			if o.State != chassistest.Succeeded {
				t.Errorf("%+v", o)
			}
		}
		if n := len(sys.Outcomes()); n != 5 {
			t.Errorf("%d tasks have run", n)
		}
		if got := inboxes(t, sys.SQS()); len(got) != 0 {
			t.Errorf("an answer has made a queue: %v", got)
		}
		if p, ok := sys.Pools()[0].Poller(); !ok || p.LeftOut != 1 || len(p.Refused) != 0 {
			t.Errorf("%+v", p)
		}
		if r := sys.Ready(t.Context()); len(r.Reasons) > 0 {
			t.Errorf("%+v", r)
		}
	})
}

func TestAQuestionDuringTheStopEndsWithIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := service(t, nil, nil)
		start(t, sys)
		ended := make(chan error, 1)
		go func() {
			_, err := ask(context.Background(), sys, "tea", task.Pool("elsewhere"))
			ended <- err
		}()
		pass(time.Second)
		if err := sys.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, chassis.ErrStopped) {
			t.Errorf("the one that waited: %v", err)
		}
		if _, err := ask(t.Context(), sys, "tea"); !errors.Is(err, chassis.ErrStopped) {
			t.Errorf("one after the stop: %v", err)
		}
	})
}

// Two handlers ask while their process drains: both have their answers.
func TestAHandlerAsksToTheEndOfTheDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		worker := chassistest.New(t, chassistest.Name("worker"))
		quotes(worker.System)
		sys := service(t, []*chassistest.System{worker}, nil)
		basket := task.Define[item]("basket")
		begun := make(chan struct{})
		chassis.Handle(sys.System, basket, func(ctx context.Context, job task.Job[item]) error {
			close(begun)
			time.Sleep(5 * time.Second)
			_, err := ask(ctx, sys, "tea", task.Pool("worker-tasks"))
			return err
		})
		start(t, worker, sys)
		id := chassistest.Send(sys, basket, item{})
		<-begun
		if err := sys.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		sys.AssertSucceeded(id)
	})
}

// An asker whose inbox others have removed, as it was suspended, knows that at once.
func TestAnInboxThatIsLostEndsItsQuestions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := service(t, nil, nil)
		quotes(sys.System)
		start(t, sys)
		if _, err := ask(t.Context(), sys, "tea"); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := ask(context.Background(), sys, "tea", task.Pool("elsewhere"))
			ended <- err
		}()
		pass(time.Second)
		before := sys.Pools()[0].Addresses().Inbox
		if _, err := sys.SQS().DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &before}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, addresses.ErrInboxLost) {
			t.Errorf("%v", err)
		}
		if got, err := ask(t.Context(), sys, "tea"); err != nil || got.Cents != 300 {
			t.Errorf("the next question: %+v, %v", got, err)
		}
		if s := sys.Pools()[0].Addresses(); s.Lost != 1 || s.Inbox == before {
			t.Errorf("%+v", s)
		}
	})
}

func TestAQuestionThatCannotBeAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := service(t, nil, func(s *chassis.Settings) { s.Tasks.MissingQueue = "error" })
		if _, err := sys.SQS().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new(pool)}); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(t.Context(), sys, "tea"); err == nil || !strings.Contains(err.Error(), "not started") {
			t.Errorf("before the start: %v", err)
		}
		quotes(sys.System)
		start(t, sys)
		if _, err := ask(t.Context(), sys, "tea"); err == nil || !strings.Contains(err.Error(), "missing_queue") {
			t.Errorf("without the right to make a queue: %v", err)
		}
	})
}

func TestAResultThatIsTooLargeIsAFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := service(t, nil, nil)
		chassis.Handle(sys.System, quote, func(ctx context.Context, job task.Job[item]) error {
			return task.Return(ctx, strings.Repeat("x", task.MaxResult))
		})
		start(t, sys)
		if _, err := ask(t.Context(), sys, "tea"); err == nil || !strings.Contains(err.Error(), "put the data elsewhere") {
			t.Errorf("%v", err)
		}
		chassis.Handle(sys.System, quote, func(ctx context.Context, job task.Job[item]) error {
			return task.Return(ctx, strings.Repeat("x", task.MaxResult-2))
		})
		if got, err := chassis.Ask[string](t.Context(), sys.System, quote, item{}); err != nil || len(got) != task.MaxResult-2 {
			t.Errorf("the largest: %d, %v", len(got), err)
		}
		if _, err := ask(t.Context(), sys, "tea"); err == nil || !strings.Contains(err.Error(), "does not fit") {
			t.Errorf("another type: %v", err)
		}
	})
}

// The address of the answer is invisible to a handler, and to consumers in Python, which
// ignore what begins with chassis.
func TestTheAddressIsInvisible(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := service(t, nil, nil)
		chassis.Handle(sys.System, quote, func(ctx context.Context, job task.Job[item]) error {
			if len(job.Extra) > 0 {
				t.Errorf("the handler sees %v", job.Extra)
			}
			return nil
		})
		start(t, sys)
		if got, err := ask(t.Context(), sys, "tea"); err != nil || got != (price{}) {
			t.Errorf("without a result: %+v, %v", got, err)
		}
		out, err := task.Encode("x", nil, time.Now(), task.AskedBy("a-inbox-0123456789abcdef/1"))
		if err != nil {
			t.Fatal(err)
		}
		extra := 0
		for name := range out.Attributes {
			if name != "task_name" && name != "exec_id" && name != "when" && name != "job_id" && name != "job_name" {
				extra++
			}
		}
		if extra != 1 || out.Attributes["chassis.reply"].DataType == nil || out.Body != "null" {
			t.Errorf("%v", out.Attributes)
		}
	})
}
