package pools

import (
	"errors"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// ErrFollowed says that the pools of a process have started: nothing can follow their
// executions any more.
var ErrFollowed = errors.New("chassis: what follows an execution is set before the start")

// follower is what follows the executions of a process.
type follower struct {
	follow task.Follow
	around task.Middleware
}

// Follow adds what follows the executions that have ended for good, of all pools of the
// process, and what stands around their handlers, outside of the middleware of the service.
// Those of several followers are sent together, in the order of adding; the first stands
// outermost. It is called before the start.
func (p Pool) Follow(f task.Follow, around task.Middleware) error {
	all := p.lane.pools
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.begun.Load() != nil {
		return ErrFollowed
	}
	all.after = append(all.after, follower{f, around})
	return nil
}

// following returns what follows the executions, and what stands around their handlers; nil
// without a follower.
func (p *Pools) following() (task.Follow, []task.Middleware) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var around []task.Middleware
	var follows []task.Follow
	for _, f := range p.after {
		if f.around != nil {
			around = append(around, f.around)
		}
		if f.follow != nil {
			follows = append(follows, f.follow)
		}
	}
	switch len(follows) {
	case 0:
		return nil, around
	case 1:
		return follows[0], around
	}
	return func(e task.Ending) (outs []task.Outgoing) {
		for _, f := range follows {
			outs = append(outs, f(e)...)
		}
		return outs
	}, around
}

// Sender is the sender of the process.
func (p Pool) Sender() *poller.Sender { return p.lane.pools.sender }
