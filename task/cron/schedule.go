package cron

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Schedule is a timetable with its policies. It is immutable.
type Schedule struct {
	name    string
	times   *Timetable
	jitter  time.Duration
	late    LatePolicy
	overlap OverlapPolicy
	paused  bool
}

// Option changes a schedule.
type Option func(*options)

type options struct {
	name, zone string
	jitter     time.Duration
	late       LatePolicy
	overlap    OverlapPolicy
	paused     bool
}

// Name sets the name of a schedule, by which its ticks are known on the queue and in the
// settings. Without it the name is that of the task; a second schedule of one task needs
// another.
func Name(name string) Option { return func(o *options) { o.name = name } }

// Zone sets the zone by a name of the IANA data base. The default is UTC, and never the
// zone of the machine, which may differ between the processes of a fleet.
func Zone(name string) Option { return func(o *options) { o.zone = name } }

// Jitter makes each tick due up to d after its time, so that not all schedules of a
// company begin at midnight; whole seconds. The time is drawn from the name and the tick: it is the
// same in all processes. It must be shorter than the time between two ticks.
func Jitter(d time.Duration) Option { return func(o *options) { o.jitter = d } }

// Late says what is done about ticks that no process has sent in their time: when the
// fleet was down, or the queue away. The default is [Never].
func Late(p LatePolicy) Option { return func(o *options) { o.late = p } }

// Overlap says what is done about a tick that comes while the run of an earlier one is
// not over. The default is [Skip].
func Overlap(p OverlapPolicy) Option { return func(o *options) { o.overlap = p } }

// Paused makes a schedule that sends nothing, until the settings or an operator resume
// it.
func Paused() Option { return func(o *options) { o.paused = true } }

// LatePolicy says what is sent of what was missed: see [Late].
type LatePolicy struct {
	text  string
	ticks int
}

// Never sends no tick that is more than a minute late. Once sends the last one.
var (
	Never = LatePolicy{"never", 0}
	Once  = LatePolicy{"once", 1}
)

// MaxLate is the most ticks that [All] sends, and MaxLateAge how old they may be.
const (
	MaxLate    = 1000
	MaxLateAge = 14 * 24 * time.Hour
)

// All sends the last ticks, up to most of them, 1 to [MaxLate], in their order.
func All(most int) LatePolicy { return LatePolicy{fmt.Sprintf("all(%d)", most), most} }

// String returns never, once or all(N).
func (p LatePolicy) String() string { return cmp.Or(p.text, Never.text) }

// OverlapPolicy says what is done about a tick during a run: see [Overlap].
type OverlapPolicy string

// Skip runs no tick that comes while a run is under way. Queue runs it after that run,
// and Allow at the same time.
const (
	Skip  OverlapPolicy = "skip"
	Queue OverlapPolicy = "queue"
	Allow OverlapPolicy = "allow"
)

// maxName is the length of a schedule's name in bytes: it is a part of a queue's tag.
const maxName = 80

// New returns the schedule of a task. The error holds all mistakes.
func New(task, expr string, opts ...Option) (Schedule, error) {
	o := options{name: task, overlap: Skip}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	return o.schedule(expr)
}

func (o options) schedule(expr string) (Schedule, error) {
	s := Schedule{name: o.name, jitter: o.jitter, late: o.late, overlap: o.overlap, paused: o.paused}
	if s.late == (LatePolicy{}) {
		s.late = Never
	}
	var errs []error
	if o.name == "" || len(o.name) > maxName || !plain(o.name) {
		errs = append(errs, fmt.Errorf("the name %q: it has 1 to %d letters, digits, and any of - _ . : / @: set one "+
			"with cron.Name", o.name, maxName))
	}
	if o.late.ticks < 0 || o.late.ticks > MaxLate || o.late.ticks == 0 && o.late.text == All(0).text {
		errs = append(errs, fmt.Errorf("late is %v: of all, 1 to %d are sent", o.late, MaxLate))
	}
	switch o.overlap {
	case Skip, Queue, Allow:
	default:
		errs = append(errs, fmt.Errorf("overlap is %q: it is skip, queue or allow", o.overlap))
	}
	var err error
	if s.times, err = Parse(expr, o.zone); err != nil {
		errs = append(errs, err)
	} else if o.jitter != 0 { // else it is not worth a look at a thousand ticks
		if gap := s.times.shortest(); o.jitter < 0 || o.jitter >= gap {
			errs = append(errs, fmt.Errorf("a jitter of %v: it is at least 0, and shorter than the time between two "+
				"ticks, %v", o.jitter, gap))
		}
	}
	if len(errs) > 0 {
		return s, fmt.Errorf("schedule %q: %w", o.name, errors.Join(errs...))
	}
	return s, nil
}

// shortest returns the shortest of many times between two ticks.
func (t *Timetable) shortest() time.Duration {
	if t.every > 0 {
		return t.every
	}
	const looked, years = 1000, 2
	last := t.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	least := time.Duration(1<<63 - 1)
	for range looked {
		next := t.Next(last)
		if next.IsZero() || next.Year() >= 2024+years && least < years*366*24*time.Hour {
			break
		}
		least, last = min(least, next.Sub(last)), next
	}
	return least
}

func plain(name string) bool {
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '@':
		default:
			return false
		}
	}
	return true
}

// Name returns the name.
func (s Schedule) Name() string { return s.name }

// Times returns the expression in its zone.
func (s Schedule) Times() *Timetable { return s.times }

// Late returns what is done about missed ticks.
func (s Schedule) Late() LatePolicy { return s.late }

// Overlap returns what is done about a tick that comes during a run.
func (s Schedule) Overlap() OverlapPolicy { return s.overlap }

// Jitter returns the longest time from a tick to its being due.
func (s Schedule) Jitter() time.Duration { return s.jitter }

// Paused reports whether the schedule was made paused.
func (s Schedule) Paused() bool { return s.paused }

// Tick is one time of a schedule.
type Tick struct {
	At  time.Time // by the timetable; it names the tick
	Due time.Time // with the jitter
}

// Next returns the first tick that is due after t. Without one its At is zero.
func (s Schedule) Next(t time.Time) Tick {
	for at := s.times.Next(t.Add(-s.jitter)); !at.IsZero(); at = s.times.Next(at) {
		if tick := s.tick(at); tick.Due.After(t) {
			return tick
		}
	}
	return Tick{}
}

func (s Schedule) tick(at time.Time) Tick {
	if s.jitter == 0 {
		return Tick{at, at}
	}
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s@%d", s.name, at.Unix())
	return Tick{at, at.Add(time.Duration(h.Sum64() % uint64(s.jitter)).Truncate(time.Second))}
}

// Ticks returns the ticks that are due after from and not after until, in their order.
func (s Schedule) Ticks(from, until time.Time) iter.Seq[Tick] {
	return func(yield func(Tick) bool) {
		for t := s.Next(from); !t.At.IsZero() && !t.Due.After(until); t = s.Next(t.Due) {
			if !yield(t) {
				return
			}
		}
	}
}

// idSpace is the name space of the ids of ticks (RFC 9562, version 5).
var idSpace = uuid.MustParse("a64e2f0c-6a4a-5c27-9c0d-3f6f5e6c1f58")

// ID returns the id of a tick: the deduplication id of its message, and the exec_id of
// its execution. It depends on the pool, on the name and on the tick alone, so that a second
// message for one tick has the same.
func (s Schedule) ID(pool string, tick Tick) string {
	return uuid.NewSHA1(idSpace, []byte(pool+"\n"+s.name+"\n"+stamp(tick.At))).String()
}

// JobID names a tick as the job of its execution: name@2026-03-01T02:00:00Z.
func (s Schedule) JobID(tick Tick) string { return s.name + "@" + stamp(tick.At) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// ParseJobID returns the tick that a job id of [Schedule.JobID] names, if it is one of s.
func (s Schedule) ParseJobID(id string) (Tick, bool) {
	if len(id) <= len(s.name)+1 || id[:len(s.name)+1] != s.name+"@" {
		return Tick{}, false
	}
	at, err := time.Parse(time.RFC3339, id[len(s.name)+1:])
	if err != nil {
		return Tick{}, false
	}
	return s.tick(at.UTC()), true
}

// Equal reports whether two schedules have the same name, times and policies.
func (s Schedule) Equal(o Schedule) bool {
	a, b := s, o
	a.times, b.times = nil, nil
	return a == b && s.times.String() == o.times.String() && s.times.Zone() == o.times.Zone()
}
