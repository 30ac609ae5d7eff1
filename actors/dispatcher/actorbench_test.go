package dispatcher_test

import (
	"context"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// taskActor is the smallest task actor: it answers Done.
type taskActor struct{}

func (*taskActor) Receive(c actor.Context) {
	if _, ok := c.Message().(*dispatcher.Execute); ok {
		c.Respond(dispatcher.Done{})
	}
}

// BenchmarkHandlerOrActor compares a no-op task run by a function with one run
// by a task actor, from Delivered to Settled.
func BenchmarkHandlerOrActor(b *testing.B) {
	register := map[string]func(*dispatcher.Client) error{
		"function": func(c *dispatcher.Client) error {
			_, err := c.Register(b.Context(), task.NewSpec("noop"), func(context.Context, raw) error { return nil })
			return err
		},
		"actor": func(c *dispatcher.Client) error {
			_, err := c.RegisterProps(b.Context(), task.NewSpec("noop"), actor.PropsFromProducer(func() actor.Actor { return &taskActor{} }))
			return err
		},
	}
	for _, kind := range []string{"function", "actor"} {
		b.Run(kind, func(b *testing.B) {
			src, client, _, start := benchRig(b, 100)
			if err := register[kind](client); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime()
			start(b.N)
			<-src.done
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/task")
		})
	}
}
