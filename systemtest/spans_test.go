package systemtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// traced is a system whose spans are recorded. stop ends it, after which the
// spans are all there.
type traced struct {
	*chassis.System
	recorder *tracetest.SpanRecorder
	tracer   trace.Tracer
	log      bytes.Buffer
	t        *testing.T
}

func newTraced(t *testing.T) *traced {
	t.Helper()
	r := &traced{recorder: tracetest.NewSpanRecorder(), t: t}
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(r.recorder))
	r.tracer = provider.Tracer("test")
	s := chassis.DefaultSettings()
	s.Log.Level = "debug"
	var err error
	r.System, err = chassis.New("mailer", chassis.WithSettings(s), chassis.WithLogOutput(&r.log), chassis.WithoutDefaultLogger(),
		chassis.WithTracing(provider), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
}

func (r *traced) stop() {
	r.t.Helper()
	if err := r.Stop(context.Background()); err != nil {
		r.t.Error(err)
	}
	if r.t.Failed() {
		r.t.Logf("the log:\n%s", &r.log)
		for _, s := range r.recorder.Ended() {
			r.t.Logf("%-28s %s of %s, links %d, %v %v", s.Name(), s.SpanContext().SpanID(), s.Parent().SpanID(), len(s.Links()), s.Status(), s.Attributes())
		}
	}
}

// named returns the ended spans of a name, in the order of their beginning.
func (r *traced) named(name string, n int) []sdk.ReadOnlySpan {
	r.t.Helper()
	var found []sdk.ReadOnlySpan
	for _, s := range r.recorder.Ended() {
		if s.Name() == name {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b sdk.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	if len(found) != n {
		r.t.Fatalf("%d spans %q, want %d", len(found), name, n)
	}
	return found
}

func value(attrs []attribute.KeyValue, key string) string {
	for _, kv := range attrs {
		if string(kv.Key) == key {
			return kv.Value.String()
		}
	}
	return ""
}

// awaitSettled lets n messages be settled.
func awaitSettled(t *testing.T, events *dispatcher.Subscription, n int) {
	t.Helper()
	for n > 0 {
		select {
		case e := <-events.C:
			if e.Kind == dispatcher.SettledWell {
				n--
			}
		case <-t.Context().Done():
			t.Fatal("the test's time is over")
		}
	}
}

// TestAJobIsOneTrace follows a job over the real road: sent, received, run,
// a call through a breaker, another task sent from within, that one's failure
// and retry, and both settled.
func TestAJobIsOneTrace(t *testing.T) {
	r := newTraced(t)
	events := r.Tasks().Events(100)
	defer events.Close()
	mail := r.Breaker("https://mail.internal")
	order := task.Define[kit.Greeting]("order")
	receipt := task.Define[kit.Greeting]("receipt", task.MaxFailures(3), task.Wait(0, task.None))
	chassis.Handle(r.System, order, func(ctx context.Context, job task.Job[kit.Greeting]) error {
		r.Logger("order").InfoContext(ctx, "charging")
		if err := mail.Do(ctx, "/charge?card=4111", func(ctx context.Context) error {
			_, inner := r.tracer.Start(ctx, "inside")
			inner.End()
			return nil
		}); err != nil {
			return err
		}
		_, err := chassis.Send(ctx, r.System, receipt, job.Args)
		return err
	})
	chassis.Handle(r.System, receipt, func(_ context.Context, job task.Job[kit.Greeting]) error {
		if job.Attempt == 1 {
			panic("the printer is on fire")
		}
		return nil
	})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, request := r.tracer.Start(t.Context(), "request")
	execID, err := chassis.Send(ctx, r.System, order, kit.Greeting{To: "a secret of the body"}, task.ForJob("7", "spring"))
	if err != nil {
		t.Fatal(err)
	}
	request.End()
	awaitSettled(t, events, 2)
	r.stop()

	sends := r.named("send mailer-tasks", 2)
	run := r.named("process order", 1)[0]
	call, inside := r.named("breaker https://mail.internal", 1)[0], r.named("inside", 1)[0]
	runs := r.named("process receipt", 2)
	for _, step := range []struct {
		what          string
		child, parent trace.SpanContext
	}{
		{"sending, of the request", sends[0].Parent(), request.SpanContext()},
		{"running, of sending", run.Parent(), sends[0].SpanContext()},
		{"the breaker's call, of running", call.Parent(), run.SpanContext()},
		{"what is in it, of the call", inside.Parent(), call.SpanContext()},
		{"sending from within, of running", sends[1].Parent(), run.SpanContext()},
		{"running the second, of its sending", runs[0].Parent(), sends[1].SpanContext()},
		{"its retry, of its sending", runs[1].Parent(), sends[1].SpanContext()},
	} {
		if step.child.SpanID() != step.parent.SpanID() || step.child.TraceID() != request.SpanContext().TraceID() {
			t.Errorf("%s: parent %s, want %s", step.what, step.child.SpanID(), step.parent.SpanID())
		}
	}
	for _, s := range []sdk.ReadOnlySpan{run, runs[0], runs[1]} {
		if len(s.Links()) != 1 || s.Links()[0].SpanContext.SpanID() != s.Parent().SpanID() {
			t.Errorf("%s links to %v, want what its message was made in", s.Name(), s.Links())
		}
	}
	for _, c := range []struct {
		span sdk.ReadOnlySpan
		kind trace.SpanKind
		want map[string]string
	}{
		{sends[0], trace.SpanKindProducer, map[string]string{"messaging.operation.type": "send", "messaging.operation.name": "send"}},
		{run, trace.SpanKindConsumer, map[string]string{
			"messaging.operation.type": "process", "chassis.exec_id": execID, "chassis.job_id": "7", "chassis.job_name": "spring",
			"chassis.attempt": "1", "chassis.outcome": "done", "chassis.next": "finished",
		}},
		{runs[0], trace.SpanKindConsumer, map[string]string{
			"chassis.attempt": "1", "chassis.outcome": "failed", "chassis.next": "held", "error.type": "panic", "chassis.job_id": "7",
		}},
		{runs[1], trace.SpanKindConsumer, map[string]string{"chassis.attempt": "2", "chassis.outcome": "done", "chassis.failures": "1"}},
	} {
		if c.span.SpanKind() != c.kind {
			t.Errorf("%s is %v", c.span.Name(), c.span.SpanKind())
		}
		c.want["messaging.system"], c.want["messaging.destination.name"] = "aws_sqs", "mailer-tasks"
		for key, want := range c.want {
			if got := value(c.span.Attributes(), key); got != want {
				t.Errorf("%s: %s is %q, want %q", c.span.Name(), key, got, want)
			}
		}
		if value(c.span.Attributes(), "messaging.message.id") == "" {
			t.Errorf("%s names no message", c.span.Name())
		}
	}
	if got := value(run.Attributes(), "messaging.message.id"); got != value(sends[0].Attributes(), "messaging.message.id") {
		t.Errorf("ran message %s", got)
	}
	if s := runs[0]; s.Status().Code != codes.Error || len(s.Events()) != 1 || !strings.Contains(value(s.Events()[0].Attributes, "exception.stacktrace"), "spans_test.go") {
		t.Errorf("the panic is told as %+v %v", s.Status(), s.Events())
	}
	if s := runs[1]; s.Status().Code != codes.Unset {
		t.Errorf("what went well has the status %+v", s.Status())
	}
	for what, linked := range map[string][]trace.SpanContext{
		"receive mailer-tasks": {sends[0].SpanContext(), sends[1].SpanContext()},
		"settle mailer-tasks":  {run.SpanContext(), runs[1].SpanContext()}, // the last attempt of each
	} {
		for _, want := range linked {
			found := 0
			for _, s := range r.recorder.Ended() {
				for _, l := range s.Links() {
					if s.Name() == what && l.SpanContext.SpanID() == want.SpanID() && value(l.Attributes, "messaging.message.id") != "" &&
						value(s.Attributes(), "messaging.batch.message_count") != "" && s.SpanKind() == trace.SpanKindClient {
						found++
					}
				}
			}
			if found != 1 {
				t.Errorf("%d spans %q link to %s, want 1", found, what, want.SpanID())
			}
		}
	}
	r.tellNothing("secret", "4111", "To\"")
	charged := r.record("charging")
	if charged["trace_id"] != run.SpanContext().TraceID().String() && !strings.Contains(fmt.Sprint(charged), run.SpanContext().TraceID().String()) {
		t.Errorf("the log's record has no trace: %v", charged)
	}
}

// tellNothing looks for words of bodies and URLs in everything that is recorded.
func (r *traced) tellNothing(words ...string) {
	r.t.Helper()
	for _, s := range r.recorder.Ended() {
		text := fmt.Sprint(s.Name(), s.Attributes(), s.Links(), s.Status())
		for _, w := range words {
			if strings.Contains(text, w) {
				r.t.Errorf("%s tells %q: %s", s.Name(), w, text)
			}
		}
	}
}

// record is the log's record with a message.
func (r *traced) record(message string) map[string]any {
	r.t.Helper()
	for line := range strings.Lines(r.log.String()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil && (record["message"] == message || record["msg"] == message) {
			return record
		}
	}
	r.t.Fatalf("no record %q in\n%s", message, &r.log)
	return nil
}

// TestHowAttemptsEndIsOnTheirSpans also follows a dead letter and a task of the
// Python chassis, which knows of no traces.
func TestHowAttemptsEndIsOnTheirSpans(t *testing.T) {
	r := newTraced(t)
	events := r.Tasks().Events(100)
	defer events.Close()
	down := r.Breaker("https://down.internal")
	if err := down.ForceOpen("", 0); err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{})
	handlers := map[string]func(ctx context.Context) error{
		"cancel": func(context.Context) error { return task.Cancel(errors.New("no such address")) },
		"snooze": func(context.Context) error { return task.Snooze(time.Hour) },
		"refuse": func(ctx context.Context) error {
			return down.Do(ctx, "/", func(context.Context) error { return nil })
		},
		"overdue": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"python":  func(context.Context) error { close(gate); return nil },
	}
	for name, h := range handlers {
		policies := []task.Policy{task.MaxFailures(1)}
		if name == "overdue" {
			policies = append(policies, task.Deadline(time.Millisecond))
		}
		chassis.Handle(r.System, task.Define[any](name, policies...), func(ctx context.Context, _ task.Job[any]) error { return h(ctx) })
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name := range handlers {
		if name != "python" {
			if _, err := r.Send(t.Context(), name, map[string]any{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	url, err := r.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("mailer-tasks")})
	if err != nil {
		t.Fatal(err)
	}
	str := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
	}
	if _, err := r.SQS().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url.QueueUrl, MessageBody: aws.String("{}"),
		MessageAttributes: map[string]types.MessageAttributeValue{"task_name": str("python"), "exec_id": str("e"), "job_id": str("1"), "job_name": str("n"), "when": str("01/01/26 00:00:00")}}); err != nil {
		t.Fatal(err)
	}
	<-gate
	awaitSettled(t, events, 4) // refuse waits in place: a breaker that is open for good is asked once a second
	r.stop()
	for name, want := range map[string][4]string{
		"cancel":  {"cancelled", "given_up", "cancelled", "Error"},
		"snooze":  {"snoozed", "given_back", "", "Unset"},
		"refuse":  {"refused", "held", "breaker_open", "Unset"},
		"overdue": {"failed", "given_up", "deadline_exceeded", "Error"},
		"python":  {"done", "finished", "", "Unset"},
	} {
		for _, s := range r.recorder.Ended() {
			if s.Name() == "process "+name {
				a := s.Attributes()
				got := [4]string{value(a, "chassis.outcome"), value(a, "chassis.next"), value(a, "error.type"), s.Status().Code.String()}
				if got != want {
					t.Errorf("%s ended as %q, want %q", name, got, want)
				}
			}
		}
	}
	python := r.named("process python", 1)[0]
	if python.Parent().IsValid() || len(python.Links()) != 0 {
		t.Errorf("a task from nowhere has the parent %v", python.Parent())
	}
	settled := 0
	for _, s := range r.named("settle mailer-tasks", len(r.find("settle mailer-tasks"))) {
		for _, l := range s.Links() {
			if l.SpanContext.SpanID() == python.SpanContext().SpanID() {
				settled++
			}
		}
	}
	if settled != 1 {
		t.Errorf("%d settlements link to it", settled)
	}
	for _, s := range r.named("send mailer-tasks_dead", 2) {
		if len(s.Links()) != 1 || s.SpanKind() != trace.SpanKindClient {
			t.Errorf("a dead letter's sending links to %v", s.Links())
		}
	}
	if refused := r.named("breaker https://down.internal", 1)[0]; value(refused.Attributes(), "chassis.breaker.refused") != "true" {
		t.Errorf("refused: %v", refused.Attributes())
	}
}

func (r *traced) find(name string) (found []sdk.ReadOnlySpan) {
	for _, s := range r.recorder.Ended() {
		if s.Name() == name {
			found = append(found, s)
		}
	}
	return found
}

// TestManyAreSentInOneSpanEachPool: their messages carry its context, but those
// that have one of their own.
func TestManyAreSentInOneSpanEachPool(t *testing.T) {
	r := newTraced(t)
	const own = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	sent, err := r.SendMany(t.Context(), []chassis.Task{
		{Name: "a", Args: 1, Options: []task.Option{task.Pool("one")}},
		{Name: "b", Args: 2, Options: []task.Option{task.Pool("one"), task.TraceParent(own)}},
		{Name: "c", Args: 3, Options: []task.Option{task.Pool("two")}},
		{Name: "d", Args: func() {}, Options: []task.Option{task.Pool("two")}},
	})
	if err == nil || sent[3].Err == nil {
		t.Fatalf("%v %v", err, sent)
	}
	one, two := r.named("send one", 1)[0], r.named("send two", 1)[0]
	if value(one.Attributes(), "messaging.batch.message_count") != "2" || one.Status().Code != codes.Unset ||
		len(one.Links()) != 1 || one.Links()[0].SpanContext.SpanID().String() != "00f067aa0ba902b7" {
		t.Errorf("%v %v %v", one.Attributes(), one.Links(), one.Status())
	}
	if two.Status().Code != codes.Error || value(two.Attributes(), "error.type") != "*json.UnsupportedTypeError" {
		t.Errorf("%v %v", two.Attributes(), two.Status())
	}
	parents := map[string]string{}
	for _, pool := range []string{"one", "two"} {
		for _, m := range receiveAll(t, r.System, pool) {
			parents[*m.MessageAttributes["task_name"].StringValue] = *m.MessageAttributes["traceparent"].StringValue
		}
	}
	for name, span := range map[string]string{"a": one.SpanContext().SpanID().String(), "b": "00f067aa0ba902b7", "c": two.SpanContext().SpanID().String()} {
		if !strings.Contains(parents[name], span) {
			t.Errorf("%s carries %s, want span %s", name, parents[name], span)
		}
	}
}

// receiveAll takes the messages of a pool with all that they carry.
func receiveAll(t *testing.T, sys *chassis.System, pool string) []types.Message {
	t.Helper()
	url, err := sys.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &pool})
	if err != nil {
		t.Fatal(err)
	}
	out, err := sys.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, MaxNumberOfMessages: 10,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

// TestTheTraceTravelsInBothForms: as traceparent, and as the AWSTraceHeader that
// X-Ray and AWS's own services know; a message with the second alone is in its
// trace too. No tracing is needed for that.
func TestTheTraceTravelsInBothForms(t *testing.T) {
	sys, _ := kit.NewSystem(t, nil)
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0x57, 0x59, 15: 1}, SpanID: trace.SpanID{7: 9}, TraceFlags: trace.FlagsSampled})
	ctx := trace.ContextWithSpanContext(t.Context(), sc)
	if _, err := sys.Send(ctx, "a", 1, task.Pool("others")); err != nil {
		t.Fatal(err)
	}
	if _, err := sys.Send(t.Context(), "b", 1, task.Pool("others")); err != nil {
		t.Fatal(err)
	}
	for _, m := range receiveAll(t, sys, "others") {
		want, attributes := "Root=1-57590000-000000000000000000000001;Parent=0000000000000009;Sampled=1", 6
		if *m.MessageAttributes["task_name"].StringValue == "b" {
			want, attributes = "", 5
		}
		if got := m.Attributes["AWSTraceHeader"]; got != want || len(m.MessageAttributes) != attributes {
			t.Errorf("header %q, attributes %v", got, m.MessageAttributes)
		}
	}
	got := make(chan trace.SpanContext, 1)
	chassis.Handle(sys, task.Define[any]("aws"), func(ctx context.Context, _ task.Job[any]) error {
		got <- trace.SpanContextFromContext(ctx)
		return nil
	})
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	url, err := sys.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("mailer-tasks")})
	if err != nil {
		t.Fatal(err)
	}
	header, name := task.AWSTraceHeader(sc), "aws"
	if _, err := sys.SQS().SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: url.QueueUrl, MessageBody: aws.String("{}"),
		MessageAttributes:       map[string]types.MessageAttributeValue{"task_name": {DataType: aws.String("String"), StringValue: &name}},
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: &header}},
	}); err != nil {
		t.Fatal(err)
	}
	if in := <-got; in.TraceID() != sc.TraceID() || in.SpanID() != sc.SpanID() || !in.IsSampled() || !in.IsRemote() {
		t.Errorf("ran in %+v", in)
	}
}

// TestSpansUseTheWordsOfTheConventions holds our names against OpenTelemetry's.
func TestSpansUseTheWordsOfTheConventions(t *testing.T) {
	r := newTraced(t)
	if _, err := r.Send(t.Context(), "a", 1, task.Pool("others")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.SendMany(t.Context(), []chassis.Task{{Name: "a", Options: []task.Option{task.Pool("NOT A QUEUE")}}}); err == nil {
		t.Fatal("no error")
	}
	a, b := r.named("send others", 1)[0].Attributes(), r.named("send NOT A QUEUE", 1)[0].Attributes()
	for _, kv := range []attribute.KeyValue{
		semconv.MessagingSystemAWSSQS, semconv.MessagingDestinationName("others"), semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("send"),
	} {
		if !slices.Contains(a, kv) {
			t.Errorf("%v is not among %v", kv, a)
		}
	}
	for _, key := range []attribute.Key{semconv.MessagingMessageIDKey} {
		if value(a, string(key)) == "" {
			t.Errorf("%s is not among %v", key, a)
		}
	}
	for _, key := range []attribute.Key{semconv.MessagingBatchMessageCountKey, semconv.ErrorTypeKey} {
		if value(b, string(key)) == "" {
			t.Errorf("%s is not among %v", key, b)
		}
	}
}

// A tick has the span of its send, as any task, and its run belongs to that trace.
func TestATickIsOneTrace(t *testing.T) {
	r := newTraced(t)
	ran := make(chan string, 8)
	tick := task.Define[kit.Payload]("tick")
	chassis.Handle(r.System, tick, func(ctx context.Context, job task.Job[kit.Payload]) error {
		ran <- trace.SpanContextFromContext(ctx).TraceID().String()
		return nil
	})
	chassis.Every(r.System, tick, kit.Payload{}, "@every 1s", cron.Name("each-second"))
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := <-ran
	r.stop()
	var sends []sdk.ReadOnlySpan
	for _, s := range r.recorder.Ended() {
		if s.SpanContext().TraceID().String() == id && s.SpanKind() == trace.SpanKindProducer {
			sends = append(sends, s)
		}
	}
	if len(sends) != 1 || !strings.HasSuffix(sends[0].Name(), "-cron.fifo") {
		t.Fatalf("the trace %s of a tick has the sends %v", id, sends)
	}
	if n := value(sends[0].Attributes(), "messaging.batch.message_count"); n != "1" {
		t.Errorf("its send has %q messages", n)
	}
}
