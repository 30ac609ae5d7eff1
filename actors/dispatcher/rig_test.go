package dispatcher_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// rig is a dispatcher with its queue, inside a synctest bubble.
type rig struct {
	t        testing.TB
	system   *actor.ActorSystem
	q        *queue
	queuePID *actor.PID
	pid      *actor.PID
	mon      *dispatcher.Monitor
	client   *dispatcher.Client
	log      *logBuffer
	pool     string
	settings dispatcher.Settings
	follow   task.Follow // from the next up on
}

// logBuffer collects the log; safe from all goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
}

// bubble runs f with a rig in a synctest bubble and takes it down.
func bubble(t *testing.T, s dispatcher.Settings, f func(r *rig)) {
	bubbleOn(t, "pool", s, f)
}

func bubbleOn(t *testing.T, pool string, s dispatcher.Settings, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		system := newSystem()
		r := newRig(t, system, pool, s)
		defer func() { // also after a FailNow
			r.down()
			shutdown(system)
		}()
		f(r)
	})
}

// shutdown ends a system and, in the bubble, the timers of the library.
func shutdown(system *actor.ActorSystem) {
	system.Shutdown()
	time.Sleep(48 * time.Hour)
	synctest.Wait()
}

func newRig(t testing.TB, system *actor.ActorSystem, pool string, s dispatcher.Settings) *rig {
	r := &rig{t: t, system: system, q: newQueue(pool), log: &logBuffer{}, pool: pool, settings: s}
	r.queuePID = r.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return r.q }))
	r.up()
	return r
}

// up starts a dispatcher, as a new process would.
func (r *rig) up() {
	r.t.Helper()
	r.mon = dispatcher.NewMonitor()
	props, err := dispatcher.New(dispatcher.Config{
		Settings: r.settings, Pool: r.pool, Poller: r.queuePID, Monitor: r.mon, Follow: r.follow,
		Logger: slog.New(slog.NewTextHandler(r.log, nil)),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.pid = r.system.Root.Spawn(props)
	r.client = dispatcher.NewClient(r.system, r.pid)
}

// crash kills the dispatcher's process: the queue gets no message.
func (r *rig) crash() {
	r.inspect(func(q *queue) {})
	r.system.Root.Send(r.queuePID, &crash{})
	r.system.Root.Stop(r.pid)
	synctest.Wait()
}

func (r *rig) down() {
	r.system.Root.Stop(r.pid)
	synctest.Wait()
	r.system.Root.Stop(r.queuePID)
	synctest.Wait()
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *rig) handle(name string, h task.RawHandler, policies ...task.Policy) {
	r.t.Helper()
	if _, err := r.client.Register(r.ctx(), task.NewSpec(name, policies...), h); err != nil {
		r.t.Fatal(err)
	}
}

// send puts a task on the queue as a sender would.
func (r *rig) send(name string, args any, opts ...task.Option) *task.Outgoing {
	r.t.Helper()
	out, err := task.Encode(name, args, time.Now(), opts...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.inspect(func(q *queue) {
		q.messages = append(q.messages, q.made(out.Body, out.Attributes, out.GroupID, out.Delay))
	})
	return out
}

// sendAll puts tasks of one group each on the queue at once, so that one receive
// may bring several.
func (r *rig) sendAll(name string, group string, args ...any) (list []*task.Outgoing) {
	r.t.Helper()
	for _, a := range args {
		out, err := task.Encode(name, a, time.Now(), task.Group(group))
		if err != nil {
			r.t.Fatal(err)
		}
		list = append(list, out)
	}
	r.inspect(func(q *queue) {
		for _, out := range list {
			q.messages = append(q.messages, q.made(out.Body, out.Attributes, out.GroupID, out.Delay))
		}
	})
	return list
}

// inspect runs f in the queue's actor.
func (r *rig) inspect(f func(q *queue)) {
	done := make(chan struct{})
	r.system.Root.Send(r.queuePID, &look{f, done})
	<-done
}

// settle waits until nothing moves any more without the clock.
func (r *rig) settle() { synctest.Wait() }

// after lets d pass.
func (r *rig) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// left is the number of messages on the queue.
func (r *rig) left() (n int) {
	r.inspect(func(q *queue) { n = len(q.messages) })
	return n
}

// dead lists the dead letters.
func (r *rig) dead() (list []task.Message) { return r.sentTo(r.pool + "_dead") }

func (r *rig) sentTo(pool string) (list []task.Message) {
	r.t.Helper()
	r.inspect(func(q *queue) {
		for _, o := range q.others[pool] {
			m, _ := task.Decode(o.Body, o.Attributes) // a dead letter may have defects
			list = append(list, m)
		}
	})
	return list
}

// sized returns the size of a long test: full with CHASSIS_SCALE=full, quick
// without, and race with the race detector, which makes it several times longer.
func sized(full, quick, race int) int {
	switch {
	case os.Getenv("CHASSIS_SCALE") == "full":
		return full
	case raceEnabled:
		return race
	}
	return quick
}

// block has the dispatcher make an actor with a producer that waits for leave.
func (r *rig) block() (enter, leave chan struct{}) {
	r.t.Helper()
	enter, leave = make(chan struct{}), make(chan struct{})
	props := actor.PropsFromProducer(func() actor.Actor {
		close(enter)
		<-leave
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*dispatcher.Execute); ok {
				ctx.Respond(dispatcher.Done{})
			}
		})
	})
	if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("blocks"), props); err != nil {
		r.t.Fatal(err)
	}
	r.send("blocks", nil)
	return enter, leave
}

// child is the only child of the dispatcher.
func (r *rig) child() (child *actor.PID) {
	r.t.Helper()
	for _, bucket := range r.system.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, id := range bucket.Keys() {
			if strings.HasPrefix(id, r.pid.Id+"/$") {
				if child != nil {
					r.t.Fatal("several children")
				}
				child = r.system.NewLocalPID(id)
			}
		}
	}
	return child
}

// restart gives the dispatcher a new incarnation, as after a panic.
func (r *rig) restart() {
	process, _ := r.system.ProcessRegistry.Get(r.pid)
	process.SendSystemMessage(r.pid, &actor.Restart{})
}
