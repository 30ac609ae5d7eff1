package tasks

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// BenchmarkSend compares chassis.Send, one after the other and of 64 goroutines at a
// time, with the SDK's SendMessage to the same queue, in process and over loopback.
func BenchmarkSend(b *testing.B) {
	for _, loopback := range []bool{false, true} {
		where, s := "in-process", settings(8)
		if loopback {
			where = "loopback"
			s.Queue.Endpoint, s.Queue.Region = server(b), "us-east-1"
		}
		sys, err := chassis.New("bench", chassis.WithSettings(s), chassis.WithoutDefaultLogger())
		if err != nil {
			b.Fatal(err)
		}
		chassis.Handle(sys, noop, func(context.Context, task.Job[args]) error { return nil })
		ctx := context.Background()
		made, err := sys.SQS().CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(pool)})
		if err != nil {
			b.Fatal(err)
		}
		send := func(b *testing.B) {
			if _, err := chassis.Send(ctx, sys, noop, args{ID: 1}); err != nil {
				b.Error(err)
			}
		}
		send(b) // the first one is made by the SDK
		b.Run(where+"/chassis-serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				send(b)
			}
		})
		b.Run(where+"/chassis-64", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					send(b)
				}
			})
		})
		b.Run(where+"/sdk-serial", func(b *testing.B) {
			b.ReportAllocs()
			body := `{"id":1}`
			for b.Loop() {
				if _, err := sys.SQS().SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: made.QueueUrl,
					MessageBody: &body}); err != nil {
					b.Fatal(err)
				}
			}
		})
		if err := sys.Stop(ctx); err != nil {
			b.Error(err)
		}
	}
}
