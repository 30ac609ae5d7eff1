//go:build unix

package systemtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

const killerRuns = 5

var (
	killer = task.Define[kit.Payload]("killer", task.MaxFailures(killerRuns))
	mail   = task.Define[kit.Payload]("mail", task.MaxFailures(3))
)

// The variables by which this test binary becomes a worker, see TestMain.
const (
	workerEndpoint = "SYSTEMTEST_ENDPOINT"
	workerRuns     = "SYSTEMTEST_RUNS" // file: a line for each run
)

// work is a worker process: it notes each run, and a killer ends it.
func work(endpoint, runs string) error {
	file, err := os.OpenFile(runs, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s := chassis.DefaultSettings()
	s.Queue.Endpoint, s.Queue.Region = endpoint, "us-east-1"
	s.Tasks.TaskPool, s.Tasks.TaskTimeout, s.Tasks.Workers = "mails", 2*time.Second, 8
	limitTenants(&s.Tasks)
	s.Log.Level = "critical"
	sys, err := chassis.New("worker", chassis.WithSettings(s), chassis.WithLogOutput(io.Discard))
	if err != nil {
		return err
	}
	chassis.Handle(sys, killer, func(_ context.Context, job task.Job[kit.Payload]) error {
		_, _ = fmt.Fprintln(file, "killer", job.ExecID)
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
	chassis.Handle(sys, mail, func(_ context.Context, job task.Job[kit.Payload]) error {
		time.Sleep(200 * time.Millisecond) // real time: a kill is to find some under way
		_, _ = fmt.Fprintln(file, "mail", job.ExecID)
		return nil
	})
	handleTenants(sys, file)
	return sys.Run(context.Background())
}

// Two messages that kill their process, among sixty that do not, in three real
// processes that are started again each time: a killer takes no neighbour to the
// dead letters, and is there itself when its budget is spent (rails/solid_queue#159
// and hibiken/asynq#334 are of workers that lose what ran beside a killed one).
func TestAKillerTakesNoNeighbourAlong(t *testing.T) {
	if os.Getenv("CHASSIS_SCALE") != "full" {
		t.Skip("waits for leases in real time, 40 s: CHASSIS_SCALE=full, or make killtest; the storm's worlds of killers have simulated time")
	}
	t.Parallel() // it waits in real time
	srv, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Close() }()
	endpoint, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := chassis.DefaultSettings()
	s.Tasks.TaskPool, s.Log.Level = "mails", "critical"
	sys, err := chassis.New("sender", chassis.WithSettings(s), chassis.WithEmbedded(srv), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sys.Stop(context.Background()) }()
	kinds := map[string]string{}
	send := func(kind string, n int) {
		id, err := sys.Send(t.Context(), kind, kit.Payload{N: n})
		if err != nil {
			t.Fatal(err)
		}
		kinds[id] = kind
	}
	chassis.Handle(sys, killer, func(context.Context, task.Job[kit.Payload]) error { return nil }) // it only sends
	chassis.Handle(sys, mail, func(context.Context, task.Job[kit.Payload]) error { return nil })
	for i := range 60 {
		if i%30 == 10 {
			send("killer", i)
		}
		send("mail", i)
	}
	runs := filepath.Join(t.TempDir(), "runs")
	ctx, stop := context.WithTimeout(t.Context(), 90*time.Second)
	defer stop()
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for ctx.Err() == nil {
				var out bytes.Buffer
				c := exec.CommandContext(ctx, os.Args[0])
				c.Env = append(os.Environ(), workerEndpoint+"="+endpoint, workerRuns+"="+runs, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local")
				c.Stderr = &out
				c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
				if err := c.Run(); err != nil && c.ProcessState.ExitCode() >= 0 && ctx.Err() == nil {
					t.Errorf("a worker ended with %v: %s", err, out.String())
					stop()
				}
			}
		})
	}
	for ctx.Err() == nil && !emptied(srv, "mails", len(kinds)-60) {
		time.Sleep(100 * time.Millisecond) // real time, and real processes
	}
	over := ctx.Err()
	stop()
	workers.Wait()
	if over != nil {
		t.Errorf("not done in time; queues %s", kit.Depths(srv))
	}
	counts := map[string]int{}
	text, err := os.ReadFile(runs)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		kind, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kinds[id] != kind {
			t.Errorf("ran %q, which was not sent", line)
		}
		counts[id]++
	}
	for id, kind := range kinds {
		// A delivery that ended with the other killer's process, before its run,
		// counts as well: the budget is the most.
		if n := counts[id]; kind == "killer" && (n > killerRuns || n < killerRuns-2) || n == 0 {
			t.Errorf("%s %s ran %d times", kind, id, n)
		}
	}
	dead := 0
	for d, err := range sys.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if dead++; d.Name != "killer" {
			t.Errorf("a dead letter of a neighbour: %s %s %s", d.Name, d.Reason, d.LastError)
		}
	}
	if dead != 2 {
		t.Errorf("%d dead letters, want those of the two killers", dead)
	}
	summary, _ := json.Marshal(map[string]int{"messages": len(kinds), "runs": strings.Count(string(text), "\n")})
	t.Logf("%s", summary)
}

// emptied reports whether a queue has no message left, and its dead letters are n.
func emptied(srv *localsqs.Server, name string, n int) bool {
	left, dead := -1, 0
	for _, q := range srv.Stats().Queues {
		switch all := q.Visible + q.InFlight + q.Delayed; q.Name {
		case name:
			left = all
		case name + "_dead":
			dead = all
		}
	}
	return left == 0 && dead >= n
}
