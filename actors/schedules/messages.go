package schedules

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/task/cron"
)

// Job is a schedule, and the task that each of its ticks sends. It is immutable.
type Job struct {
	Schedule cron.Schedule
	Task     string
	Args     any    // what encoding/json takes
	Source   string // where it comes from: code, settings

	print string // the fingerprint of Schedule
}

// Messages of the actor, as pointers. Any other message is answered with
// [*actors.Unhandled].
type (
	// Set replaces all schedules. One that is there already, with the same name, times and
	// policies, goes on as it was; of one with other times nothing is late.
	Set struct{ Jobs []Job }

	// Run sends the task of a schedule now, apart from its ticks. Answer: [*Ran], or an
	// error.
	Run struct{ Name string }

	// Pause pauses a schedule in the whole fleet, or ends that. Answer: [*Paused], or an
	// error.
	Pause struct {
		Name string
		On   bool
	}
)

// Answers.
type (
	// Ran answers [Run].
	Ran struct{ ExecID string }

	// Paused answers [Pause].
	Paused struct{ On bool }
)

// hint names what the actor takes, for the sender of something else.
const hint = "takes *Set, *Run and *Pause"

// wake is the timer's.
type wake struct{ generation uint64 }

// rounded ends a round.
type rounded struct {
	results map[string]result
	said    reading
	tags    pending
}

// ended carries the end of what was asked for back to the actor, which answers.
type ended struct {
	to     *actor.PID
	answer any
}

// result is what a round came to for one schedule.
type result struct {
	job    *Job
	state  state
	sent   []cron.Tick
	late   int // of sent, the first so many were missed
	missed int
	paused bool
	err    error
}
