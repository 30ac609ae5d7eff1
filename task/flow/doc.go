// Package flow runs tasks one after the other, at the same time with one callback after
// all of them, and back again where a later one fails: on the task's own queues and one
// more, without a database and without a server of its own.
//
//	flows, err := flow.New(sys) // in each service that runs tasks of flows, before the start
//
//	id, err := flows.Start(ctx, flow.Chain(
//		flow.Task(Fetch, Source{URL: url}),
//		flow.Next(Parse), // its arguments are what Fetch returned: task.Return(ctx, doc)
//		flow.Group(flow.Next(Index), flow.Next(Thumbnail), flow.Next(Virus)),
//		flow.Next(Publish), // gets a flow.Outcome: how many are done, which have failed
//	))
//
// Each link is a task as any other, with its own budget, dead letter and pool. All of them
// have the job of the flow. The exec_id of each is derived from the flow's id and its place,
// so a link that is sent twice is the same execution twice: see [Start].
//
// # How it works
//
// The rest of a chain travels on the message, in one attribute. When an execution has ended
// for good its process sends the next link before it deletes the message. A member of a
// group reports to the flow's queue, a FIFO queue with one message group for each 8192
// members. A holder takes up to ten reports or partial sets of a message group, sends
// their union, and deletes them; the one that holds the whole set sends what follows. A
// set is a bitmap, and its union does not depend on the order or on how often a part comes:
// a process may die at any moment, and any message may come twice.
//
// # Who owns what
//
// The queues own all state. [Flows] is the part of a service that holds sets for a moment,
// and it sends before it deletes. The decision what follows an ending is a pure function
// (advance.go), as is the union (partial.go). All methods may be called from any goroutine.
//
// # Debugging and tests
//
// All records and executions of a flow have its job_id; the live page finds them by it. The
// log says when a group is joined, when a flow fails and what is undone; [Flows.Stats]
// counts. In a test with package chassistest wait for the last task of the flow.
package flow
