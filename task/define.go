package task

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The defaults of a definition, those of the Python chassis.
const (
	DefaultMaxFailures = 10
	DefaultWait        = 10 * time.Second
)

// MaxAttempt is the longest that one attempt may last. SQS hides a received
// message for at most 12 hours after its receive; what is left is for ending
// the attempt and giving the message back.
const MaxAttempt = 11*time.Hour + 45*time.Minute

// Spec is what is known of a task besides its handler: its name and its
// policies. The zero value of a field is its default.
type Spec struct {
	Name         string        // registered name, non-empty, as it stands in the attribute task_name
	MaxFailures  int           // failures after which the task is given up, default 10, at least 1
	Wait         Backoff       // pause after a failure
	Deadline     time.Duration // end of one attempt, counted from its start; 0: only [MaxAttempt]
	Lease        time.Duration // length of the lease, 0: the pool's task_timeout; 1 s to 12 h
	OnFail       Target        // task to be sent when this one is given up; zero: dead letter
	WhenWindow   *WhenWindow   // how early a scheduled task may run; nil: the pool's when_window
	Concurrency  int           // runs of this task at once in the process, 0: only bounded by the workers
	Priority     int           // of two tasks that could start now the one with the higher number starts
	BreakerSpend *bool         // whether an open breaker's error spends a failure; nil: the pool's setting
	Pool         string        // that it is sent to unless it is sent with [Pool]; empty: the sender's own
	Middleware   []Middleware  // around the handler, the first is the outermost
	Behind       []string      // URLs of services that every attempt calls
	Sealing      Sealing       // what the envelope of its arguments does; 0: they have none

	OnlyEncrypted bool     // arguments that come as plain text are refused
	Opens         []string // other tasks with envelopes that it opens, as their on_fail task

	tenantOf func(args any) (string, error) // see [TenantOf]; nil: none

	errs []error
}

// Target names a task in a pool. An empty pool is the sender's own.
type Target struct{ Pool, Name string }

// WhenWindow is how much earlier than its when a scheduled task may run.
type WhenWindow time.Duration

// Policy sets one property of a definition.
type Policy func(*Spec)

// MaxFailures is the number of failures (errors, panics, crashes) at which the
// task is given up. At least 1; the default is 10. With 1 it is never retried.
func MaxFailures(n int) Policy {
	return func(s *Spec) {
		s.MaxFailures = n
		s.check(n >= 1, "MaxFailures(%d): must be at least 1", n)
	}
}

// Wait sets the pause after the n-th failure: p's function of d. The default is 10 s,
// [None], as on the Python chassis. Take [Exponential] for a new task.
func Wait(d time.Duration, p Progression) Policy {
	return func(s *Spec) {
		s.Wait.Base, s.Wait.Progression = d, p
		s.Wait.set, s.Wait.by = true, nil
		s.check(d >= 0, "Wait(%v, %v): the time must not be negative", d, p)
		s.check(p.valid(), "Wait(%v, %v): the progression is one of None, Arithmetic, Geometric, Random, Exponential",
			d, p)
	}
}

// WaitFunc sets the pause after the n-th failure by a function of the caller's own.
// The function is called by [Define], once for each number of failures from 1 to the
// last one before the task is given up (at most 1000), and never while tasks run. So it
// must depend on n alone: for pauses that vary add [Jitter]. [WaitCap] bounds it too.
func WaitFunc(f func(failures int) time.Duration) Policy {
	return func(s *Spec) {
		s.Wait.by = f
		s.check(f != nil, "WaitFunc: the function is nil")
	}
}

// WaitCap bounds the pause after a failure; 0 is no bound.
func WaitCap(d time.Duration) Policy {
	return func(s *Spec) {
		s.Wait.Cap = d
		s.check(d >= 0, "WaitCap(%v): must not be negative", d)
	}
}

// Jitter spreads each pause evenly over ±fraction of itself, after the cap. 0 to 1; the
// default is 0, and [DefaultJitter] with [Exponential].
func Jitter(fraction float64) Policy {
	return func(s *Spec) {
		s.Wait.Jitter, s.Wait.jitterSet = fraction, true
		s.check(fraction >= 0 && fraction <= 1, "Jitter(%v): must be 0 to 1", fraction)
	}
}

// Deadline ends the ctx of an attempt d after its start. More than 0, at most
// [MaxAttempt]. An attempt that fails by it is one failure.
func Deadline(d time.Duration) Policy {
	return func(s *Spec) {
		s.Deadline = d
		s.check(d > 0 && d <= MaxAttempt, "Deadline(%v): must be more than 0 and at most %v", d, MaxAttempt)
	}
}

// Lease is how long a message of this task stays hidden after a sign of life
// of its process, instead of the pool's task_timeout: the time that it takes to
// be run elsewhere after a crash. Whole seconds, 1 s to 12 h.
func Lease(d time.Duration) Policy {
	return func(s *Spec) {
		s.Lease = d
		s.check(d >= time.Second && d <= 12*time.Hour && d%time.Second == 0,
			"Lease(%v): must be whole seconds, 1s to 12h", d)
	}
}

// OnFail names the task of the same pool that is sent, with the same body and
// job, when this one is given up.
func OnFail(name string) Policy { return OnFailIn("", name) }

// OnFailIn is [OnFail] for a task of another pool.
func OnFailIn(pool, name string) Policy {
	return func(s *Spec) {
		s.OnFail = Target{Pool: pool, Name: name}
		s.check(name != "", "OnFail: the task's name is empty")
	}
}

// Window is how much earlier than its when a scheduled task may run; 0 is
// never early. The pool's default is when_window, 0 unless it is set.
func Window(d time.Duration) Policy {
	return func(s *Spec) {
		w := WhenWindow(d)
		s.WhenWindow = &w
		s.check(d >= 0, "Window(%v): must not be negative", d)
	}
}

// Concurrency bounds the runs of this task at once in one process. At least 1.
func Concurrency(n int) Policy {
	return func(s *Spec) {
		s.Concurrency = n
		s.check(n >= 1, "Concurrency(%d): must be at least 1", n)
	}
}

// Priority decides between tasks that wait for a worker in one process: the
// higher starts first. The default is 0; negative is below it.
func Priority(n int) Policy { return func(s *Spec) { s.Priority = n } }

// InPool names the pool that the task is sent to, unless [Pool] chooses another
// at the send. It has to be one of the system that handles the task.
func InPool(name string) Policy {
	return func(s *Spec) {
		s.Pool = name
		s.check(name != "", "InPool: the pool's name is empty")
	}
}

// SpendOnOpenBreaker says whether an attempt that ends with the error of an
// open breaker spends a failure. The default is the pool's setting.
func SpendOnOpenBreaker(spend bool) Policy { return func(s *Spec) { s.BreakerSpend = &spend } }

// Use wraps the handler; the first is the outermost.
func Use(mw ...Middleware) Policy {
	return func(s *Spec) { s.Middleware = append(s.Middleware, mw...) }
}

func (s *Spec) check(ok bool, format string, args ...any) {
	if !ok {
		s.errs = append(s.errs, fmt.Errorf(format, args...))
	}
}

// NewSpec returns the spec of a task with every default filled in. [Spec.Err] returns
// its errors.
func NewSpec(name string, policies ...Policy) Spec {
	s := Spec{Name: name}
	s.check(name != "", "the name is empty")
	s.check(len(name) <= 256, "the name has %d bytes: at most 256", len(name))
	s.check(name == clean(name), "the name %q holds characters that SQS does not take", name)
	for _, p := range policies {
		if p != nil {
			p(&s)
		}
	}
	s = s.WithDefaults()
	if s.Wait.by != nil {
		if err := s.Wait.ask(s.MaxFailures); err != nil {
			s.errs = append(s.errs, err)
		}
	}
	return s
}

// WithDefaults fills in the defaults of a spec that was not made by [NewSpec].
func (s Spec) WithDefaults() Spec {
	if s.MaxFailures == 0 {
		s.MaxFailures = DefaultMaxFailures
	}
	if s.Wait.Base == 0 && !s.Wait.set {
		s.Wait.Base = DefaultWait
	}
	if s.Wait.Progression == Exponential && s.Wait.Jitter == 0 && !s.Wait.jitterSet {
		s.Wait.Jitter = DefaultJitter
	}
	return s
}

// Err returns everything that is wrong with the definition, or nil.
func (s Spec) Err() error {
	if len(s.errs) == 0 {
		return nil
	}
	return fmt.Errorf("task %q: %w", s.Name, errors.Join(s.errs...))
}

func (s Spec) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (max failures %d, wait %v)", s.Name, s.MaxFailures, s.Wait)
	return b.String()
}

// Options returns opts after those that the definition itself gives to each send.
func (s *Spec) Options(opts []Option) []Option {
	if s.Pool == "" && s.Sealing == 0 && s.tenantOf == nil {
		return opts
	}
	own := make([]Option, 0, 3+len(opts))
	if s.Pool != "" {
		own = append(own, Pool(s.Pool))
	}
	if s.Sealing != 0 {
		own = append(own, Sealed(s.Sealing))
	}
	if s.tenantOf != nil {
		own = append(own, tenantBy(s.tenantOf))
	}
	return append(own, opts...)
}

// ByTenant returns opts after the one that gives the task its tenant, if the definition has
// one: see [TenantOf]. It is for those who send a task by its name.
func (s *Spec) ByTenant(opts []Option) []Option {
	if s.tenantOf == nil {
		return opts
	}
	return append([]Option{tenantBy(s.tenantOf)}, opts...)
}

// Definition is a task with arguments of type A. It is immutable and usually
// a package variable, shared by those who send and those who handle.
type Definition[A any] struct{ spec Spec }

// Define names a task and sets its policies. A mistake in them is an error when the
// task is registered or sent; Spec().Err() returns it before.
func Define[A any](name string, policies ...Policy) *Definition[A] {
	return &Definition[A]{spec: NewSpec(name, policies...)}
}

// Name is the registered name.
func (d *Definition[A]) Name() string { return d.spec.Name }

// Spec returns name and policies.
func (d *Definition[A]) Spec() Spec { return d.spec }

// Options is [Spec.Options] of the definition.
func (d *Definition[A]) Options(opts []Option) []Option { return d.spec.Options(opts) }

// Encode makes the message that runs the task with args, as [Encode] does.
func (d *Definition[A]) Encode(now time.Time, args A, opts ...Option) (*Outgoing, error) {
	if err := d.spec.Err(); err != nil {
		return nil, err
	}
	if d.spec.Sealing != 0 || d.spec.tenantOf != nil { // the pool is the caller's
		opts = append([]Option{Sealed(d.spec.Sealing), tenantBy(d.spec.tenantOf)}, opts...)
	}
	return Encode(d.spec.Name, args, now, opts...)
}
