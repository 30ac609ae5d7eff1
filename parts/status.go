package parts

import (
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// State is where a part is in its life.
type State string

// The states of a part.
const (
	Added     State = "added"    // and not started
	Running   State = "running"  // it was started
	Ended     State = "ended"    // by itself, without an error
	Failed    State = "failed"   // by itself, with an error
	StopBegun State = "stopping" // its stop is under way
	Stopped   State = "stopped"
	NotEnded  State = "abandoned" // it did not stop in its time
)

// Status is one part as it is now.
type Status struct {
	Name   string    `json:"name"`
	State  State     `json:"state"`
	Since  time.Time `json:"since"`
	Intake bool      `json:"intake"`
	Detail string    `json:"detail,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// Up reports whether the part is as it should be while the service runs.
func (s Status) Up() bool { return s.State == Running || s.State == Ended }

// Status returns all parts, in the order of adding.
func (g *Group) Status() []Status {
	g.mu.Lock()
	entries := g.entries[:len(g.entries):len(g.entries)]
	list := make([]Status, len(entries))
	for i, e := range entries {
		list[i] = Status{Name: e.name, State: e.state, Since: e.since.UTC(), Intake: e.intake}
		if e.err != nil {
			list[i].Error = clip.Cut(e.err.Error(), clip.Text)
		}
	}
	g.mu.Unlock()
	for i, e := range entries {
		if d, ok := e.part.(Detailer); ok {
			list[i].Detail = detail(d)
		}
	}
	return list
}

// Find returns the first part of a group that is a T. So a part that stands next to the
// core can show more of itself than its Status.
func Find[T any](g *Group) (found T, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.entries {
		if found, ok = e.part.(T); ok {
			return found, true
		}
	}
	return found, false
}

// detail is a part's own code: its panic is shown.
func detail(d Detailer) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = "its Detail panicked"
		}
	}()
	return d.Detail()
}
