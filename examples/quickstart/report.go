package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/sambatech/chassis"
)

// follow sends the rows and shows how far it is, until each row is either
// accepted by the gateway or a dead letter. It returns the dead letters by row.
func (m *mailing) follow(ctx context.Context, out *os.File, ended chan error) (map[int]*chassis.DeadLetter, error) {
	sent := make(chan error, 1)
	go func() { sent <- m.send(ctx) }()
	show, finish := progress(out, len(m.rows))
	defer finish()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()

	dead, sending := map[int]*chassis.DeadLetter{}, true
	for looked := time.Now(); ; {
		select {
		case err := <-sent:
			if err != nil {
				return nil, fmt.Errorf("sending: %w", err)
			}
			sending = false
		case err := <-ended:
			ended <- err
			return nil, errors.New("interrupted: start it again and it carries on")
		case <-tick.C:
			show(min(m.gate.count()+max(len(dead), m.givenUp()), len(m.rows)))
			if sending || m.busy() || time.Since(looked) < time.Second {
				continue
			}
			found, err := m.deadLetters(ctx)
			if err != nil {
				return nil, err
			}
			maps.Copy(dead, found)
			if len(m.missing(dead)) == 0 {
				return dead, nil
			}
			looked = time.Now()
		}
	}
}

func (m *mailing) busy() bool {
	t := m.sys.Tasks().Stats()
	return t.Running+t.Held+t.Queued > 0
}

func (m *mailing) givenUp() int {
	n := uint64(0)
	for _, t := range m.sys.Tasks().Stats().Tasks {
		n += t.GivenUp
	}
	return int(n)
}

// retried counts the failures of this process that were not a task's last.
func (m *mailing) retried() (n uint64) {
	for _, t := range m.sys.Tasks().Stats().Tasks {
		n += t.Failed - min(t.Failed, t.GivenUp)
	}
	return n
}

func (m *mailing) deadLetters(ctx context.Context) (map[int]*chassis.DeadLetter, error) {
	byExec := map[string]int{}
	for i, id := range m.plan.ExecIDs {
		byExec[id] = i + 1
	}
	dead := map[int]*chassis.DeadLetter{}
	for d, err := range m.sys.DeadLetters(ctx) {
		if errors.Is(err, chassis.ErrMoreDeadLetters) {
			break // a look that was killed hides the others for a while: follow looks again
		}
		if err != nil {
			return nil, err
		}
		dead[byExec[d.ExecID]] = d
	}
	return dead, nil
}

// missing is every row that is accounted for not at all, or in two ways.
func (m *mailing) missing(dead map[int]*chassis.DeadLetter) []int {
	accepted := m.gate.accepted()
	var rows []int
	for _, r := range m.rows {
		_, died := dead[r.Row]
		if delivered := len(accepted[r.Row]) > 0; delivered == died {
			rows = append(rows, r.Row)
		}
	}
	return rows
}

// progress shows a bar on a terminal, and now and then a line elsewhere.
func progress(out *os.File, total int) (show func(int), finish func()) {
	if term.IsTerminal(int(out.Fd())) {
		bar := progressbar.NewOptions(total,
			progressbar.OptionSetWriter(out), progressbar.OptionSetDescription("mailing"),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("rows"),
			progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
		return func(n int) { _ = bar.Set(n) }, func() { _ = bar.Finish() }
	}
	last := time.Now()
	return func(n int) {
		if time.Since(last) >= time.Second {
			last = time.Now()
			fmt.Fprintf(out, "mailing: %d of %d rows\n", n, total)
		}
	}, func() {}
}

// report prints the account, and is an error if it does not come out even.
func (m *mailing) report(out io.Writer, dead map[int]*chassis.DeadLetter, dir string) error {
	took := time.Since(m.begun)
	accepted := m.gate.accepted()
	once, duplicates, twice := 0, 0, 0
	for _, entries := range accepted {
		switch {
		case len(entries) > 1:
			twice++
		case entries[0].DupOf != 0:
			duplicates++
		default:
			once++
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nrows\t%d\n", len(m.rows))
	fmt.Fprintf(w, "delivered once each\t%d\n", once)
	fmt.Fprintf(w, "an address that was mailed already\t%d\n", duplicates)
	fmt.Fprintf(w, "dead-lettered\t%d\n", len(dead))
	for _, reason := range reasons(dead) {
		fmt.Fprintf(w, "  %s\t%d\n", reason.text, reason.count)
	}
	if m.resumed > 0 {
		fmt.Fprintf(w, "accepted before this start\t%d\n", m.resumed)
	}
	fmt.Fprintf(w, "attempts refused by the breaker\t%d\n", m.refused.Load())
	fmt.Fprintf(w, "failed and retried\t%d\n", m.retried())
	fmt.Fprintf(w, "tasks a second\t%.0f\n", float64(len(accepted)+len(dead)-m.resumed)/took.Seconds())
	fmt.Fprintf(w, "took\t%v\n", took.Round(10*time.Millisecond))
	fmt.Fprintf(w, "breaker\t\n")
	for _, t := range m.breaker.Transitions(0) {
		fmt.Fprintf(w, "  %6.2f s  %s -> %s\t%s: %s\n",
			t.At.Sub(m.begun).Seconds(), t.From, t.To, orRoot(t.Entry), t.Reason)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if missing := m.missing(dead); len(missing) > 0 || twice > 0 {
		return fmt.Errorf("%d rows are not accounted for (%v), %d were delivered twice; the queue is kept in %s",
			len(missing), missing, twice, dir)
	}
	fmt.Fprintln(out, "\nevery row is accounted for")
	return os.RemoveAll(dir)
}

func orRoot(entry string) string {
	if entry == "" {
		return "/"
	}
	return entry
}

type reason struct {
	text  string
	count int
}

// reasons groups dead letters by what was wrong, without the address itself.
func reasons(dead map[int]*chassis.DeadLetter) []reason {
	counts := map[string]int{}
	for _, d := range dead {
		text, _, _ := strings.Cut(d.LastError, ": \"")
		counts[d.Reason+": "+strings.TrimPrefix(text, "task cancelled: ")]++
	}
	var all []reason
	for text, count := range counts {
		all = append(all, reason{text, count})
	}
	slices.SortFunc(all, func(a, b reason) int { return b.count - a.count })
	return all
}
