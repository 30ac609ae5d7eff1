package shares

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/internal/life"
)

// Config is what the actor is made of.
type Config struct {
	Limit   int // executions at once in the process, 0: no limit but the pools' own
	Logger  *slog.Logger
	Monitor *Monitor // what the outside sees; nil: nothing

	// Over reports whether a stop is for good. Before, the actor is spawned again
	// under its name when another actor stops it. nil: each stop is for good.
	Over func() bool
}

// New returns the props of the actor, one a process. They are for one actor:
// what must survive its restarts lives in them.
func New(cfg Config) (*actor.Props, error) {
	if cfg.Limit < 0 {
		return nil, fmt.Errorf("shares: the limit is %d: must be 0 (none) or more", cfg.Limit)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Monitor == nil {
		cfg.Monitor = &Monitor{}
	}
	if cfg.Over == nil {
		cfg.Over = func() bool { return true }
	}
	k := &keeper{table: newTable(cfg.Limit), to: map[string]*actor.PID{}, log: cfg.Logger, monitor: cfg.Monitor,
		over: cfg.Over}
	k.publish()
	k.props = actor.PropsFromProducer(func() actor.Actor { return k }, actor.WithMailbox(k.life.Mailbox))
	return k.props, nil
}

// Check returns everything that is wrong with a share.
func (s Share) Check() error {
	var errs []error
	if s.Weight < 0 || s.Weight > MaxWeight {
		errs = append(errs, fmt.Errorf("weight is %d: must be 1 to %d (0: 1)", s.Weight, MaxWeight))
	}
	if s.Priority < -MaxWeight || s.Priority > MaxWeight {
		errs = append(errs, fmt.Errorf("priority is %d: must be %d to %d", s.Priority, -MaxWeight, MaxWeight))
	}
	return errors.Join(errs...)
}

// keeper is the actor: it performs what the table decides.
type keeper struct {
	table   *table
	to      map[string]*actor.PID
	log     *slog.Logger
	monitor *Monitor

	over  func() bool
	life  life.Restarts
	again *life.Respawn // nil unless another actor stops this one
	props *actor.Props
}

// Receive implements actor.Actor.
func (k *keeper) Receive(ctx actor.Context) {
	message := ctx.Message()
	if actors.Nil(message) {
		k.refuse(ctx)
		return
	}
	if p := pointer(message); p != nil {
		message = p
	}
	switch m := message.(type) {
	case *Ask:
		k.of(m.Pool, m.Epoch, func(p *pool) { k.table.ask(p, m.Returned, m.More) })
	case *Claim:
		k.of(m.Pool, m.Epoch, func(p *pool) { k.table.claim(p, m.Task, m.Limit) })
	case *Unclaim:
		k.of(m.Pool, m.Epoch, func(p *pool) { k.table.unclaim(p, m.Task) })
	case *Reserve:
		k.of(m.Pool, m.Epoch, k.table.reserve)
	case *Release:
		k.of(m.Pool, m.Epoch, k.table.release)
	case *Join:
		if m.To == nil {
			k.log.Warn("a Join has no address for its answers: it is not taken", "pool", m.Pool)
			return
		}
		k.to[m.Pool] = m.To
		k.table.join(m.Pool, m.Epoch, m.Share)
	case *Leave:
		k.of(m.Pool, m.Epoch, k.table.leave)
	case *actor.Started, *actor.Restarting:
		return
	case *actor.Stopping:
		if !k.over() {
			k.again = k.life.Respawn(ctx)
		}
		return
	case *actor.Stopped:
		k.onStopped(ctx)
		return
	default:
		k.refuse(ctx)
		return
	}
	k.perform(ctx)
	k.publish()
}

// onStopped spawns the actor again, with what it had, if another actor stopped it.
func (k *keeper) onStopped(ctx actor.Context) {
	if k.again == nil {
		return
	}
	again := k.again
	k.again = nil
	k.log.Error("another actor stopped the keeper of shares: it begins again", "pid", ctx.Self().Id)
	if err := again.Spawn(ctx, k.props); err != nil {
		k.log.Error("the keeper of shares cannot begin again: no pool gets a permit any more",
			"pid", ctx.Self().Id, "error", err)
	}
}

// refuse answers a message that the keeper does not take.
func (k *keeper) refuse(ctx actor.Context) {
	if actors.Refuse(ctx, hint) {
		k.log.Warn("the keeper of shares does not know this message", "type", fmt.Sprintf("%T", ctx.Message()))
	}
}

// of does f for a pool that has joined. A message of an earlier epoch is late and
// changes nothing.
func (k *keeper) of(name string, epoch uint64, f func(*pool)) {
	if p := k.table.find(name, epoch); p != nil {
		f(p)
	}
}

// perform sends what the table has decided.
func (k *keeper) perform(ctx actor.Context) {
	for _, e := range k.table.take() {
		to := k.to[e.to.name]
		switch {
		case e.solo:
			ctx.Send(to, &Reserved{Epoch: e.to.epoch})
		case e.claimed != "":
			ctx.Send(to, &Claimed{Epoch: e.to.epoch, Task: e.claimed})
		default:
			ctx.Send(to, &Granted{Epoch: e.to.epoch, Permits: e.granted, Free: e.free, Ahead: e.ahead})
		}
	}
}

// Monitor is what the outside sees without a message.
type Monitor struct{ last atomic.Pointer[Stats] }

// Stats are the shares at one time.
type Stats struct {
	Limit int         `json:"limit"` // 0: none
	Held  int         `json:"held"`  // permits in use
	Alone string      `json:"alone,omitempty"`
	Pools []PoolStats `json:"pools"` // by name
}

// PoolStats is one pool's part.
type PoolStats struct {
	Pool     string `json:"pool"`
	Weight   int    `json:"weight"`
	Priority int    `json:"priority"`
	// Share is the pool's part of the limit while all pools have work but those of
	// a lower priority; 0: there is no limit.
	Share  int    `json:"share"`
	Held   int    `json:"held"`   // permits
	Wanted int    `json:"wanted"` // and not granted
	Starts uint64 `json:"starts"` // permits granted since the start
}

// Stats reads the last numbers. They are a copy.
func (m *Monitor) Stats() *Stats {
	s := m.last.Load()
	if s == nil {
		return &Stats{}
	}
	own := *s
	own.Pools = slices.Clone(s.Pools)
	return &own
}

func (k *keeper) publish() {
	t := k.table
	s := &Stats{Limit: t.limit, Held: t.held(), Pools: make([]PoolStats, len(t.pools))}
	if len(t.solo) > 0 {
		s.Alone = t.solo[0].name
	}
	for i, p := range t.pools {
		s.Pools[i] = PoolStats{
			Pool: p.name, Weight: p.share.Weight, Priority: p.share.Priority, Share: t.fair(p),
			Held: p.held, Wanted: max(p.wanted, 0), Starts: p.starts,
		}
	}
	slices.SortFunc(s.Pools, func(a, b PoolStats) int { return strings.Compare(a.Pool, b.Pool) })
	k.monitor.last.Store(s)
}
