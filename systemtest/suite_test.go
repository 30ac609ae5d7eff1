package systemtest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// TestSuiteOverASocket runs every scenario against our own queue as another
// process sees it.
func TestSuiteOverASocket(t *testing.T) {
	t.Parallel() // it waits in real time
	srv, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	endpoint, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	runSuite(t, endpoint)
}

// TestSuiteOnForeignQueue runs the same against an SQS that nobody here wrote:
// npm's fauxqs, which bench/queue/fauxqs.sh installs into FAUXQS_DIR.
func TestSuiteOnForeignQueue(t *testing.T) {
	dir := os.Getenv("FAUXQS_DIR")
	if dir == "" {
		t.Skip("FAUXQS_DIR is not set: no foreign queue to run on; bench/queue/fauxqs.sh DIR installs one")
	}
	runSuite(t, startFauxqs(t, dir))
}

func startFauxqs(t *testing.T, dir string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "node_modules/.bin/node"), filepath.Join(dir, "node_modules/fauxqs/dist/server.js"))
	cmd.Env = append(os.Environ(), fmt.Sprintf("FAUXQS_PORT=%d", port), "FAUXQS_LOGGER=false", "FAUXQS_HOST=127.0.0.1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	endpoint := fmt.Sprintf("http://127.0.0.1:%d", port)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := 0; ; i++ {
		res, err := client.Get(endpoint + "/health")
		if err == nil {
			_ = res.Body.Close()
			return endpoint
		}
		if i == 200 {
			t.Fatalf("fauxqs does not answer: %v", err)
		}
		time.Sleep(50 * time.Millisecond) // another process: there is nothing else to wait for
	}
}

// place is a queue service, and a pool on it for one scenario.
type place struct {
	t      *testing.T
	client *sqs.Client
	pool   string
}

// system makes one that takes from the pool; it is stopped with the test.
func (p place) system(change func(*chassis.Settings)) *chassis.System {
	p.t.Helper()
	s := chassis.DefaultSettings()
	s.Tasks.TaskPool, s.Tasks.ReceiveWait, s.Log.Level = p.pool, time.Second, "warning"
	if change != nil {
		change(&s)
	}
	sys, err := chassis.New("suite", chassis.WithSettings(s), chassis.WithSQS(p.client), chassis.WithLogOutput(p.t.Output()),
		chassis.WithoutDefaultLogger(), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = sys.Stop(context.Background()) }) // some scenarios stop it themselves, with an error
	return sys
}

func (p place) start(sys *chassis.System) {
	p.t.Helper()
	if err := sys.Start(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p place) send(sys *chassis.System, name string, opts ...task.Option) string {
	p.t.Helper()
	id, err := sys.Send(p.t.Context(), name, kit.Greeting{To: "x"}, opts...)
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func runSuite(t *testing.T, endpoint string) {
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{Endpoint: endpoint, Region: "us-east-1"},
		sqsclient.WithCredentials(credentials.NewStaticCredentialsProvider("key", "secret", "")))
	if err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func(place){
		"runs once": runsOnce, "retries in place": retriesInPlace, "gives back and retries": givesBack, "dies and is sent back": dies,
		"sends its on_fail": sendsOnFail, "snoozes": snoozes, "is delayed": isDelayed, "keeps its lease": keepsItsLease,
		"is given back by a stop": isGivenBack, "sends many": sendsMany,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(place{t, client, strings.NewReplacer(" ", "-", "_", "-").Replace(name)})
		})
	}
}

func runsOnce(p place) {
	sys, got := p.system(nil), make(chan *task.Info, 2)
	chassis.Handle(sys, task.Define[kit.Greeting]("greet"), func(_ context.Context, job task.Job[kit.Greeting]) error {
		got <- job.Info
		return nil
	})
	events := sys.Tasks().Events(100)
	defer events.Close()
	p.start(sys)
	id := p.send(sys, "greet", task.ForJob("7", "spring"))
	if info := <-got; info.ExecID != id || info.JobID != "7" || info.JobName != "spring" || info.Attempt != 1 {
		p.t.Errorf("ran as %+v", info)
	}
	for e := range events.C {
		if e.Kind == "settled" {
			return
		}
	}
}

// attempts is a handler that fails until the attempt given.
func attempts(sys *chassis.System, name string, until int, fail error, policies ...task.Policy) <-chan *task.Info {
	got := make(chan *task.Info, 20)
	chassis.Handle(sys, task.Define[kit.Greeting](name, policies...), func(_ context.Context, job task.Job[kit.Greeting]) error {
		got <- job.Info
		if job.Attempt < until {
			return fail
		}
		return nil
	})
	return got
}

func (p place) expect(got <-chan *task.Info, attempt, failures int) {
	p.t.Helper()
	if info := <-got; info.Attempt != attempt || info.Failures != failures {
		p.t.Errorf("attempt %d after %d failures, want %d after %d", info.Attempt, info.Failures, attempt, failures)
	}
}

func retriesInPlace(p place) {
	sys := p.system(nil)
	got := attempts(sys, "flaky", 3, errors.New("not yet"), task.Wait(100*time.Millisecond, task.Arithmetic))
	p.start(sys)
	p.send(sys, "flaky")
	for n := 1; n <= 3; n++ {
		p.expect(got, n, n-1)
	}
}

// givesBack waits longer than is held, so that the message goes back: the
// first time by its visibility, the second by a copy that carries the count.
func givesBack(p place) {
	sys := p.system(func(s *chassis.Settings) { s.Tasks.HoldLimit = 100 * time.Millisecond })
	got := attempts(sys, "flaky", 4, errors.New("not yet"), task.Wait(time.Second, task.None))
	p.start(sys)
	p.send(sys, "flaky")
	for n := 1; n <= 4; n++ {
		p.expect(got, n, n-1)
	}
}

func dies(p place) {
	sys := p.system(nil)
	var well atomic.Bool
	got := make(chan *task.Info, 8)
	chassis.Handle(sys, task.Define[kit.Greeting]("doomed", task.MaxFailures(2), task.Wait(0, task.None)), func(_ context.Context, job task.Job[kit.Greeting]) error {
		got <- job.Info
		if well.Load() {
			return nil
		}
		panic("no such luck")
	})
	events := sys.Tasks().Events(100)
	defer events.Close()
	p.start(sys)
	id := p.send(sys, "doomed", task.ForJob("8", "doom"))
	p.expect(got, 1, 0)
	p.expect(got, 2, 1)
	for e := range events.C {
		if e.Kind == "settled" {
			break
		}
	}
	n := 0
	for d, err := range sys.DeadLetters(p.t.Context()) {
		if err != nil {
			p.t.Fatal(err)
		}
		n++
		if d.ExecID != id || d.JobID != "8" || d.Reason != task.ReasonExhausted || d.Failures != 2 || !strings.Contains(d.LastError, "no such luck") || d.First.IsZero() {
			p.t.Errorf("dead letter %+v", d.Message)
		}
		well.Store(true)
		if err := d.SendBack(p.t.Context()); err != nil {
			p.t.Fatal(err)
		}
	}
	if n != 1 {
		p.t.Fatalf("%d dead letters", n)
	}
	p.expect(got, 1, 0)
}

func sendsOnFail(p place) {
	sys, mopped := p.system(nil), make(chan *task.Info, 1)
	got := attempts(sys, "spill", 9, errors.New("spilt"), task.MaxFailures(1), task.OnFail("mop"))
	chassis.Handle(sys, task.Define[kit.Greeting]("mop"), func(_ context.Context, job task.Job[kit.Greeting]) error {
		mopped <- job.Info
		return nil
	})
	p.start(sys)
	p.send(sys, "spill", task.ForJob("9", "cleaning"))
	p.expect(got, 1, 0)
	if info := <-mopped; info.JobID != "9" || info.JobName != "cleaning" || info.Failures != 0 {
		p.t.Errorf("the on_fail task ran as %+v", info)
	}
}

func snoozes(p place) {
	sys := p.system(func(s *chassis.Settings) { s.Tasks.HoldLimit = 100 * time.Millisecond })
	got := attempts(sys, "sleepy", 3, task.Snooze(time.Second), task.MaxFailures(1))
	p.start(sys)
	p.send(sys, "sleepy")
	for n := 1; n <= 3; n++ {
		p.expect(got, n, 0)
	}
}

func isDelayed(p place) {
	sys := p.system(nil)
	got := attempts(sys, "later", 1, nil)
	p.start(sys)
	begun := time.Now()
	p.send(sys, "later", task.Delay(2*time.Second))
	p.expect(got, 1, 0)
	if took := time.Since(begun); took < 1900*time.Millisecond {
		p.t.Errorf("ran after %v", took)
	}
}

func keepsItsLease(p place) {
	sys := p.system(func(s *chassis.Settings) { s.Tasks.TaskTimeout = 2 * time.Second })
	var runs atomic.Int64
	done := make(chan error, 1)
	chassis.Handle(sys, task.Define[kit.Greeting]("long"), func(ctx context.Context, _ task.Job[kit.Greeting]) error {
		runs.Add(1)
		select {
		case <-time.After(6 * time.Second):
		case <-ctx.Done():
		}
		done <- ctx.Err()
		return nil
	})
	p.start(sys)
	p.send(sys, "long")
	if err := <-done; err != nil {
		p.t.Errorf("its ctx ended: %v", err)
	}
	if n := runs.Load(); n != 1 {
		p.t.Errorf("it ran %d times at once", n)
	}
}

// isGivenBack stops a system while a task runs that ends with its ctx only:
// another system gets it at once, and no failure was spent.
func isGivenBack(p place) {
	short := func(s *chassis.Settings) {
		s.Tasks.DrainTimeout, s.Tasks.AbandonAfter = time.Second, 200*time.Millisecond
	}
	begun := make(chan struct{})
	first := p.system(short)
	chassis.Handle(first, task.Define[kit.Greeting]("stuck", task.MaxFailures(1)), func(ctx context.Context, _ task.Job[kit.Greeting]) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	})
	p.start(first)
	p.send(first, "stuck")
	<-begun
	if err := first.Stop(context.Background()); err != nil {
		p.t.Errorf("its handler ended when its ctx did, but the stop tells %v", err)
	}
	second := p.system(short)
	got := attempts(second, "stuck", 1, nil, task.MaxFailures(1))
	stopped := time.Now()
	p.start(second)
	if info := <-got; info.Failures != 0 {
		p.t.Errorf("the stop has spent %d failures", info.Failures)
	}
	if took := time.Since(stopped); took > 10*time.Second {
		p.t.Errorf("it was hidden for %v", took)
	}
}

func sendsMany(p place) {
	sys := p.system(func(s *chassis.Settings) { s.Tasks.Workers, s.Tasks.MaxWorkers = 20, 20 })
	var ran sync.Map
	all, n := make(chan struct{}), atomic.Int64{}
	const count = 205
	chassis.Handle(sys, task.Define[kit.Greeting]("one"), func(_ context.Context, job task.Job[kit.Greeting]) error {
		if _, twice := ran.LoadOrStore(job.Args.To, true); !twice && n.Add(1) == count {
			close(all)
		}
		return nil
	})
	p.start(sys)
	tasks := make([]chassis.Task, count)
	for i := range tasks {
		tasks[i] = chassis.Task{Name: "one", Args: kit.Greeting{To: fmt.Sprint(i)}}
	}
	if _, err := sys.SendMany(p.t.Context(), tasks); err != nil {
		p.t.Fatal(err)
	}
	<-all
}
