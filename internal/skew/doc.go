// Package skew measures how far the clock of a service is ahead of the clock of this
// process, and keeps the latter straight.
//
//	clock := skew.NewClock()
//	var b skew.Bounds
//	begun := clock.Now()
//	answer := ask()
//	b = b.Seen(answer.Date, time.Second, begun, clock.Now())
//	theirs := clock.Now().Add(b.Likely())
//
// [Clock] is the time of this process: it follows the monotonic clock, and the wall clock
// where that leaps ahead. [Bounds] is what answers with a time of the service have shown.
//
// # Ownership and concurrency
//
// A Bounds is a value: its owner guards it. A Clock may be read by any goroutine.
//
// # Testing
//
// [ClockOf] makes a clock of two functions. Bounds have no clock: time is an argument.
package skew
