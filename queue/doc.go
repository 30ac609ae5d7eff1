// Package queue opens the queue service of a process by its settings: AWS SQS,
// or the embedded SQS of package localsqs.
//
//	q, err := queue.Open(ctx, queue.Settings{Path: "queue.db"})
//	if err != nil {
//		return err
//	}
//	defer q.Close(context.Background())
//	out, err := q.Client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
//
// There is one way to a queue, the AWS SDK's client. For the embedded queue the
// client calls the server's handler in this process, so development runs the code
// that production runs.
//
// # Who owns what
//
// [Open] owns the server that it starts, and [Queue.Close] stops it. A client or
// server that the caller gives stays the caller's to close.
//
// A [Queue] is safe for use by several goroutines at once.
//
// # Debugging and tests
//
// [Queue.String] names the queue in logs and on the live page. A test opens the
// zero [Settings]: a queue in memory that ends with the process.
package queue
