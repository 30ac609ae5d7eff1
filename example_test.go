package chassis_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// The spans of one job, from its sending over its run to a call of another
// service. A program gives an exporter where this one records in memory.
func ExampleWithTracing() {
	spans := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))

	sys, err := chassis.New("mailer", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithTracing(provider),
		chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(), forTests)
	if err != nil {
		fmt.Println(err)
		return
	}
	mail := sys.Breaker("https://mail.internal")
	welcome := task.Define[string]("welcome")
	done := make(chan struct{})
	chassis.Handle(sys, welcome, func(ctx context.Context, job task.Job[string]) error {
		defer close(done)
		return mail.Do(ctx, "/v1/messages", func(context.Context) error { return nil })
	})
	if err := sys.Start(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := chassis.Send(context.Background(), sys, welcome, "zoe@example.org"); err != nil {
		fmt.Println(err)
		return
	}
	<-done
	if err := sys.Stop(context.Background()); err != nil {
		fmt.Println(err)
	}
	printBelow(spans.Ended(), trace.SpanID{}, "send mailer-tasks", 0)
	// Output:
	// send mailer-tasks (producer)
	//   process welcome (consumer)
	//     breaker https://mail.internal (client)
}

// forTests lets no goroutine of a throttle outlive a test.
var forTests = chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond))

// printBelow prints the spans of a parent, of a name if one is given, and what
// is below them.
func printBelow(all []sdk.ReadOnlySpan, parent trace.SpanID, name string, depth int) {
	for _, s := range all {
		if s.Parent().SpanID() == parent && (name == "" || s.Name() == name) {
			fmt.Printf("%s%s (%v)\n", strings.Repeat("  ", depth), s.Name(), s.SpanKind())
			printBelow(all, s.SpanContext().SpanID(), "", depth+1)
		}
	}
}
