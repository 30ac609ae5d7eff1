package pools

import (
	"errors"
	"slices"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// ErrFollowed says that the pools of a process have a follower of that name, or have started.
var ErrFollowed = errors.New("chassis: what follows an execution is set once for each follower, before the start")

// Flows is the name of the follower that knows flows: package task/flow. Without it the tasks
// of flows are left to other processes.
const Flows = "flows"

// follower is what follows the executions of a process.
type follower struct {
	name   string
	follow task.Follow
	around task.Middleware
}

// Follow adds what follows the executions that have ended for good, of all pools of the
// process, and what stands around their handlers, outside of the middleware of the service.
// The messages of several followers are sent together, in the order of adding; the first
// stands outermost. It is called before the start, once for each name.
func (p Pool) Follow(name string, f task.Follow, around task.Middleware) error {
	all := p.lane.pools
	all.mu.Lock()
	defer all.mu.Unlock()
	named := func(f follower) bool { return f.name == name }
	if all.begun.Load() != nil || slices.ContainsFunc(all.after, named) {
		return ErrFollowed
	}
	all.after = append(all.after, follower{name, f, around})
	return nil
}

// following returns what follows the executions, nil without a follower, what stands around
// their handlers, and whether flows are known.
func (p *Pools) following() (follow task.Follow, around []task.Middleware, flows bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var follows []task.Follow
	for _, f := range p.after {
		flows = flows || f.name == Flows
		if f.around != nil {
			around = append(around, f.around)
		}
		if f.follow != nil {
			follows = append(follows, f.follow)
		}
	}
	switch len(follows) {
	case 0:
		return nil, around, flows
	case 1:
		return follows[0], around, flows
	}
	return func(e task.Ending) (outs []task.Outgoing) {
		for _, f := range follows {
			outs = append(outs, f(e)...)
		}
		return outs
	}, around, flows
}

// Sender is the sender of the process.
func (p Pool) Sender() *poller.Sender { return p.lane.pools.sender }
