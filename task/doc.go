// Package task says what a background task is, without running any: its
// definition, what a handler is given and may answer, and the form of its
// message on the queue, which is the one of the Python chassis.
//
//	var Welcome = task.Define[WelcomeArgs]("welcome",
//		task.MaxFailures(5), task.Wait(10*time.Second, task.Geometric), task.OnFail("apologise"))
//
//	func welcome(ctx context.Context, job task.Job[WelcomeArgs]) error {
//		if job.Args.Email == "" {
//			return task.Cancel(errors.New("no address")) // never again
//		}
//		return send(ctx, job.Args.Email, job.ExecID) // an error is one failure
//	}
//
//	out, err := Welcome.Encode(time.Now(), args, task.At(tomorrow), task.ForJob("42", "sign-up"))
//
// # The message
//
// Body: the arguments as one JSON value. Five string attributes are the
// contract: task_name, exec_id, when, job_id, job_name. Ours in addition begin with
// "chassis." and stand only where they are needed; a consumer that ignores them
// still runs the message. All others (a traceparent, a user's own) are
// passed through. SQS takes ten attributes: where there would be more, those
// beyond go into one, chassis.more, a JSON object of name to {"t": data type if
// not String, "s": text, "b": binary}, and come back out of it in [Decode].
//
// # Ownership and concurrency
//
// Everything here is a value or immutable; all functions may be called from
// any goroutine. The package starts none, imports nothing of the chassis and
// has no clock but for the time of a progress report.
//
// # Debugging and testing
//
// [Decode] returns every defect of a message, each a [*WireError]. Messages
// recorded from the Python chassis are in testdata. A handler is tested by
// calling it with a [Job] and an Info of your own, and a ctx of [WithInfo].
package task
