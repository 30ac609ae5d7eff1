package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// run is one run of a handler, put together from its records.
type run struct {
	record
	cut, end int64 // ns; 0: never
	outcome  string
}

// verdict is what the records say.
type verdict struct {
	tasks, done, dead, mopped, runs, failures, duplicates int

	// inHand are runs that began after the delete of their message was
	// acknowledged to another process, by a delivery from before it: the lease
	// had been lost, and SQS cannot take a message back.
	inHand int

	lost     []string // tasks that neither ended nor died
	excess   []string // more failures than allowed
	afterAck []string // runs that began after their delete was acknowledged, by a later delivery
	overlaps []string // two runs of one message at once
}

func (v *verdict) ok() bool {
	return len(v.lost)+len(v.excess)+len(v.afterAck)+len(v.overlaps) == 0
}

// judge holds the records against what must be true.
func judge(tasks int, records []record, dead map[int]string, ended map[int]int64, acked, handed map[string]int64) verdict {
	runs := assemble(records, ended)
	v := verdict{tasks: tasks, runs: len(runs), dead: len(dead)}
	done := map[int]bool{}
	byExec, byMessage := map[string][]*run{}, map[string][]*run{}
	for _, r := range runs {
		byExec[r.Exec] = append(byExec[r.Exec], r)
		byMessage[r.Message] = append(byMessage[r.Message], r)
		if r.outcome == "done" || r.outcome == "late" {
			if r.Task == mop.Name() {
				v.mopped++
			}
			done[r.ID] = true
		}
		if r.Failures >= r.Max {
			v.excess = append(v.excess, fmt.Sprintf("task %d began attempt %d with %d of %d failures spent", r.ID, r.Attempt, r.Failures, r.Max))
		}
		if at, ok := acked[r.Message]; ok && r.At > at && handed[r.Message] < at {
			v.inHand++
		} else if ok && r.At > at {
			v.afterAck = append(v.afterAck, fmt.Sprintf("task %d, message %s: began %v after its delete was acknowledged", r.ID, r.Message, time.Duration(r.At-at)))
		}
	}
	for id := range tasks {
		if _, died := dead[id]; !died && !done[id] {
			v.lost = append(v.lost, fmt.Sprintf("task %d: neither done nor dead, %d runs", id, len(runsOf(runs, id))))
		}
	}
	v.done = len(done)
	for exec, list := range byExec {
		v.budget(exec, list)
	}
	for _, list := range byMessage {
		v.overlap(list)
	}
	return v
}

func runsOf(runs []*run, id int) (list []*run) {
	for _, r := range runs {
		if r.ID == id {
			list = append(list, r)
		}
	}
	return list
}

func assemble(records []record, ended map[int]int64) []*run {
	type key struct{ pid, run int }
	found := map[key]*run{}
	slices.SortFunc(records, func(a, b record) int { return cmp.Compare(a.At, b.At) })
	var all []*run
	for _, r := range records {
		k := key{r.PID, r.Run}
		switch r.Kind {
		case "begin":
			found[k] = &run{record: r}
			all = append(all, found[k])
		case "cut":
			if found[k] != nil {
				found[k].cut = r.At
			}
		case "end":
			if found[k] != nil {
				found[k].end, found[k].outcome = r.At, r.Outcome
			}
		}
	}
	for _, r := range all {
		if r.end == 0 {
			r.end, r.outcome = ended[r.PID], "killed"
		}
	}
	return all
}

// budget counts the failures of an execution. A crash between a fresh copy and
// the delete of the old message leaves two messages, each with a budget of its
// own: that is the promise of at least once, and it is counted apart.
func (v *verdict) budget(exec string, list []*run) {
	carried := map[int]string{} // failures at the first run of a message → message
	first := map[string]bool{}
	twice, failures := false, 0
	for _, r := range list {
		if !first[r.Message] {
			first[r.Message] = true
			if other, ok := carried[r.Failures]; ok && other != r.Message {
				twice = true
			}
			carried[r.Failures] = r.Message
		}
		switch r.outcome {
		case "error", "panic", "goexit", "deadline":
			failures++
		}
	}
	v.failures += failures
	switch most := list[0].Max; {
	case twice:
		v.duplicates++
	case failures > most:
		v.excess = append(v.excess, fmt.Sprintf("execution %s: %d failures, %d are allowed", exec, failures, most))
	}
}

// overlap looks for a run of a message that began while an earlier one went on
// in a living process, its ctx not cancelled.
func (v *verdict) overlap(list []*run) {
	for i, a := range list {
		for _, b := range list[i+1:] {
			if b.At >= a.end {
				continue
			}
			if a.cut == 0 || a.cut > b.At+int64(time.Second) {
				v.overlaps = append(v.overlaps, fmt.Sprintf("task %d, message %s: run %d of process %d and run %d of process %d overlap by %v (%s, %s)",
					b.ID, b.Message, a.Run, a.PID, b.Run, b.PID, time.Duration(min(a.end, max(b.end, b.At))-b.At), a.outcome, b.outcome))
			}
		}
	}
}
