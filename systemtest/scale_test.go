package systemtest_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// requestsOf measures how many requests a service makes in a time, of all operations
// whose name begins so, while n tasks come in it at equal distances.
func requestsOf(t *testing.T, n int, lasts time.Duration, def *task.Definition[kit.Payload],
	h task.Handler[kit.Payload]) (count func(op string) float64) {
	counts := map[string]int{}
	ops := []string{"", "Receive", "Send", "Delete", "Change", "Get"}
	kit.Bubble(t, func(t *testing.T) {
		base, tap := chassistest.New(t), &kit.Tap{}
		sys := kit.Tapped(t, base, tap, kit.Quietly("error"))
		chassis.Handle(sys.System, def, h)
		kit.Begin(t, sys)
		chassistest.Send(sys, def, kit.Payload{}) // the first asks for more: the queue's address
		time.Sleep(40 * time.Minute)
		before := map[string]int{}
		for _, op := range ops {
			before[op] = tap.Count(op)
		}
		begun := time.Now()
		for i := range n {
			time.Sleep(time.Until(begun.Add(time.Duration(i) * lasts / time.Duration(n))))
			if _, err := chassis.Send(t.Context(), sys.System, def, kit.Payload{N: i}); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Until(begun.Add(lasts)))
		for _, op := range ops {
			counts[op] = tap.Count(op) - before[op]
		}
		if err := sys.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return func(op string) float64 { return float64(counts[op]) }
}

// TestThePageOfScaleSaysWhatIsMeasured measures in simulated time what docs/scale.md says
// of the requests of a process and of a task, and works its sums out again.
func TestThePageOfScaleSaysWhatIsMeasured(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	nap := func(d time.Duration) task.Handler[kit.Payload] {
		return func(ctx context.Context, _ task.Job[kit.Payload]) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	work := task.Define[kit.Payload]("work")
	idle := requestsOf(t, 0, 6*time.Hour, work, nap(0))
	perDay := idle("") * 4
	measured := map[string]float64{
		"an idle process, requests a day":                perDay,
		"of these receives":                              idle("Receive") * 4,
		"ten thousand idle processes, requests a second": perDay * 10_000 / 86_400,
		"ten thousand idle processes, dollars a month":   perDay * 10_000 * 30 / 1e6 * 0.4,
		"the same with three pools each":                 3 * perDay * 10_000 * 30 / 1e6 * 0.4,
	}
	for _, c := range []struct {
		name  string
		n     int
		lasts time.Duration
		takes time.Duration
	}{
		{"1 task a minute", 30, 30 * time.Minute, 50 * time.Millisecond},
		{"1 task a second", 300, 5 * time.Minute, 50 * time.Millisecond},
		{"10 tasks a second", 1200, 2 * time.Minute, 50 * time.Millisecond},
		{"100 tasks a second", 3000, 30 * time.Second, 50 * time.Millisecond},
	} {
		count := requestsOf(t, c.n, c.lasts, work, nap(c.takes))
		of := float64(c.n)
		measured[c.name+", sends"] = count("Send") / of
		measured[c.name+", receives"] = count("Receive") / of
		measured[c.name+", deletes"] = count("Delete") / of
		measured[c.name+", requests"] = count("") / of
		measured[c.name+", dollars a million tasks"] = count("") / of * 0.4
	}
	for _, load := range []string{"1 task a minute", "1 task a second"} {
		perSecond := 10_000 * measured[load+", requests"] * map[string]float64{"1 task a minute": 1. / 60, "1 task a second": 1}[load]
		measured["ten thousand processes at "+load+", requests a second"] = perSecond
		measured["ten thousand processes at "+load+", dollars a month"] = perSecond * 86_400 * 30 / 1e6 * 0.4
	}
	long := requestsOf(t, 10, 10*time.Hour, work, nap(time.Hour/2))
	measured["a task of half an hour, extensions"] = long("Change") / 10
	row := regexp.MustCompile(`(?m)^\| ([^|]+) \| ([0-9.]+) \|`)
	stated := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		stated[m[1]] = m[2]
	}
	for name, is := range measured {
		tolerance := 0.03
		if strings.HasPrefix(name, "100 tasks a second") {
			tolerance = 0.15 // which tasks share a request depends on the order of goroutines
		}
		says, err := strconv.ParseFloat(stated[name], 64)
		if err != nil || math.Abs(says-is) > tolerance*is+0.005 {
			t.Errorf("docs/scale.md: %q is %q there, %s measured", name, stated[name], fmt.Sprintf("%.4g", is))
		}
		delete(stated, name)
	}
	for name := range stated {
		t.Errorf("docs/scale.md: nothing measures %q", name)
	}
}
