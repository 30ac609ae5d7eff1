// Package engine is the queue service as pure code: queues, messages, their
// visibility, groups, deduplication, dead letters and moves. It has no clock,
// no goroutine, no lock and no I/O: every operation takes the time (nanoseconds
// of the Unix epoch), time passes by [Engine.Advance], and what must survive a
// restart comes out as [Change] values ([Engine.TakeChanges]).
//
//	e := engine.New(engine.Config{Account: "000000000000"})
//	q, err := e.CreateQueue(now, engine.Key{Region: "us-east-1", Name: "jobs"}, nil, nil)
//	res, err := e.Send(now, q, &engine.SendInput{Content: c})
//	w := engine.NewWaiter(q, 10) ; e.Receive(now, w)
//	...
//	e.Advance(e.NextTimer())
//
// The caller serialises all calls. Long polls are [Waiter] values that the
// engine parks; those it has answered are handed out by [Engine.TakeWoken].
package engine
