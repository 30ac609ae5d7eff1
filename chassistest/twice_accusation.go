package chassistest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sambatech/chassis/chassistest/effects"
)

// AccusationKind says what an [Accusation] accuses.
type AccusationKind string

// The kinds of [Accusation]; [Twice] has their meaning.
const (
	Repeated     AccusationKind = "an effect is made again"
	Lost         AccusationKind = "an effect is lost"
	TooEarly     AccusationKind = "a task is sent before its transaction is committed"
	NotAwaited   AccusationKind = "the handler ends before its effect is over"
	Unfinished   AccusationKind = "the task does not end well"
	StateDiffers AccusationKind = "the state is not that of one run"
)

// Accusation is one thing that [Twice] accuses.
type Accusation struct {
	Kind    AccusationKind
	Task    string
	Fault   string            // what went wrong in the case
	Effect  *effects.Effect   // that is accused; nil for Unfinished and StateDiffers
	Detail  string            // first run against second run, or what else shows it
	Advice  string            // what to do
	Effects []*effects.Effect // of the case, in order

	effect string
}

// String is the finding with everything that a reader needs.
func (f Accusation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "task %q: %s", f.Task, f.Kind)
	fmt.Fprintf(&b, "\n  %s", f.Fault)
	fmt.Fprintf(&b, "\n%s", indent(f.Detail, "    "))
	fmt.Fprintf(&b, "\n  what to do:\n%s", indent(f.Advice, "    "))
	b.WriteString("\n  the effects in their order:")
	if len(f.Effects) == 0 {
		b.WriteString(" none were recorded; make them through the recorders of RerunProcess")
	}
	for _, e := range f.Effects {
		fmt.Fprintf(&b, "\n    process %d, run %d: %v", e.Process, e.Run, e)
	}
	return b.String()
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(text, "\n", "\n"+by)
}

// judgeRerun compares a case with the whole run of the same message.
func judgeRerun(whole, r *rerunResult) []Accusation {
	var found []Accusation
	add := func(kind AccusationKind, e *effects.Effect, detail, advice string) {
		f := Accusation{Kind: kind, Task: r.task, Fault: r.fault.String(), Effect: e, Detail: detail, Advice: advice,
			Effects: r.effects}
		if e != nil {
			f.effect = string(e.Kind) + strings.SplitN(e.Name, " ", 2)[0]
			if kind == Repeated || e.Kind != effects.HTTP {
				f.effect = string(e.Kind) + e.Name
			}
		}
		found = append(found, f)
	}
	ended := r.outcome.State == Succeeded && !r.late
	if !ended {
		detail := fmt.Sprintf("it is %s after %d runs in its last process", r.outcome.State, len(r.outcome.Started))
		if r.outcome.Reason != "" {
			detail += ", as " + r.outcome.Reason
		}
		if n := len(r.outcome.Errors); n > 0 {
			detail += ": " + r.outcome.Errors[n-1]
		}
		add(Unfinished, nil, detail, "let the second run find out what the first one has done, and go on from there: "+
			"what is done already is no error. A lock or a mark of the dead process must end by itself.")
	}
	kinds := map[effects.Verdict]AccusationKind{effects.Repeated: Repeated, effects.Lost: Lost,
		effects.TooEarly: TooEarly, effects.NotAwaited: NotAwaited}
	for _, d := range effects.Compare(whole.effects, r.effects, r.byState) {
		if d.Verdict == effects.Lost && !ended {
			continue // it follows
		}
		detail := d.String()
		if d.Verdict == effects.Lost {
			detail = "of the whole run: " + d.First.String() + "\nin this case: not once"
		}
		add(kinds[d.Verdict], d.First, detail, d.Advice)
	}
	if r.byState && ended && r.state != whole.state {
		add(StateDiffers, nil, stateDifference(whole.state, r.state),
			"make what changes it harmless when it is made again: by a key from job.ExecID,\n"+
				"or in one transaction with a row of job.ExecID that the second run finds")
	}
	return found
}

// stateDifference shows the lines in which two states differ.
func stateDifference(whole, twice string) string {
	a, b := strings.Split(whole, "\n"), strings.Split(twice, "\n")
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var text []string
	for _, line := range a {
		text = append(text, "after one run: "+strings.TrimSpace(line))
	}
	for _, line := range b {
		text = append(text, "in this case:  "+strings.TrimSpace(line))
	}
	return strings.Join(text, "\n")
}

// accepted leaves out what the test accepts.
func (r *Rerun) accepted(found []Accusation) []Accusation {
	return slices.DeleteFunc(found, func(f Accusation) bool {
		return slices.ContainsFunc(r.allowed, func(allow func(Accusation) bool) bool { return allow(f) })
	})
}

// distinct keeps the first finding of each kind about each effect: the same mistake shows
// in many cases.
func distinct(found []Accusation) []Accusation {
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(f Accusation) bool {
		key := f.Task + "\x00" + string(f.Kind) + "\x00" + f.effect
		again := seen[key]
		seen[key] = true
		return again
	})
}
