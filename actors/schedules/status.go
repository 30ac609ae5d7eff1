package schedules

import (
	"slices"
	"sync"
	"time"

	"github.com/sambatech/chassis/task/cron"
)

// Status is one schedule as this process sees it.
type Status struct {
	Name    string `json:"name"`
	Task    string `json:"task"`
	Expr    string `json:"expr"`
	Zone    string `json:"zone"`
	Late    string `json:"late"`
	Overlap string `json:"overlap"`
	Jitter  string `json:"jitter,omitempty"`
	Source  string `json:"source"`           // code, settings
	Paused  string `json:"paused,omitempty"` // by whom: settings, operator; empty: it is not

	Next     time.Time `json:"next,omitzero"`      // its due time
	LastSent time.Time `json:"last_sent,omitzero"` // the newest tick that is known to be sent, by any process
	Sent     uint64    `json:"sent"`               // by this process; others send the same
	SentLate uint64    `json:"sent_late"`          // of them, missed ones
	Missed   uint64    `json:"missed"`             // that are not sent
	Error    string    `json:"error,omitempty"`    // of the last round

	Runs    uint64   `json:"runs"`    // attempts that ended in this process
	Failed  uint64   `json:"failed"`  // of them, with an error
	Skipped uint64   `json:"skipped"` // ticks that came during a run
	LastRun *LastRun `json:"last_run,omitempty"`
}

// LastRun is the last attempt that ended in this process.
type LastRun struct {
	Tick    time.Time `json:"tick,omitzero"` // zero: an operator sent it
	Began   time.Time `json:"began"`
	Seconds float64   `json:"took_seconds"`
	Error   string    `json:"error,omitempty"`
}

// board is what the outside sees.
type board struct {
	mu    sync.Mutex // guards all
	order []string
	rows  map[string]*row
}

type row struct {
	job    *Job
	status Status
	execID string    // of the execution that began last
	began  time.Time // its first attempt in this process
}

// set takes new jobs over; the counts of one that stays go on.
func (b *board) set(jobs []*Job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rows := map[string]*row{}
	b.order = nil
	for _, j := range jobs {
		s := j.Schedule
		r := b.rows[s.Name()]
		if r == nil {
			r = &row{}
		}
		r.job = j
		st := &r.status
		st.Name, st.Task, st.Expr, st.Zone = s.Name(), j.Task, s.Times().String(), s.Times().Zone()
		st.Late, st.Overlap, st.Source, st.Jitter = s.Late().String(), string(s.Overlap()), j.Source, ""
		if s.Jitter() > 0 {
			st.Jitter = s.Jitter().String()
		}
		st.Paused, st.Next = "", time.Time{}
		if s.Paused() {
			st.Paused = "settings"
		}
		rows[s.Name()] = r
		b.order = append(b.order, s.Name())
	}
	b.rows = rows
}

// saw takes over what a round came to.
func (b *board) saw(results map[string]result, said entries, jobs []*Job, states map[string]state) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, j := range jobs {
		name := j.Schedule.Name()
		r, res := b.rows[name], results[name]
		if r == nil || res.job != j {
			continue
		}
		st := &r.status
		st.Sent += uint64(len(res.sent))
		st.SentLate += uint64(min(res.late, len(res.sent)))
		st.Missed += uint64(res.missed)
		st.Error = ""
		if res.err != nil {
			st.Error = res.err.Error()
		}
		e := said[name]
		if n := len(res.sent); n > 0 {
			st.LastSent = laterOf(st.LastSent, res.sent[n-1].Due)
		}
		st.LastSent = laterOf(st.LastSent, e.sent)
		switch st.Paused = ""; {
		case j.Schedule.Paused():
			st.Paused = "settings"
		case !e.paused.IsZero():
			st.Paused = "operator"
		}
		st.Next = j.Schedule.Next(states[name].decided).Due
		if st.Paused != "" {
			st.Next = time.Time{}
		}
	}
}

// Status returns all schedules, in the order of their making.
func (s *Schedules) Status() []Status {
	b := &s.core.board
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Status, 0, len(b.order))
	for _, name := range b.order {
		list = append(list, b.rows[name].status)
	}
	return slices.Clip(list)
}

// find returns the schedule that a job id names, and its tick.
func (b *board) find(jobName, jobID string) (*Job, cron.Tick, bool) {
	b.mu.Lock()
	r := b.rows[jobName]
	b.mu.Unlock()
	if r == nil {
		return nil, cron.Tick{}, false
	}
	tick, ok := r.job.Schedule.ParseJobID(jobID)
	return r.job, tick, ok
}

// first returns when an execution has begun: now, or with an earlier attempt of it here.
func (b *board) first(name, execID string, attempt int, now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rows[name]
	if r == nil {
		return now
	}
	if attempt == 1 || r.execID != execID {
		r.execID, r.began = execID, now
	}
	return r.began
}

// note changes the row of a schedule, if it is still there.
func (b *board) note(name string, f func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.rows[name]; r != nil {
		f(&r.status)
	}
}
