// Command mutants changes the decisions of the pure cores one at a time, and
// says which changes no test of the core notices.
//
//	cd bench && go run ./mutants            # all cores
//	cd bench && go run ./mutants lease      # one
//	cd bench && go run ./mutants -v -min 95 # lists the killed too; fails below 95 %
//
// The mutants of a core are compiled into one test binary by an overlay, so the
// tree is not touched, and an environment variable chooses the one in force.
// Only the tests of the core's own test files run, milliseconds to a second:
// what a core decides is to be held by its table tests, not by a system test
// that happens to pass there.
//
// accepted.txt names mutants that no test can kill, each with its reason. They
// do not count.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// core is one pure core: the files with its decisions, and those with its tests.
// Methods of the actor that stand in the same file are no part of it: they are left
// to tests of the whole actor.
type core struct {
	name  string
	dir   string
	files []string
	tests []string
	actor string // its methods are left out
}

// cores are the seven on which nothing less than their promise depends, and
// those that decide what is received.
var cores = []core{
	{"budget", "actors/dispatcher", []string{"budget.go"}, []string{"budget_test.go"}, ""},
	{"lease", "actors/poller", []string{"lease.go", "ledger.go"}, []string{"lease_test.go", "ledger_test.go"}, ""},
	{"settlement", "actors/poller", []string{"settlement.go"}, []string{"settlement_test.go"}, ""},
	{"schedule", "actors/dispatcher", []string{"schedule.go"}, []string{"schedule_test.go"}, ""},
	{"suspects", "actors/dispatcher", []string{"suspects.go"}, []string{"suspects_test.go"}, "dispatcher"},
	{"giveback", "actors/dispatcher", []string{"giveback.go"}, []string{"giveback_fit_test.go"}, "dispatcher"},
	{"machine", "actors/breaker", []string{"machine.go"}, []string{"machine_test.go", "model_test.go", "policy_test.go"}, ""},
	{"shares", "actors/shares", []string{"table.go"}, []string{"table_test.go", "script_test.go"}, ""},
	{"demand", "actors/poller", []string{"demand.go"}, []string{"demand_test.go"}, ""},
	{"refusals", "actors/poller", []string{"refusals.go"}, []string{"refusals_test.go"}, ""},
	{"clock", "actors/poller", []string{"clock.go"}, []string{"clock_test.go"}, ""},
	{"patience", "actors/poller", []string{"patience.go"}, []string{"patience_test.go"}, ""},
	{"slots", "actors/dispatcher", []string{"demand.go", "turnover.go", "throttle.go"}, []string{"demand_slots_test.go", "turnover_test.go", "throttle_test.go"}, "dispatcher"},
}

func main() {
	least := flag.Float64("min", 0, "fail below this share of killed mutants, in percent")
	verbose := flag.Bool("v", false, "list the killed mutants too")
	root := flag.String("C", "..", "the main module's folder")
	list := flag.String("accepted", filepath.Join("mutants", "accepted.txt"), "mutants that change nothing")
	flag.Parse()
	accepted, err := readAccepted(*list)
	if err != nil {
		fail(err)
	}
	good := true
	for _, c := range cores {
		if flag.NArg() > 0 && !strings.Contains(" "+strings.Join(flag.Args(), " ")+" ", " "+c.name+" ") {
			continue
		}
		share, err := try(*root, c, accepted, *verbose)
		if err != nil {
			fail(fmt.Errorf("%s: %w", c.name, err))
		}
		good = good && share >= *least
	}
	if !good {
		fail(fmt.Errorf("fewer than %.0f %% of a core's mutants are killed", *least))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "mutants:", err)
	os.Exit(1)
}

// try prints what became of a core's mutants, and returns the share of the killed.
func try(root string, c core, accepted map[string]string, verbose bool) (share float64, err error) {
	tmp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	b, err := build(root, tmp, c)
	if err != nil {
		return 0, err
	}
	survived, err := b.run()
	if err != nil {
		return 0, err
	}
	killed, equivalent := 0, 0
	var lines []string
	for _, m := range b.mutants {
		switch {
		case !survived[m.id]:
			killed++
			if verbose {
				lines = append(lines, "killed    "+m.String())
			}
		case accepted[m.key()] != "":
			equivalent++
			lines = append(lines, "accepted  "+m.String()+": "+accepted[m.key()])
		default:
			lines = append(lines, "SURVIVED  "+m.String())
		}
	}
	counted := len(b.mutants) - equivalent
	if counted > 0 {
		share = 100 * float64(killed) / float64(counted)
	}
	fmt.Printf("%-9s %3d of %3d mutants killed (%.1f %%), %d survived, %d accepted; %d tests\n", c.name, killed, counted, share, counted-killed, equivalent, b.tests)
	for _, l := range lines {
		fmt.Println("  " + l)
	}
	return share, nil
}

// readAccepted reads lines of a mutant's key, a tab and a reason.
func readAccepted(name string) (map[string]string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	accepted := map[string]string{}
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, reason, ok := strings.Cut(line, "\t")
		if !ok || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s:%d: no reason after a tab", name, i+1)
		}
		accepted[key] = strings.TrimSpace(reason)
	}
	return accepted, nil
}
