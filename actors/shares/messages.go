package shares

import "github.com/asynkron/protoactor-go/actor"

// Share is what a pool is entitled to.
type Share struct {
	Weight   int // its part of the starts, in proportion to the other pools'; 1 to [MaxWeight], 0: 1
	Priority int // pools of a higher one are served first, whatever the weights; default 0
}

// MaxWeight is the greatest weight.
const MaxWeight = 1000

// Messages of a pool's dispatcher, as pointers or as values, immutable once
// sent. Any other message is answered with [*actors.Unhandled].
// Epoch is that of the sender's last [Join]. Both sides ignore messages of an
// earlier one.
type (
	// Join makes a pool known, or starts it over: what it had before is free
	// again. To gets the answers.
	Join struct {
		Pool  string
		Epoch uint64
		Share Share
		To    *actor.PID
	}

	// Leave ends a pool's part. Its permits are free again.
	Leave struct {
		Pool  string
		Epoch uint64
	}

	// Ask gives Returned permits back, and asks for More of them, or for fewer
	// if More is negative. Those outstanding are the sum of all More less what
	// was granted; both sides count it so, and it may fall below zero. Answer:
	// [Granted], at once or later.
	Ask struct {
		Pool     string
		Epoch    uint64
		Returned int
		More     int
	}

	// Reserve asks to run one crash suspect. No other pool of the process runs
	// one until [Release]; healthy executions go on. Answer: [Reserved], in the
	// order of asking.
	Reserve struct {
		Pool  string
		Epoch uint64
	}

	// Release ends a [Reserve], answered or not.
	Release struct {
		Pool  string
		Epoch uint64
	}

	// Claim asks for one of the Limit executions of a task that may run at
	// once in the process. The last Limit is the one that holds. Answer:
	// [Claimed], in the order of asking.
	Claim struct {
		Pool  string
		Epoch uint64
		Task  string
		Limit int
	}

	// Unclaim gives a [Claimed] back.
	Unclaim struct {
		Pool  string
		Epoch uint64
		Task  string
	}
)

// hint names what the actor takes, for the sender of something else.
const hint = "takes *Join, *Leave, *Ask, *Reserve, *Release, *Claim and *Unclaim"

// pointer returns a pointer to a message that was sent as a value, or nil.
func pointer(message any) any {
	switch m := message.(type) {
	case Join:
		return &m
	case Leave:
		return &m
	case Ask:
		return &m
	case Reserve:
		return &m
	case Release:
		return &m
	case Claim:
		return &m
	case Unclaim:
		return &m
	}
	return nil
}

// Answers, to the PID of [Join], all as pointers.
type (
	// Granted is Permits to start executions, each to be returned when its
	// execution has ended or if it is of no use. Free is how many more there
	// are for anybody. Ahead is how many messages the pool should have at hand
	// beyond those that run, so that there is something to start when its turn
	// comes: its share while other pools have work too or it has none, else 0.
	// It comes also when these have changed in a way that matters.
	Granted struct {
		Epoch   uint64
		Permits int
		Free    int
		Ahead   int
	}

	// Reserved answers [Reserve]. The start needs a permit as any other.
	Reserved struct{ Epoch uint64 }

	// Claimed answers [Claim].
	Claimed struct {
		Epoch uint64
		Task  string
	}
)
