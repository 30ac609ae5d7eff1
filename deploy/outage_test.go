package deploy_test

import (
	"context"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

var attempts = regexp.MustCompile(`(?m)^chassis_task_attempts_total\{outcome="([a-z]+)",task="charge"\} (\d+)$`)

// In an outage the breaker refuses nearly all attempts, and few of them fail. The alert
// on failing tasks counted the failed alone, and was silent.
func TestTheAlertOnFailingTasksFiresInAnOutage(t *testing.T) {
	s := chassis.DefaultSettings()
	s.Admin.Listen, s.Tasks.TaskPool = "127.0.0.1:0", "shop-tasks"
	sys, err := chassis.New("shop", chassis.WithSettings(s), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(io.Discard),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Stop(context.Background()) })
	gateway := sys.Breaker("https://gateway.internal")
	if err := gateway.ForceOpen("", time.Hour); err != nil {
		t.Fatal(err)
	}
	charge := task.Define[int]("charge")
	chassis.Handle(sys, charge, func(ctx context.Context, _ task.Job[int]) error {
		return gateway.Do(ctx, "", func(context.Context) error { return nil })
	})
	events := sys.Tasks().Events(100)
	defer events.Close()
	const tasks = 4
	for i := range tasks {
		if _, err := chassis.Send(t.Context(), sys, charge, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < tasks; {
		if e := <-events.C; e.Kind == dispatcher.Interrupted {
			n++
		}
	}
	_, body := get(t, strings.TrimSuffix(sys.AdminURL(), "/")+"/metrics")
	counts, all := map[string]int{}, 0
	for _, m := range attempts.FindAllStringSubmatch(body, -1) {
		n, _ := strconv.Atoi(m[2])
		counts[m[1]] = n
		all += n
	}
	if counts["refused"] < tasks || counts["failed"] != 0 {
		t.Fatalf("the outcomes are %v", counts)
	}
	for _, r := range at(t, documents(t, "prometheus-rules.yaml")[""], "groups", 0, "rules").([]any) {
		if text(t, r, "alert") != "ChassisTasksFail" {
			continue
		}
		outcomes := regexp.MustCompile(`outcome=~"([a-z|]+)"`).FindStringSubmatch(text(t, r, "expr"))
		if outcomes == nil {
			t.Fatalf("the expression has no outcome: %s", text(t, r, "expr"))
		}
		failing := 0
		for outcome := range strings.SplitSeq(outcomes[1], "|") {
			failing += counts[outcome]
		}
		if share := float64(failing) / float64(all); share <= 0.5 {
			t.Errorf("the alert sees a share of %v in %v", share, counts)
		}
		return
	}
	t.Error("there is no alert ChassisTasksFail")
}
