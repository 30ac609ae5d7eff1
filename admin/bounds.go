package admin

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/internal/clip"
)

// Bounds of what is shown at once. Messages and clients decide how many ids, hosts
// and paths there are and how long they are, but not how large an answer is.
const (
	maxAnswer   = 8 << 20  // bytes of one answer
	maxBodies   = 2 << 20  // bytes of the bodies in one answer
	maxLogBytes = 1 << 20  // bytes of the log lines in one answer
	maxLine     = 16 << 10 // bytes of a log line
	maxReasons  = 50
	maxTasks    = 500
	maxQueues   = 200
	maxParts    = 200
	maxLevels   = 200
	maxBreakers = 200
	maxEntries  = 200  // of one breaker
	allEntries  = 1000 // of all breakers
)

// More is how many of each are left out of a [State]: the most urgent are in it.
type More struct {
	Tasks    int `json:"tasks,omitempty"`
	Breakers int `json:"breakers,omitempty"` // see /api/v1/breakers
	Queues   int `json:"queues,omitempty"`
	Levels   int `json:"levels,omitempty"`
}

// lines bounds reasons and the like.
func lines(list []string) []string {
	if list == nil {
		return nil
	}
	out := make([]string, min(len(list), maxReasons))
	for i := range out {
		out[i] = clip.Line(list[i], clip.Text)
	}
	return out
}

// first returns the first most of list, and how many that leaves out.
func first[T any](list []T, most int) ([]T, int) {
	n := min(len(list), most)
	return list[:n:n], len(list) - n
}

func (st *State) bound() {
	var more More
	st.Ready.Reasons = lines(st.Ready.Reasons)
	for i := range st.Checks {
		st.Checks[i].Error = clip.Line(st.Checks[i].Error, clip.Text)
	}
	st.Parts, _ = first(st.Parts, maxParts)
	for i := range st.Parts {
		p := &st.Parts[i]
		p.Detail, p.Error = clip.Line(p.Detail, clip.Text), clip.Line(p.Error, clip.Text)
	}
	st.Queues, more.Queues = first(st.Queues, maxQueues)
	for i := range st.Queues {
		st.Queues[i].Error = clip.Line(st.Queues[i].Error, clip.Text)
	}
	if st.Workers != nil {
		st.Workers.Poller.LastError = clip.Line(st.Workers.Poller.LastError, clip.Text)
		st.Workers.Poller.Refused, _ = first(slices.Clone(st.Workers.Poller.Refused), maxQueues)
		for i := range st.Workers.Poller.Refused {
			r := &st.Workers.Poller.Refused[i]
			r.Queue, r.Error = clip.ID(r.Queue), clip.Line(r.Error, clip.Text)
		}
		st.Workers.Pools, _ = first(st.Workers.Pools, maxQueues)
	}
	st.Tasks, more.Tasks = first(st.Tasks, maxTasks)
	for i := range st.Tasks {
		st.Tasks[i].Name = clip.ID(st.Tasks[i].Name)
	}
	st.Breakers, more.Breakers = boundBreakers(st.Breakers)
	if st.Log != nil {
		st.Log.Levels, more.Levels = boundLevels(st.Log.Levels)
		for i := range st.Log.Outputs {
			st.Log.Outputs[i].Error = clip.Line(st.Log.Outputs[i].Error, clip.Text)
		}
	}
	if more != (More{}) {
		st.More = &more
	}
}

func boundLevels(levels map[string]string) (map[string]string, int) {
	if len(levels) <= maxLevels {
		return levels, 0
	}
	shown := make(map[string]string, maxLevels)
	for _, name := range slices.Sorted(maps.Keys(levels))[:maxLevels] {
		shown[name] = levels[name]
	}
	return shown, len(levels) - maxLevels
}

// healthy reports whether a breaker has nothing that needs attention.
func (b *Breaker) healthy() bool { return b.State == breaker.Closed && len(b.Entries) <= 1 }

// boundBreakers returns at most maxBreakers, those in trouble before the others,
// in the order of list, and how many it leaves out.
func boundBreakers(list []Breaker) ([]Breaker, int) {
	more := max(len(list)-maxBreakers, 0)
	if more > 0 {
		sick := 0
		for i := range list {
			if !list[i].healthy() {
				sick++
			}
		}
		sick = min(sick, maxBreakers)
		well := maxBreakers - sick
		list = slices.DeleteFunc(slices.Clone(list), func(b Breaker) bool {
			left := &sick
			if b.healthy() {
				left = &well
			}
			*left--
			return *left < 0
		})
	}
	out, room := make([]Breaker, len(list)), allEntries
	for i := range list {
		b := list[i]
		b.Service = clip.ID(b.Service)
		shown := min(len(b.Entries), maxEntries, max(room, 1)) // the service's own always
		b.Entries, b.More = slices.Clone(b.Entries[:shown]), b.More+len(b.Entries)-shown
		room -= shown
		for k := range b.Entries {
			b.Entries[k].Entry = clip.ID(b.Entries[k].Entry)
		}
		out[i] = b
	}
	return out, more
}

// boundTransitions returns the last ones.
func boundTransitions(list []breaker.Transition) []breaker.Transition {
	list = slices.Clone(list[max(0, len(list)-allEntries):])
	for i := range list {
		t := &list[i]
		t.Service, t.Entry, t.Reason = clip.ID(t.Service), clip.ID(t.Entry), clip.Line(t.Reason, clip.Text)
	}
	if list == nil {
		return []breaker.Transition{}
	}
	return list
}

// bounded returns the execution as it is shown.
func (e Execution) bounded() Execution {
	e.Task, e.ExecID, e.JobID, e.JobName = clip.ID(e.Task), clip.ID(e.ExecID), clip.ID(e.JobID), clip.ID(e.JobName)
	e.Error = clip.Line(e.Error, clip.Text)
	if e.Progress != nil {
		p := *e.Progress
		p.Note = clip.Line(p.Note, clip.Name)
		e.Progress = &p
	}
	e.Steps = slices.Clone(e.Steps)
	for i := range e.Steps {
		s := &e.Steps[i]
		s.Lane, s.Name, s.Note = clip.ID(s.Lane), clip.ID(s.Name), clip.Line(s.Note, clip.Name)
	}
	return e
}

// boundEvent returns a copy of the event as it is shown.
func boundEvent(event *dispatcher.Event) *dispatcher.Event {
	e := *event
	e.Task, e.ExecID, e.JobID, e.JobName = clip.ID(e.Task), clip.ID(e.ExecID), clip.ID(e.JobID), clip.ID(e.JobName)
	e.Reason, e.Error = clip.Line(e.Reason, clip.Text), clip.Line(e.Error, clip.Text)
	return &e
}

func eventSize(e *dispatcher.Event) int {
	const rest = 200 // of its JSON
	return len(e.Task) + len(e.ExecID) + len(e.JobID) + len(e.JobName) + len(e.Reason) + len(e.Error) + rest
}

// boundLetters returns the letters as they are shown, and whether some are left
// out: their bodies together are bounded.
func boundLetters(list []DeadLetter, bodies bool) (shown []DeadLetter, cut bool) {
	shown = []DeadLetter{}
	room := maxBodies
	for _, d := range list {
		if !bodies && d.Body != "" {
			d.Body, d.Cut, d.Hidden = "", false, true
		}
		if room -= len(d.Body); room < 0 && len(shown) > 0 {
			return shown, true
		}
		d.Group = clip.Shape(cmp.Or(d.LastError, d.Defects))
		d.Task, d.ExecID, d.JobID, d.JobName = clip.ID(d.Task), clip.ID(d.ExecID), clip.ID(d.JobID), clip.ID(d.JobName)
		d.Reason, d.LastError, d.Defects = clip.Line(d.Reason, clip.Text), clip.Line(d.LastError, clip.Text),
			clip.Line(d.Defects, clip.Text)
		shown = append(shown, d)
	}
	return shown, false
}

// boundLog returns the last lines that fit.
func boundLog(list []string) []string {
	room := maxLogBytes
	from := len(list)
	for from > 0 && room >= 0 {
		from--
		room -= min(len(list[from]), maxLine)
	}
	if room < 0 {
		from++
	}
	out := make([]string, 0, len(list)-from)
	for _, line := range list[from:] {
		out = append(out, clip.Cut(line, maxLine))
	}
	return out
}
