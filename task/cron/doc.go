// Package cron says when a task is to be sent, again and again, without sending any:
// an expression in a zone, what is done about ticks that were missed, and what about
// a run that is not over when the next tick comes.
//
//	chassis.Every(sys, Report, ReportArgs{}, "0 3 * * *", cron.Zone("Europe/Berlin"))
//	chassis.Every(sys, Sweep, SweepArgs{}, "@every 15m", cron.Overlap(cron.Queue))
//
// # Words
//
// A schedule has a name, which is that of its task if no option gives another. A tick
// is one time of a schedule, a whole second; the same in all processes. It is due at its
// time, or with [Jitter] somewhat later. docs/schedules.md has the whole.
//
// # Expressions
//
// The five fields of crontab: minute, hour, day of month, month, day of week, with
// lists, ranges, steps and names; L, L-3, 15W and FRI#2 too. As in crontab, of a day of
// the month and a day of the week either matches. Or @hourly, @daily (@midnight),
// @weekly, @monthly and @yearly (@annually); or @every with a duration of whole seconds.
// The ticks of @every are the multiples of the duration since 1970, so that all
// processes have the same. The zone is UTC unless [Zone] sets one.
//
// # Daylight saving
//
// An expression with a fixed hour is a time on the clock: in the hour that a zone
// leaves out it ticks once at the end of that hour, and in the hour that a zone has
// twice it ticks in the first. One with * for the hour is a pace, as @every is: it has
// nothing in the hour that is left out, and ticks in both of two.
//
// # Ownership and concurrency
//
// Everything here is a value or immutable, without a clock: time is an argument. All
// functions may be called from any goroutine. Parsing is done by
// github.com/netresearch/go-cron, in parse.go alone.
//
// # Testing
//
// [Schedule.Ticks] lists the ticks of a time. A test of a service that has schedules
// runs in a testing/synctest bubble, see docs/testing.md.
package cron
