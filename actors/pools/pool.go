package pools

import (
	"context"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
)

// Pool is one of the task pools of a process.
type Pool struct{ lane *lane }

// Name is that of the queue.
func (p Pool) Name() string { return p.lane.name() }

// Settings are those in force for this pool.
func (p Pool) Settings() Settings { return p.lane.inForce() }

// Tasks is [Pools.Tasks] of this pool alone.
func (p Pool) Tasks() *dispatcher.Monitor { return p.lane.monitor }

// Control is [Pools.Control] of this pool alone.
func (p Pool) Control() *dispatcher.Client {
	if r := p.lane.running.Load(); r != nil {
		return r.client
	}
	return nil
}

// Poller returns the numbers of the pool's poller, and false before it is started.
func (p Pool) Poller() (poller.Stats, bool) {
	if r := p.lane.running.Load(); r != nil {
		return r.queue.Stats(), true
	}
	return poller.Stats{}, false
}

// Leases asks the pollers when each lease ends, by pool. A pool that does not
// answer until ctx ends is left out.
func (p *Pools) Leases(ctx context.Context) map[string]map[poller.LeaseID]time.Time {
	replies := map[string]chan map[poller.LeaseID]time.Time{}
	for _, l := range p.lanes() {
		if r := l.running.Load(); r != nil {
			replies[l.name()] = make(chan map[poller.LeaseID]time.Time, 1)
			p.actors.Send(r.poller, &poller.InspectLeases{Reply: replies[l.name()]})
		}
	}
	ends := map[string]map[poller.LeaseID]time.Time{}
	for pool, reply := range replies {
		select {
		case ends[pool] = <-reply:
		case <-ctx.Done():
		}
	}
	return ends
}
