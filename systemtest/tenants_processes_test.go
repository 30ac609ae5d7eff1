//go:build unix

package systemtest_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// workerPool makes the worker one of a pool with a limit of three of a tenant.
const workerPool = "SYSTEMTEST_TENANTS_POOL"

var ofTenant = task.Define[int]("of tenant", task.MaxFailures(50))

// limitTenants gives a worker its pool with the limit, if it is one of those.
func limitTenants(s *chassis.TaskSettings) {
	if pool := os.Getenv(workerPool); pool != "" {
		s.TaskPool, s.Workers, s.MaxWorkers = pool, 40, 1
		s.Limits.Tenant = dispatcher.TenantLimits{Running: 3}
	}
}

// handleTenants writes a line for each begin and each end of a run.
func handleTenants(sys *chassis.System, file io.Writer) {
	chassis.Handle(sys, ofTenant, func(_ context.Context, job task.Job[int]) error {
		_, _ = fmt.Fprintln(file, "+", job.Tenant, os.Getpid(), job.ExecID)
		time.Sleep(time.Duration(100+job.Args%5*50) * time.Millisecond) // real time: a kill is to find some under way
		_, _ = fmt.Fprintln(file, "-", job.Tenant, os.Getpid(), job.ExecID)
		return nil
	})
}

// TestNeverAFourthOfATenantInRealProcesses: eight of them, of which one is killed each second.
func TestNeverAFourthOfATenantInRealProcesses(t *testing.T) {
	if os.Getenv("CHASSIS_SCALE") != "full" {
		t.Skip("waits for leases in real time, a minute: CHASSIS_SCALE=full; TestNeverAFourthOfATenant has simulated time")
	}
	t.Parallel()
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
	s.Tasks.TaskPool, s.Log.Level = "tenants.fifo", "critical" // it knows no limit: each message is moved
	sys, err := chassis.New("sender", chassis.WithSettings(s), chassis.WithEmbedded(srv), chassis.WithoutDefaultLogger(),
		chassis.WithLogOutput(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sys.Stop(context.Background()) }()
	chassis.Handle(sys, ofTenant, func(context.Context, task.Job[int]) error { return nil }) // it only sends
	const tasks, tenants = 4800, 100
	for i := range tasks {
		tenant := fmt.Sprint("tenant-", i%tenants)
		if _, err := sys.Send(t.Context(), ofTenant.Name(), i, task.Tenant(tenant), task.Group(fmt.Sprint(tenant, "#", i%7))); err != nil {
			t.Fatal(err)
		}
	}
	runs := filepath.Join(t.TempDir(), "runs")
	file, err := os.OpenFile(runs, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is read by its name
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Second)
	defer stop()
	var workers sync.WaitGroup
	kill := make(chan struct{})
	for range 8 {
		workers.Go(func() {
			for ctx.Err() == nil {
				c := exec.CommandContext(ctx, os.Args[0])
				c.Env = append(os.Environ(), workerEndpoint+"="+endpoint, workerRuns+"="+runs, workerPool+"=tenants.fifo",
					"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local")
				if c.Start() != nil {
					return
				}
				select {
				case <-kill:
				case <-ctx.Done():
				}
				_ = c.Process.Kill()
				_ = c.Wait()
				_, _ = fmt.Fprintln(file, "x", "-", c.Process.Pid, "-") // nothing of it runs any more
			}
		})
	}
	kills := 0
	for ctx.Err() == nil && !emptied(srv, "tenants.fifo", 0) {
		time.Sleep(time.Second) // real time, and real processes
		if kills < 20 {
			kills++
			kill <- struct{}{}
		}
	}
	over := ctx.Err()
	stop()
	workers.Wait()
	if over != nil {
		t.Errorf("not done in time; queues %s", kit.Depths(srv))
	}
	text, err := os.ReadFile(runs)
	if err != nil {
		t.Fatal(err)
	}
	inside, ended, most := map[string]map[string]int{}, map[string]bool{}, 0
	for line := range strings.Lines(string(text)) {
		var what, tenant, pid, id string
		if _, err := fmt.Sscan(line, &what, &tenant, &pid, &id); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch what {
		case "x":
			for _, here := range inside {
				delete(here, pid)
			}
			continue
		case "+":
			if inside[tenant] == nil {
				inside[tenant] = map[string]int{}
			}
			inside[tenant][pid]++
		case "-":
			inside[tenant][pid]--
			ended[id] = true
		}
		n := 0
		for _, here := range inside[tenant] {
			n += here
		}
		if most = max(most, n); n > 3 {
			t.Errorf("%s has %d executions at once", tenant, n)
		}
	}
	for _, q := range srv.Stats().Queues {
		if q.Name == "tenants_dead.fifo" && q.Visible+q.InFlight > 0 {
			t.Errorf("%d dead letters", q.Visible+q.InFlight)
		}
	}
	if len(ended) != tasks || most != 3 {
		t.Errorf("%d of %d tasks have ended; at most %d of a tenant at once, want 3", len(ended), tasks, most)
	}
	t.Logf("%d kills, %d runs ended, at most %d of a tenant at once", kills, len(ended), most)
}
