package pools

import (
	"errors"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// ErrFollowed says that the pools of a process have a follower already, or have started.
var ErrFollowed = errors.New("chassis: what follows an execution is set once, before the start")

// Follow sets what follows the executions that have ended for good, of all pools of the
// process. It is called once, before the start.
func (p Pool) Follow(f task.Follow) error {
	all := p.lane.pools
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.after != nil || all.begun.Load() != nil {
		return ErrFollowed
	}
	all.after = f
	return nil
}

func (p *Pools) following() task.Follow {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.after
}

// Sender is the sender of the process.
func (p Pool) Sender() *poller.Sender { return p.lane.pools.sender }
