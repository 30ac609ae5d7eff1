// Package addresses_test holds the promises of docs/addresses.md: questions that are
// answered, and executions that are cancelled from anywhere. Everything runs in simulated
// time over the embedded queue, but for the processes that are killed.
package addresses_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.uber.org/goleak"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

func TestMain(m *testing.M) {
	if endpoint := os.Getenv(askerEndpoint); endpoint != "" {
		if err := asks(endpoint); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// item is what is asked for, and price the answer.
type item struct {
	Name string `json:"name"`
}

type price struct {
	Cents int `json:"cents"`
}

var quote = task.Define[item]("quote", task.MaxFailures(3), task.Wait(time.Second, task.None))

// quotes handles quote: a name costs a hundred for each letter.
func quotes(sys *chassis.System) {
	chassis.Handle(sys, quote, func(ctx context.Context, job task.Job[item]) error {
		return task.Return(ctx, price{100 * len(job.Args.Name)})
	})
}

// pool is that of all services of these tests.
const pool = "shop-tasks"

// service makes a service of the pool, next to others if there are any.
func service(t *testing.T, others []*chassistest.System, change func(*chassis.Settings)) *chassistest.System {
	t.Helper()
	opts := []chassistest.Option{chassistest.Settings(func(s *chassis.Settings) {
		s.Tasks.TaskPool = pool
		if change != nil {
			change(s)
		}
	})}
	if len(others) > 0 {
		opts = append(opts, chassistest.Beside(others[0]))
	}
	return chassistest.New(t, opts...)
}

func start(t *testing.T, systems ...*chassistest.System) {
	t.Helper()
	for _, sys := range systems {
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// inboxes returns the names of the inboxes that are there.
func inboxes(t *testing.T, client *sqs.Client) (names []string) {
	t.Helper()
	prefix := task.InboxPrefix(pool)
	out, err := client.ListQueues(context.Background(), &sqs.ListQueuesInput{QueueNamePrefix: &prefix})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range out.QueueUrls {
		names = append(names, url[strings.LastIndexByte(url, '/')+1:])
	}
	slices.Sort(names)
	return names
}

// pass lets simulated time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var bubble = kit.Bubble
