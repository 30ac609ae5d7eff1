package admin

import (
	"context"
	"slices"
	"time"

	"github.com/sambatech/chassis/actors/pools"
)

// Service is the one thing that every service has.
type Service interface {
	Info() Info
	// Live tells whether the service's actors still answer. It returns
	// within a second: a probe waits for it.
	Live(ctx context.Context) Liveness
	// Ready tells whether tasks flow, and if not why. It returns within two
	// seconds.
	Ready(ctx context.Context) Readiness
}

// Queues tells the numbers of the queues that the service uses. They may be
// some seconds old, for each costs a request. An error of one is in its Error.
type Queues interface {
	Queues(ctx context.Context) []Queue
}

// Tasks shows and steers what runs.
type Tasks interface {
	Workers() Workers
	Tasks() []Task
	// Executions lists all that is held, the oldest first, at most limit.
	Executions(ctx context.Context, limit int) (list []Execution, total int, err error)
	Pause(ctx context.Context, task string) error
	Resume(ctx context.Context, task string) error
	// Cancel ends an execution for good, Snooze runs it again later; both
	// return how many had that id. None is an error.
	Cancel(ctx context.Context, execID, reason string) (int, error)
	Snooze(ctx context.Context, execID string, d time.Duration) (int, error)
	// Events delivers what happens from now on until stop is called.
	Events(buffer int) (events <-chan Event, stop func())
}

// DeadLetters shows and settles what was given up.
type DeadLetters interface {
	// List returns at most limit letters, and whether there are more.
	List(ctx context.Context, limit int) (letters []DeadLetter, more bool, err error)
	// SendBack and Delete settle letters by message id and return those that
	// they settled. One that is not there any more is no error.
	SendBack(ctx context.Context, ids []string) (done []string, err error)
	Delete(ctx context.Context, ids []string) (done []string, err error)
}

// Breakers shows and steers the circuit breakers.
type Breakers interface {
	Breakers() []Breaker
	Transitions(service string, since uint64) ([]Transition, error)
	// Force lays a state over path and below, for d or, if d is 0, until
	// Reset.
	Force(service, path, to string, d time.Duration) error
	Reset(service, path string) error
}

// Logs shows the log and changes its levels.
type Logs interface {
	Tail(n int) []string
	// Follow delivers each record's line until ctx ends, then closes the
	// channel. A slow reader misses some.
	Follow(ctx context.Context, buffer int) <-chan string
	Log() Log
	// SetLevel sets the level of a logger name; an empty level gives the
	// name back to what is above it.
	SetLevel(name, level string) error
}

// Actors are the numbers of all actors since the start of the process.
type Actors struct {
	Failed, Restarted, Resumed, Stopped uint64
	DeadLetters                         uint64 // messages without a receiver
}

// Explained is the settings in force and where each came from. Secret values
// are masked by whoever implements it.
type Explained interface {
	Settings() []Setting
}

// Info says which service this is.
type Info struct {
	Name      string    `json:"name"`
	Version   string    `json:"version"`
	GoVersion string    `json:"go_version"`
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	State     string    `json:"state"` // created, starting, running, stopping, stopped
	Queue     string    `json:"queue"` // what the queue is, for people
	Started   time.Time `json:"started"`
}

// The states of [Info] that the probes know.
const (
	StateCreated  = "created"
	StateStarting = "starting"
	StateRunning  = "running"
	StateStopping = "stopping"
	StateStopped  = "stopped"
)

// What a service says of its tasks and queues.
type (
	Health    = pools.Health
	Readiness = pools.Readiness
	Liveness  = pools.Liveness
	Queue     = pools.Queue
)

// The values of [Health].
const (
	OK    = pools.OK
	Error = pools.Error
)

// Pool is one of the pools that a process works on.
type Pool struct {
	Name     string `json:"name"`
	Status   string `json:"status"`
	Paused   bool   `json:"paused"`
	Workers  int64  `json:"workers"`
	Running  int64  `json:"running"`
	Waiting  int64  `json:"waiting"`
	Queued   int64  `json:"queued"`
	Started  uint64 `json:"started"` // attempts
	Weight   int    `json:"weight"`
	Priority int    `json:"priority"`
	Share    int    `json:"share"` // of total_workers while all pools have work; 0: there is no such limit
}

// Workers is the state of what runs the tasks, in all pools together.
type Workers struct {
	Pool         string `json:"pool"`
	Status       string `json:"status"` // STOPPED, STOPPING, RUNNING, ERROR
	Paused       bool   `json:"paused"`
	Workers      int64  `json:"workers"`
	Running      int64  `json:"running"`
	Waiting      int64  `json:"waiting"` // in place, between attempts
	Queued       int64  `json:"queued"`  // for a slot, a limit, their group
	Abandoned    int64  `json:"abandoned"`
	Stalled      int64  `json:"stalled"` // attempts under way that do not move
	LostLeases   int64  `json:"lost_leases"`
	SettleFailed int64  `json:"settle_failed"`
	Restarts     int64  `json:"restarts"`
	Poller       Poller `json:"poller"`
	Sender       Sender `json:"sender"`
	TotalWorkers int    `json:"total_workers,omitempty"` // executions at once over all pools; 0: no limit but the pools' own
	Pools        []Pool `json:"pools"`
}

// Add makes p the conversation with one more queue. Of times it keeps the one
// that says more: the oldest lease and sign of life, the last error. Client
// stays as it is, for all pools share one.
func (p *Poller) Add(o Poller) {
	for _, n := range []struct{ into, from *int64 }{
		{&p.Receives, &o.Receives}, {&p.EmptyReceives, &o.EmptyReceives}, {&p.Received, &o.Received}, {&p.Deleted, &o.Deleted},
		{&p.Released, &o.Released}, {&p.Extended, &o.Extended}, {&p.Lost, &o.Lost}, {&p.Unsettled, &o.Unsettled},
		{&p.Failures, &o.Failures}, {&p.Throttles, &o.Throttles}, {&p.Restarts, &o.Restarts}, {&p.Leases, &o.Leases},
	} {
		*n.into += *n.from
	}
	requests := map[string]int64{}
	for _, r := range []map[string]int64{p.Requests, o.Requests} {
		for name, n := range r {
			requests[name] += n
		}
	}
	p.Requests = requests
	earlier := func(into *time.Time, t time.Time) {
		if !t.IsZero() && (into.IsZero() || t.Before(*into)) {
			*into = t
		}
	}
	earlier(&p.OldestLease, o.OldestLease)
	earlier(&p.LastSuccess, o.LastSuccess)
	earlier(&p.Alive, o.Alive)
	for _, r := range o.Refused { // two pools may have one on_fail pool
		if !slices.ContainsFunc(p.Refused, func(x Refusal) bool { return x.Action == r.Action && x.Queue == r.Queue }) {
			p.Refused = append(slices.Clip(p.Refused), r)
		}
	}
	if o.LastFailure.After(p.LastFailure) {
		p.LastFailure, p.LastError = o.LastFailure, o.LastError
	}
}

// Poller is the conversation with the queue. All but Leases are counts since
// the start.
type Poller struct {
	Receives      int64            `json:"receives"`
	EmptyReceives int64            `json:"empty_receives"`
	Received      int64            `json:"received"` // messages
	Deleted       int64            `json:"deleted"`
	Released      int64            `json:"released"`
	Extended      int64            `json:"extended"`
	Lost          int64            `json:"lost"`
	Unsettled     int64            `json:"unsettled"`
	Requests      map[string]int64 `json:"requests"` // by operation
	Failures      int64            `json:"failures"`
	Throttles     int64            `json:"throttles"`
	Restarts      int64            `json:"restarts"`
	Leases        int64            `json:"leases"`
	OldestLease   time.Time        `json:"oldest_lease,omitzero"`
	LastSuccess   time.Time        `json:"last_success,omitzero"`
	LastFailure   time.Time        `json:"last_failure,omitzero"`
	LastError     string           `json:"last_error,omitempty"`
	Refused       []Refusal        `json:"refused,omitempty"` // rights that the queue service refuses now
	Alive         time.Time        `json:"alive,omitzero"`
	Client        ClientStats      `json:"client"`
}

// Refusal is a right on a queue that the queue service refuses now.
type Refusal struct {
	Action string    `json:"action"` // for example sqs:SendMessage
	Queue  string    `json:"queue"`  // name
	Since  time.Time `json:"since"`
	Next   time.Time `json:"next"` // no try before
	Error  string    `json:"error"`
}

// ClientStats counts the receives and deletes of all pools by how they were made.
type ClientStats struct {
	Shortcut int64 `json:"shortcut"` // without the SDK
	Refused  int64 `json:"refused"`  // of these, answered 401 or 403 and left to the SDK
	SDK      int64 `json:"sdk"`      // calls that went through the SDK as a whole
}

// Sender counts what was sent.
type Sender struct {
	Sent     int64 `json:"sent"`
	Refused  int64 `json:"refused"`
	Pending  int64 `json:"pending"`
	Requests int64 `json:"requests"`
	Failures int64 `json:"failures"`
	Retries  int64 `json:"retries"`
}

// Task is one task name. Counts are since the start.
type Task struct {
	Name        string       `json:"name"`
	Registered  bool         `json:"registered"`
	Paused      bool         `json:"paused"`
	MaxFailures int          `json:"max_failures"`
	Running     int64        `json:"running"`
	Started     uint64       `json:"started"`
	Succeeded   uint64       `json:"succeeded"`
	Failed      uint64       `json:"failed"`
	Panicked    uint64       `json:"panicked"` // of the failed
	Interrupted uint64       `json:"interrupted"`
	Waits       uint64       `json:"waits"`
	GivenBack   uint64       `json:"given_back"`
	Postponed   uint64       `json:"postponed"`
	GivenUp     uint64       `json:"given_up"`
	Abandoned   uint64       `json:"abandoned"`
	Stalled     uint64       `json:"stalled"` // silent task actors, and attempts without an end
	Run         Distribution `json:"run"`     // how long attempts took
	Delay       Distribution `json:"delay"`   // from when it was due to its first attempt
}

// Distribution sums up durations, in seconds. Zero if there were none.
type Distribution struct {
	P50     float64            `json:"p50_seconds"`
	P99     float64            `json:"p99_seconds"`
	Count   uint64             `json:"count"`
	Sum     float64            `json:"sum_seconds"`
	Buckets map[float64]uint64 `json:"-"` // how many were at most so long; nil: no histogram in the metrics
}

// Execution is one message that is held.
type Execution struct {
	Pool     string    `json:"pool"`
	Task     string    `json:"task"`
	ExecID   string    `json:"exec_id"`
	JobID    string    `json:"job_id"`
	JobName  string    `json:"job_name"`
	Phase    string    `json:"phase"` // queued, running, waiting, ending
	Attempt  int       `json:"attempt"`
	Failures int       `json:"failures"`
	Since    time.Time `json:"since"`                // of the phase
	Until    time.Time `json:"until,omitzero"`       // end of a wait, or the attempt's deadline
	LeaseEnd time.Time `json:"lease_until,omitzero"` // unless it is extended before
	Progress *Progress `json:"progress,omitempty"`
	Error    string    `json:"error,omitempty"` // of the last failure
}

// Progress is what a task last said of itself. Total is 0 if it is not known.
type Progress struct {
	Done  int64     `json:"done"`
	Total int64     `json:"total,omitempty"`
	Note  string    `json:"note,omitempty"`
	At    time.Time `json:"at"`
}

// Event is one thing that happened to a task.
type Event struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Task    string    `json:"task"`
	ExecID  string    `json:"exec_id"`
	JobID   string    `json:"job_id"`
	JobName string    `json:"job_name"`
	Attempt int       `json:"attempt"`
	Took    float64   `json:"took_seconds,omitempty"`
	Wait    float64   `json:"wait_seconds,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Error   string    `json:"error,omitempty"`
}

// DeadLetter is one message of the dead-letter pool.
type DeadLetter struct {
	ID        string    `json:"id"` // of the message
	Task      string    `json:"task"`
	ExecID    string    `json:"exec_id"`
	JobID     string    `json:"job_id"`
	JobName   string    `json:"job_name"`
	Pool      string    `json:"pool"` // that it came from, and goes back to
	Reason    string    `json:"reason"`
	LastError string    `json:"last_error,omitempty"`
	Failures  int       `json:"failures"`
	Sent      time.Time `json:"sent,omitzero"` // when it became one
	Body      string    `json:"body"`
	Cut       bool      `json:"cut,omitempty"`    // the body is longer than what is shown
	Hidden    bool      `json:"hidden,omitempty"` // the body is not for the client's scope
	Defects   string    `json:"defects,omitempty"`
}

// Breaker is one remote service.
type Breaker struct {
	Service  string         `json:"service"`
	State    string         `json:"state"` // of the service entry
	Seq      uint64         `json:"seq"`   // transitions so far
	Restarts int            `json:"restarts"`
	Entries  []BreakerEntry `json:"entries"` // the service first, then paths, parents before children
	More     int            `json:"more,omitempty"`
}

// BreakerEntry is the state of the service or of one path.
type BreakerEntry struct {
	Path      string    `json:"path"` // empty for the service itself
	State     string    `json:"state"`
	Own       string    `json:"own"` // beneath an operator's state
	Failures  int       `json:"failures"`
	Successes int       `json:"successes"`
	Probes    int       `json:"probes"`
	Hanging   int       `json:"hanging"`
	Opens     int       `json:"opens"`
	Until     time.Time `json:"until,omitzero"` // when the state ends by itself
}

// Transition is one change of one entry.
type Transition struct {
	Service string    `json:"service"`
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Path    string    `json:"path"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Shadow  bool      `json:"shadow,omitempty"`
	Reason  string    `json:"reason"`
}

// Log is the state of the logger.
type Log struct {
	Levels  map[string]string `json:"levels"` // by logger name; "" is the root
	Outputs []LogOutput       `json:"outputs"`
}

// LogOutput is one output of the logger.
type LogOutput struct {
	Name    string `json:"name"`
	Format  string `json:"format"`
	Policy  string `json:"policy"`
	Written uint64 `json:"written"`
	Dropped uint64 `json:"dropped"`
	Pending uint64 `json:"pending"`
	Bytes   uint64 `json:"bytes"`
	Errors  uint64 `json:"errors"`
	Error   string `json:"error,omitempty"`
}

// Setting is one value in force.
type Setting struct {
	Key    string `json:"key"` // dotted
	Value  string `json:"value"`
	From   string `json:"from"` // file:line:column, variable, default, code
	Doc    string `json:"doc,omitempty"`
	Secret bool   `json:"secret,omitempty"`
}
