package admin

import (
	"context"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/pools"
)

// Service is what every service has.
type Service interface {
	Info() Info
	// Live reports whether the service's actors still answer. It returns
	// within a second: a probe waits for it.
	Live(ctx context.Context) Liveness
	// Ready reports whether the service may get work, and if not why: see
	// [NewReadiness]. It returns within two seconds.
	Ready(ctx context.Context) Readiness
}

// Tasks shows and steers what runs.
type Tasks interface {
	Workers() Workers
	// Executions lists all that is held, the oldest first, at most limit.
	Executions(ctx context.Context, limit int) (list []Execution, total int, err error)
	// Pause and Resume take a task's name; the empty name is the pool.
	Pause(ctx context.Context, task string) error
	Resume(ctx context.Context, task string) error
	// Cancel ends an execution for good, Snooze runs it again later; both
	// return how many had that id. If this process has none of that id, others get a notice
	// where they take them, and the number is 0; else it is an error.
	Cancel(ctx context.Context, execID, reason string) (int, error)
	Snooze(ctx context.Context, execID string, d time.Duration) (int, error)
	// Events delivers what happens from now on until stop is called.
	Events(buffer int) (events <-chan *dispatcher.Event, stop func())
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
	Transitions(service string, since uint64) ([]breaker.Transition, error)
	// Force lays a state over path and below, for d or, if d is 0, until
	// Reset.
	Force(service, path string, to breaker.State, d time.Duration) error
	Reset(service, path string) error
}

// Logs shows the log and changes its levels.
type Logs interface {
	Tail(n int) []string
	// Follow delivers each record's line until ctx ends, then closes the
	// channel. A slow reader misses some.
	Follow(ctx context.Context, buffer int) <-chan string
	Stats() logger.Stats
	// SetLevel sets the level of a logger name; an empty level gives the
	// name back to what is above it.
	SetLevel(name, level string) error
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
	Health   = pools.Health
	Liveness = pools.Liveness
	Queue    = pools.Queue
)

// The values of [Health].
const (
	OK    = pools.OK
	Error = pools.Error
)

// hidden leaves a field of an embedded struct out of the JSON: as the outer field
// of that name it wins, and is left out itself.
type hidden struct{}

// Workers is the state of what runs the tasks, in all pools together.
type Workers struct {
	Pool string `json:"pool"` // the first one
	dispatcher.Stats
	Tasks        hidden             `json:"tasks,omitzero"` // they have a field of their own in [State]
	Poller       poller.Stats       `json:"poller"`
	Sender       poller.SenderStats `json:"sender"`
	TotalWorkers int                `json:"total_workers,omitempty"` // of all pools; 0: each has its own limit only
	Pools        []Pool             `json:"pools"`
}

// Pool is one of the pools that a process works on.
type Pool struct {
	Name string `json:"name"`
	dispatcher.Stats
	Tasks    hidden `json:"tasks,omitzero"`
	Started  uint64 `json:"started"` // attempts
	Weight   int    `json:"weight"`
	Priority int    `json:"priority"`
	Share    int    `json:"share"` // of total_workers while all pools have work; 0: there is no limit
}

// Execution is one message that is held.
type Execution struct {
	dispatcher.Execution
	LeaseEnd time.Time `json:"lease_until,omitzero"` // unless it is extended before
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
	Sealed    string    `json:"sealed,omitempty"` // the body is an envelope: what that says of itself
	Defects   string    `json:"defects,omitempty"`
	Group     string    `json:"group"` // the error without ids and numbers: letters of one cause have the same
}

// Breaker is one remote service.
type Breaker struct {
	breaker.Snapshot
	Calls    func() breaker.HTTPCalls `json:"-"`                   // for the metrics; nil: none
	Limit    *breaker.LimitStats      `json:"limit,omitempty"`     // of calls in flight; nil: none
	Spread   map[string]int           `json:"addresses,omitempty"` // that requests go to, by state; nil: not known
	Settings hidden                   `json:"settings,omitzero"`
	More     int                      `json:"more,omitempty"` // entries that are left out
}

// Setting is one value in force. Secret values are masked by the service.
type Setting struct {
	Key    string `json:"key"` // dotted
	Value  string `json:"value"`
	From   string `json:"from"` // file:line:column, variable, default, code
	Doc    string `json:"doc,omitempty"`
	Secret bool   `json:"secret,omitempty"`
}
