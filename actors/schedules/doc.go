// Package schedules sends the ticks of all schedules of a process to its queue of ticks,
// and keeps what can be seen of them.
//
//	s, err := schedules.New(schedules.Config{Pool: "mails-cron.fifo", URL: url, Client: client, Jobs: jobs})
//	pid, err := guardian.Spawn(s.Props(), "schedules")
//	...
//	for _, status := range s.Status() {
//		fmt.Println(status.Name, status.Next, status.LastRun)
//	}
//
// # No leader
//
// Each process of a fleet sends each tick, under a deduplication id that is made of the
// pool, the schedule's name and the tick: SQS takes the first, and drops the others for
// five minutes. So nothing depends on which process is alive, and none waits for another.
// Three rules keep it exact:
//
//   - a tick that is older than a minute by the queue service's clock is not sent as a
//     matter of course: a process that was suspended would send it after those five minutes;
//   - time is the queue service's, by the Date of its answers (clock.go): a process with a
//     wrong clock is neither early nor late;
//   - the newest tick that was sent stands in a tag of the queue (register.go), for those
//     schedules that want to know what a fleet has missed. It is written after the send.
//
// A crash of the last process of a fleet between the send and the tag, and a start more than
// five minutes later, sends that tick again: with the same exec_id.
//
// # Protocol
//
// To the actor schedules, as pointers:
//
//	message  answer    when
//	Set      -
//	Run      *Ran      once the queue has the task
//	Pause    *Paused   once this process has read it from the register
//	others   *actors.Unhandled
//
// Both answers may be an error in their place.
//
// # Ownership and concurrency
//
// The actor owns the timer of all schedules and how far each is decided. decide in
// round.go is the rule, pure, over package cron. A round, one at a time, asks the queue in
// a goroutine of its own, and comes back as a message. What must outlive a restart is in
// core. [Schedules.Status] and [Schedules.Around] are safe from any goroutine.
//
// # Debugging and testing
//
// Status says for each schedule what is next, what was last, and what went wrong. Tests run
// several of these actors on one embedded queue in a testing/synctest bubble.
package schedules
