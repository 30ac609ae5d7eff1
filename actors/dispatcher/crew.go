package dispatcher

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/internal/crew"
)

// job is either a function or the beginning of an attempt.
type job struct {
	f     func()
	a     *attempt
	child *actor.PID // of a function task
}

// Do implements [crew.Job].
func (j job) Do() {
	switch {
	case j.a == nil:
		j.f()
	case j.a.props != nil:
		j.a.spawn()
	default:
		j.a.run(j.child)
	}
}

// scheduler runs jobs in kept goroutines. It is the dispatcher, in Proto.Actor's
// sense, of our actor and those of function tasks: a mailbox that has been empty
// goes on in a kept goroutine too.
type scheduler struct{ *crew.Crew[job] }

// Schedule runs f.
func (s scheduler) Schedule(f func()) { s.Run(job{f: f}) }

// Throughput is the number of messages that an actor handles before others get a turn.
func (s scheduler) Throughput() int { return 300 }
