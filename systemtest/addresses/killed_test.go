package addresses_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// askerEndpoint is the variable by which this test binary becomes a process that asks.
const askerEndpoint = "ADDRESSES_ENDPOINT"

// process makes a service in this process on a queue at an endpoint; without a pool it only
// sends.
func process(endpoint, pool string) (*chassis.System, error) {
	s := chassis.DefaultSettings()
	s.Queue.Endpoint, s.Queue.Region = endpoint, "us-east-1"
	s.Tasks.TaskPool, s.Log.Level = pool, "critical"
	return chassis.New("shop", chassis.WithSettings(s), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(),
		kit.ForTests)
}

// asks asks until it is killed, and writes a line for each answer.
func asks(endpoint string) error {
	sys, err := process(endpoint, "")
	if err != nil {
		return err
	}
	if err := sys.Start(context.Background()); err != nil {
		return err
	}
	for {
		if _, err := chassis.Ask[price](context.Background(), sys, quote, item{"tea"}, task.Pool(pool)); err != nil {
			return err
		}
		if _, err := os.Stdout.WriteString("answered\n"); err != nil {
			return err
		}
	}
}

func killedAsker(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "local")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "local")
	srv, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Close() }()
	endpoint, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sys, err := process(endpoint, pool)
	if err != nil {
		t.Fatal(err)
	}
	quotes(sys)
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	asker := exec.CommandContext(t.Context(), self)
	asker.Env = append(os.Environ(), askerEndpoint+"="+endpoint)
	asker.Stderr = os.Stderr
	out, err := asker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := asker.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 100 {
		if !lines.Scan() {
			t.Fatal("the asker has no answers")
		}
	}
	if got := inboxes(t, sys.SQS()); len(got) != 1 {
		t.Fatalf("of an asker that lives there are %v", got)
	}
	if err := asker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	_ = asker.Wait()
	for len(inboxes(t, sys.SQS())) > 0 {
		if time.Since(killed) > time.Minute {
			t.Fatalf("a minute after the kill there is %v", inboxes(t, sys.SQS()))
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("its queue was gone %v after the kill", time.Since(killed).Round(time.Second))
}
