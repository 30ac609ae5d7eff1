package chassistest

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/sambatech/chassis/task"
)

// The steps of a task as the messages of a storm carry them: see [StepAgain].

// cursorKind is what the journal says of a cursor. Its rounds use the names and the numbers of
// their steps again, so what comes after it in a journal is not judged.
const cursorKind = "cursor"

// stepsIn returns the steps that an attribute of a message holds, by their task.StepKey without
// the exec_id.
func stepsIn(attribute string) map[string]bool {
	if attribute == "" || attribute[0] == '[' {
		return stepsOf([]byte(attribute))
	}
	wire, err := base64.StdEncoding.DecodeString(attribute)
	if err != nil {
		return nil
	}
	return stepsOf(wire)
}

// stepsOf returns the steps of the wire form of a task.Journal.
func stepsOf(wire []byte) map[string]bool {
	if len(wire) == 0 {
		return nil
	}
	if wire[0] != '[' { // a byte, and a stream of DEFLATE
		var err error
		if wire, err = io.ReadAll(flate.NewReader(bytes.NewReader(wire[1:]))); err != nil {
			return nil
		}
	}
	var list []struct {
		Lane string `json:"l"`
		Name string `json:"n"`
		Kind string `json:"k"`
	}
	if json.Unmarshal(wire, &list) != nil {
		return nil
	}
	steps, count := map[string]bool{}, map[string]int{}
	for _, e := range list {
		if e.Kind == cursorKind {
			return steps
		}
		count[e.Lane]++
		step := fmt.Sprintf("%d/%s", count[e.Lane], e.Name)
		if e.Lane != "" {
			step = e.Lane + "/" + step
		}
		steps[step] = true
	}
	return steps
}

// stepKey is the task.StepKey of a ctx of a run; empty outside of a step.
func stepKey(ctx context.Context, r *run) string {
	if key := task.StepKey(ctx); key != r.info.ExecID {
		return key
	}
	return ""
}

// stepAt is the step that an effect belongs to, as stepsOf names it; empty outside of one.
func stepAt(e *Effect) string {
	name, _ := strings.CutPrefix(e.Step, e.ExecID+"/")
	return name
}

// keeps notes the steps that are done after a run, which the next one of its delivery gets.
func (d *delivery) keeps(r *run) {
	if d.steps == nil {
		d.steps = map[string]bool{}
	}
	for step := range r.steps {
		d.steps[step] = true
	}
	d.journal = max(d.journal, r.journal)
}

// stepped judges an effect of a step.
func (b *book) stepped(r *run, e *Effect) {
	if e.Step == "" || r.delivery == nil {
		return
	}
	if r.delivery.steps[stepAt(e)] {
		b.w.accuse(StepAgain, r.fate.label, "the step %s runs again, though its result was there", stepAt(e))
	}
}

// mostSteps is the size of a journal from which a copy may have room for a part of it only.
const mostSteps = 4 << 10

// carries judges the steps on a copy that a process has sent of a message in its hands.
func (b *book) carries(p *Process, e *entry) {
	if e.attrs[task.AttrFailures] == "" {
		return // a new message, and no copy
	}
	var from *delivery
	for d := range p.held {
		if d.message.fate == e.fate && !d.message.fate.ordered {
			if from != nil {
				return // it has the message twice: which of them this is of is not known
			}
			from = d
		}
	}
	if from == nil || from.unsure || from.journal > mostSteps {
		return
	}
	carried := stepsIn(e.attrs[task.AttrSteps])
	for step := range from.steps {
		if !carried[step] {
			b.w.accuse(StepAgain, e.fate.label, "its copy does not carry the step %s, which is done", step)
			return
		}
	}
}
