package logger

import (
	"log/slog"
	"time"
)

// Stats is what a logger has done. It is a copy; for each output accepted =
// written + dropped + pending holds within it.
type Stats struct {
	Service    string            `json:"service"`
	Running    bool              `json:"running"` // the actor writes; otherwise callers do
	Levels     map[string]string `json:"levels"`  // by logger name; "" is the root
	Sampled    uint64            `json:"sampled"` // records left out by sampling, before they were accepted
	HookErrors uint64            `json:"hook_errors"`
	Outputs    []OutputStats     `json:"outputs"` // the main one first
}

// OutputStats is what one output has done.
type OutputStats struct {
	Name     string `json:"name"`
	Format   Format `json:"format"`
	Policy   Policy `json:"policy"`
	Accepted uint64 `json:"accepted"` // records given to this output
	Written  uint64 `json:"written"`
	Dropped  uint64 `json:"dropped"`
	Pending  uint64 `json:"pending"` // in the buffer
	Bytes    uint64 `json:"bytes"`   // written
	Writes   uint64 `json:"writes"`  // calls of the writer
	Errors   uint64 `json:"errors"`  // that failed

	Buffer     int    `json:"buffer"`      // bytes, the limit
	Held       int    `json:"held"`        // bytes of it in use, in whole chunks
	Peak       int    `json:"peak"`        // most of it ever in use
	Waits      uint64 `json:"waits"`       // calls that waited for room
	Waiting    int    `json:"waiting"`     // calls that wait for room now
	NotAwaited uint64 `json:"not_awaited"` // calls at error or above that returned before the output had the record

	Stalled float64   `json:"stalled_seconds"` // how long the write under way has taken; 0 if below 1 s
	Error   string    `json:"error,omitempty"` // why the output fails now
	Failing time.Time `json:"failing_since,omitzero"`
}

// stalledAfter is how long a write takes before it counts as stalled.
const stalledAfter = time.Second

// Stats returns the counters.
func (l *Logger) Stats() Stats {
	s := Stats{Service: l.service, Levels: map[string]string{}, HookErrors: l.hookErrors.Load()}
	for name, level := range l.levels.snapshot() {
		s.Levels[name] = levelName(level)
	}
	if l.sampler != nil {
		s.Sampled = l.sampler.left.Load()
	}
	for _, o := range l.outputs {
		s.Running = s.Running || o.to.Load() != nil
		s.Outputs = append(s.Outputs, o.stats())
	}
	return s
}

func (o *output) stats() OutputStats {
	s := o.ring.stats()
	s.Name, s.Format = o.name, o.form.format
	s.Writes, s.Errors, s.NotAwaited = o.writes.Load(), o.errs.Load(), o.unsync.Load()
	if began := o.started.Load(); began != 0 {
		if d := time.Since(time.Unix(0, began)); d >= stalledAfter {
			s.Stalled = d.Seconds()
		}
	}
	if h := o.health.Load(); h != nil {
		s.Error, s.Failing = h.Err, h.Since
	}
	return s
}

func (r *ring) stats() OutputStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return OutputStats{
		Policy:   r.policy,
		Accepted: r.accepted, Written: r.written, Dropped: r.dropped,
		Pending: r.accepted - r.written - r.dropped,
		Bytes:   r.bytes, Buffer: r.limit, Held: r.held, Peak: r.peak,
		Waits: r.stalls, Waiting: r.blocked,
	}
}

// LogValue implements [slog.LogValuer].
func (s OutputStats) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", s.Name), slog.Uint64("accepted", s.Accepted),
		slog.Uint64("written", s.Written), slog.Uint64("dropped", s.Dropped), slog.Uint64("pending", s.Pending))
}
