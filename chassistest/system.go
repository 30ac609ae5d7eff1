package chassistest

import (
	"context"
	"log"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// System is a chassis.System under test. Tasks are registered on it as on any:
// chassis.Handle(sys.System, …).
type System struct {
	*chassis.System

	// Queue is the embedded queue, for a look at what lies on it.
	Queue *localsqs.Server

	t      testing.TB
	client *sqs.Client
	rec    *recorder
	log    *logBuffer
	limit  time.Duration

	stopped   bool // by the test itself
	simulated bool // it is in a bubble of testing/synctest
	quiet     bool // its log is not shown at the end
}

// Option changes the system that [New] makes.
type Option func(*options)

type options struct {
	name    string
	change  []func(*chassis.Settings)
	chassis []chassis.Option
	queueOf *System
	def     bool
	limit   time.Duration
	quiet   bool // no log at the end
}

// Name is the service's name; the default is "test". Its task pool is the name
// and "-tasks" unless settings say otherwise.
func Name(name string) Option { return func(o *options) { o.name = name } }

// Settings changes the settings, which begin as the defaults with the level
// debug. The section queue is not looked at.
func Settings(change func(*chassis.Settings)) Option {
	return func(o *options) { o.change = append(o.change, change) }
}

// Options passes options on to chassis.New.
func Options(opts ...chassis.Option) Option {
	return func(o *options) { o.chassis = append(o.chassis, opts...) }
}

// Beside puts the system on the queue of another: for services that send to
// one another, and for a service that is started again. The other must be of
// the same test.
func Beside(other *System) Option { return func(o *options) { o.queueOf = other } }

// DefaultLogger makes the system's logger slog's default until the end of the
// test, as chassis.New does, so that handlers that call slog.InfoContext are
// recorded. The default logger is the process's: not for tests that run in
// parallel.
func DefaultLogger() Option { return func(o *options) { o.def = true } }

// Limit is the longest that RunUntilIdle and WaitFor wait, by the test's clock.
// The default is a year, which in a bubble takes a minute or two. Outside of
// one they wait for nine tenths of what go test's -timeout leaves at most, so
// that the test fails with what it waited for.
func Limit(d time.Duration) Option { return func(o *options) { o.limit = d } }

// quiet shows no log at the end: for tests of many systems.
func quiet(o *options) { o.quiet = true }

// receiveWait is the long poll of a system under test. In simulated time, where
// a test's months pass, it is SQS's longest; in real time it is the shortest,
// for a stop waits for the one under way.
func receiveWait(simulated bool) time.Duration {
	if simulated {
		return 20 * time.Second
	}
	return time.Second
}

// simulated reports whether the caller is in a bubble: outside of one
// synctest.Wait panics.
func simulated() (yes bool) {
	defer func() { yes = recover() == nil }()
	synctest.Wait()
	return
}

// throttle is the interval in which Proto.Actor counts dead letters.
const throttle = time.Millisecond

// New makes a system for the test. It takes no task until RunUntilIdle,
// WaitFor or Start is called. Inside a bubble t must be the bubble's.
func New(t testing.TB, opts ...Option) *System {
	t.Helper()
	o := options{name: "test", limit: 365 * 24 * time.Hour}
	for _, opt := range opts {
		opt(&o)
	}
	s := &System{t: t, log: &logBuffer{}, limit: o.limit, quiet: o.quiet, simulated: simulated()}
	if o.queueOf != nil {
		s.Queue = o.queueOf.Queue
	} else {
		s.Queue = newQueue(t)
	}
	var err error
	inProcess := sqsclient.WithHTTPClient(s.Queue.HTTPClient())
	if s.client, err = sqsclient.New(t.Context(), sqsclient.Settings{}, inProcess); err != nil {
		t.Fatalf("chassistest: %v", err)
	}
	settings := chassis.DefaultSettings()
	settings.Tasks.ReceiveWait = receiveWait(s.simulated)
	settings.Log.Level, settings.Log.Format = "debug", logger.FormatJSON
	for _, change := range o.change {
		change(&settings)
	}
	if o.def {
		restoreDefault(t)
	} else {
		o.chassis = append([]chassis.Option{chassis.WithoutDefaultLogger()}, o.chassis...)
	}
	s.System, err = chassis.New(o.name, append([]chassis.Option{
		chassis.WithSettings(settings), chassis.WithEmbedded(s.Queue), chassis.WithLogOutput(s.log),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(throttle)),
	}, o.chassis...)...)
	if err != nil {
		t.Fatalf("chassistest: %v", err)
	}
	s.rec = record(s.Tasks())
	t.Cleanup(s.end)
	return s
}

func newQueue(t testing.TB) *localsqs.Server {
	t.Helper()
	queue, err := localsqs.New()
	if err != nil {
		t.Fatalf("chassistest: the embedded queue: %v", err)
	}
	t.Cleanup(func() {
		if err := queue.Close(); err != nil {
			t.Errorf("chassistest: close the embedded queue: %v", err)
		}
	})
	return queue
}

// restoreDefault puts slog's default logger back at the test's end, and with
// it the output of package log, which slog.SetDefault turns to itself.
func restoreDefault(t testing.TB) {
	previous, writer, flags := slog.Default(), log.Writer(), log.Flags()
	t.Cleanup(func() {
		slog.SetDefault(previous)
		log.SetOutput(writer)
		log.SetFlags(flags)
	})
}

// Stop is [chassis.System.Stop]. A test that calls it judges its error itself:
// the end of the test does not report it again.
func (s *System) Stop(ctx context.Context) error {
	s.stopped = true
	return s.System.Stop(ctx)
}

// end stops the system, if the test has not done so.
func (s *System) end() {
	if err := s.System.Stop(context.Background()); err != nil && !s.stopped {
		s.t.Errorf("chassistest: stop: %v", err)
	}
	time.Sleep(3 * throttle) // Proto.Actor's goroutine that counts dead letters ends by time alone
	if n := s.rec.close(); n > 0 {
		s.t.Errorf("chassistest: %d events were lost: more happened at once than can be recorded", n)
	}
	if !s.quiet && (s.t.Failed() || testing.Verbose()) {
		s.t.Logf("the log of service %q:\n%s", s.Name(), s.log)
	}
}

// Send sends a task to the system's pool, or to another by task.Pool, and
// returns its exec_id. An error ends the test.
func Send[A any](s *System, def *task.Definition[A], args A, opts ...task.Option) (execID string) {
	s.t.Helper()
	execID, err := chassis.Send(s.t.Context(), s.System, def, args, opts...)
	if err != nil {
		s.t.Fatalf("chassistest: %v", err)
	}
	return execID
}
