package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/internal/clip"
)

// Readiness says whether the service may get work: TASK_QUEUES and TASK_CONSUMER as
// the Python chassis has them, and the service's own checks.
type Readiness struct {
	TaskQueues   Health            `json:"TASK_QUEUES"`
	TaskConsumer Health            `json:"TASK_CONSUMER"`
	Ready        Health            `json:"READY,omitempty"`  // the verdict
	Checks       map[string]Health `json:"CHECKS,omitempty"` // by name; one without a result is ERROR
	Reasons      []string          `json:"reasons,omitempty"`
	Components   []Component       `json:"-"` // what the verdict is made of; nil: the two of the tasks
}

// Component is one thing that readiness is made of.
type Component struct {
	Name   string
	OK     bool
	Counts bool   // readiness says no while it fails
	Reason string // of a failure
}

// OK returns the verdict.
func (r Readiness) OK() bool { return r.without(nil) }

// without returns the verdict without some components.
func (r Readiness) without(excluded []string) bool {
	for _, c := range r.components() {
		if c.Counts && !c.OK && !slices.Contains(excluded, c.Name) {
			return false
		}
	}
	return true
}

func (r Readiness) components() []Component {
	if r.Components != nil {
		return r.Components
	}
	return []Component{
		{"task_queues", r.TaskQueues == OK, true, strings.Join(r.Reasons, "; ")},
		{"task_consumer", r.TaskConsumer == OK, true, strings.Join(r.Reasons, "; ")},
	}
}

// NewReadiness returns the verdict on a service in a state. The components named in
// without do not make readiness say no; the state does in any case.
func NewReadiness(state string, tasks pools.Readiness, checks []health.Status, without []string) Readiness {
	r := Readiness{TaskQueues: tasks.TaskQueues, TaskConsumer: tasks.TaskConsumer}
	r.Reasons = slices.Clone(tasks.Reasons)
	why := strings.Join(tasks.Reasons, "; ")
	r.Components = []Component{
		{"service", state == StateRunning, true, "the service is " + state},
		{"task_queues", tasks.TaskQueues == OK, !slices.Contains(without, "task_queues"), why},
		{"task_consumer", tasks.TaskConsumer == OK, !slices.Contains(without, "task_consumer"), why},
	}
	for _, c := range checks {
		one := Component{c.Name, c.Up, c.Readiness && !slices.Contains(without, c.Name), c.Error}
		switch {
		case !c.Known:
			one.Reason = "it has no result yet"
		case !c.Up:
			one.Reason = fmt.Sprintf("fails since %s: %s", c.Since.Format(time.RFC3339), c.Error)
		}
		r.Components = append(r.Components, one)
		if r.Checks == nil {
			r.Checks = map[string]Health{}
		}
		r.Checks[c.Name] = healthOf(c.Up)
		if one.Counts && !c.Up {
			r.Reasons = append(r.Reasons, "check "+c.Name+": "+one.Reason)
		}
	}
	r.Ready = healthOf(r.OK())
	return r
}

func healthOf(ok bool) Health {
	if ok {
		return OK
	}
	return Error
}

// line returns a component as Kubernetes' own /readyz?verbose shows its checks.
func (c Component) line(reasons bool) string {
	switch {
	case c.OK:
		return "[+]" + c.Name + " ok"
	case !reasons:
		return "[-]" + c.Name + " failed: reason withheld" + c.note()
	}
	return "[-]" + c.Name + " failed: " + clip.Line(c.Reason, clip.Text) + c.note()
}

func (c Component) note() string {
	if c.Counts {
		return ""
	}
	return " (does not count)"
}

// readyz may be asked without the token, but then does not give the reasons, which
// name queues and endpoints. With ?verbose it answers in lines; ?exclude=NAME leaves
// one component out of the verdict.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ready := s.cfg.Service.Ready(r.Context())
	known := s.guard.known(r)
	query := r.URL.Query()
	ok := ready.without(query["exclude"])
	if query.Has("verbose") {
		var text []string
		for _, c := range ready.components() {
			if slices.Contains(query["exclude"], c.Name) {
				text = append(text, "[+]"+c.Name+" excluded: ok")
			} else {
				text = append(text, c.line(known))
			}
		}
		answerLines(w, ok, append(text, "readyz check "+map[bool]string{true: "passed", false: "failed"}[ok]))
		return
	}
	if !known {
		ready.Reasons = nil
	}
	ready.Reasons = lines(ready.Reasons)
	answerProbe(w, ok, ready)
}

// readyzOne answers for one component by its name.
func (s *Server) readyzOne(w http.ResponseWriter, r *http.Request) {
	ready, known := s.cfg.Service.Ready(r.Context()), s.guard.known(r)
	for _, c := range ready.components() {
		if c.Name == r.PathValue("name") {
			answerLines(w, c.OK, []string{c.line(known)})
			return
		}
	}
	problem(w, http.StatusNotFound, "readiness has no component of this name: /readyz?verbose lists them")
}

func answerLines(w http.ResponseWriter, ok bool, text []string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = fmt.Fprintln(w, strings.Join(text, "\n")) // the prober may have gone
}
