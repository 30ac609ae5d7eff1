package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/parts"
)

// Fleet is one process's membership. All methods are safe from any goroutine, before
// the start and after the stop too.
type Fleet struct {
	sys      *chassis.System
	settings Settings
	log      *slog.Logger
	name     string
	version  string
	base     time.Time
	net      *network
	book     *book
	rates    *rates
	notices  *notices
	pid      *actor.PID
	addrs    atomic.Pointer[map[string]bool] // of the other members, for the joiner
	lookup   func(ctx context.Context, host string) ([]string, error)
	wrap     wrapper

	opened  atomic.Bool
	stopped atomic.Bool
	joining sync.WaitGroup
	stop    context.CancelFunc
}

// Option gives a collaborator to [Join].
type Option func(*Fleet)

// WithVersion sets the version of the service that other members see. The default is
// that of the program's main module, or its revision.
func WithVersion(version string) Option { return func(f *Fleet) { f.version = version } }

// WithSize sets the number of members that a shared rate counts on until it knows
// better, see [Fleet.Rate]. The default is one.
func WithSize(members int) Option { return func(f *Fleet) { f.rates.size = max(0, members) } }

// Join makes the service a member of the fleet of its name. It joins with the start of
// sys and leaves with its stop; a System joins one fleet, once. From then on sys.Cancel
// reaches the executions of all members. The error says what is
// wrong with the settings. That the port is in use is an error of the start; that no seed
// can be reached is not: a member alone has plain breakers, and goes on to look.
func Join(sys *chassis.System, s Settings, opts ...Option) (*Fleet, error) {
	if sys == nil {
		return nil, errors.New("fleet: Join: the system is nil")
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("fleet: the settings of service %q:\n%w", sys.Name(), err)
	}
	f := &Fleet{sys: sys, settings: s.filled(), log: sys.Logger("fleet"), name: newName(), version: buildVersion(),
		base: time.Now(), rates: newRates(0), lookup: newLookup()}
	for _, opt := range opts {
		opt(f)
	}
	f.book = newBook(f.name, f.base.UnixNano(), f.settings.register())
	f.notices = newNotices(f, sys.Pools()[0].TakeNotice)
	f.net = &network{name: f.name, log: f.log, post: f.post, orders: f.notices.hear, state: f.state}
	f.addrs.Store(&map[string]bool{})
	sys.Pools()[0].CarryNotices(f.notices.bring)
	sys.Add("fleet", f)
	return f, nil
}

// newName returns the name of a member: the host's, for people, and a random part, for
// two members of one name would silently replace each other.
func newName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "member"
	}
	return clip.Line(strings.ReplaceAll(host, " ", "-"), 60) + "-" + strings.ReplaceAll(uuid.NewString(), "-", "")[:8]
}

// buildVersion returns the version of the program.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (info.Main.Version == "" || info.Main.Version == "(devel)") {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return info.Main.Version
}

// now is the time of the register: since the process joined, by the monotonic clock.
func (f *Fleet) now() time.Duration { return time.Since(f.base) }

// Name is this member's name.
func (f *Fleet) Name() string { return f.name }

// Open implements parts.Opener: it takes the port, and begins to listen.
func (f *Fleet) Open(context.Context) error {
	props := actor.PropsFromProducer(func() actor.Actor { return &agent{f: f, book: f.book} })
	pid, err := f.sys.Spawn(props, breaker.FleetAgent)
	if err != nil {
		return err
	}
	f.pid = pid
	if err := f.net.open(f.settings, "chassis/"+clip.Line(f.sys.Name(), 100), f.wrap); err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	f.opened.Store(true)
	f.notices.begin()
	return nil
}

// Start implements parts.Part: it begins to look for the other members.
func (f *Fleet) Start(context.Context, *parts.Host) error {
	f.log.Info("a member of a fleet", "member", f.name, "addr", f.net.addr, "seeds", len(f.settings.Seeds))
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.joining.Add(1)
	go func() {
		defer f.joining.Done()
		f.join(ctx)
	}()
	return nil
}

// Stop implements parts.Part: it leaves the fleet. A second call does nothing.
func (f *Fleet) Stop(ctx context.Context) error {
	if !f.opened.Load() || !f.stopped.CompareAndSwap(false, true) {
		return nil
	}
	if f.stop != nil {
		f.stop()
	}
	within := time.Second
	if end, ok := ctx.Deadline(); ok {
		within = max(time.Millisecond, min(within, time.Until(end)/2))
	}
	f.notices.stop()
	err := f.net.close(within)
	f.joining.Wait() // the joiner's dials end with their time-out, or with the shut-down
	return err
}

// Detail implements parts.Detailer.
func (f *Fleet) Detail() string {
	if !f.opened.Load() {
		return ""
	}
	return fmt.Sprintf("%s at %s, %d members", f.name, f.net.addr, f.net.members.Load())
}

// SetKeys puts other keys in force while the fleet runs, as in the setting key. To rotate
// a key without a gap give all members the old key and the new one, in this order; then
// the new one first; then the new one alone.
func (f *Fleet) SetKeys(list string) error {
	s := f.settings
	s.Key = secret(list)
	keys, err := s.keys()
	if err != nil {
		return fmt.Errorf("fleet: the keys: %w", err)
	}
	if !f.opened.Load() {
		return errors.New("fleet: the keys cannot be changed before the start")
	}
	if err := f.net.rekey(keys); err != nil {
		return fmt.Errorf("fleet: the keys: %w", err)
	}
	return nil
}

// Refused is how many messages from the network were garbage, or too many to be taken.
func (f *Fleet) Refused() uint64 { return f.net.refused.Load() }

// Members returns the members that are alive, this one first and then by name. Before
// the start it is an error, and after the stop.
func (f *Fleet) Members(ctx context.Context) ([]Member, error) {
	if !f.opened.Load() {
		return nil, errors.New("fleet: the members are not known before the start")
	}
	return actors.Ask[[]Member](ctx, f.sys.Actors(), f.pid, members{})
}

// post sends a message to the agent.
func (f *Fleet) post(m any) { f.sys.Actors().Root.Send(f.pid, m) }

// stateTime is how long a member that asks waits for what this one knows.
const stateTime = 200 * time.Millisecond

// state returns all that the agent knows, or nothing if it has no time.
func (f *Fleet) state() []byte {
	ctx, cancel := context.WithTimeout(context.Background(), stateTime)
	defer cancel()
	b, err := actors.Ask[[]byte](ctx, f.sys.Actors(), f.pid, getState{})
	if err != nil {
		return nil
	}
	return b
}
