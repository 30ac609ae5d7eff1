package outbox

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Stats is what a relay has done since its start.
type Stats struct {
	Sent   int64 // rows that a queue has acknowledged
	Failed int64 // tries of single rows that failed
	Aside  int64 // rows that were set aside
	Swept  int64 // notes of Once that were deleted
	Passes int64
	Away   []string // pools that are not sent to for a while, sorted
	Error  string   // of the database, while it fails
}

type stats struct {
	sent, failed, aside, swept, passes atomic.Int64

	mu   sync.Mutex // guards what follows
	away []string
	err  error
}

func (s *stats) failing(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *stats) setAway(pools []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = pools
}

// Stats returns what the relay has done.
func (r *Relay) Stats() Stats {
	s := &r.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	all := Stats{Sent: s.sent.Load(), Failed: s.failed.Load(), Aside: s.aside.Load(), Swept: s.swept.Load(),
		Passes: s.passes.Load(), Away: s.away}
	if s.err != nil {
		all.Error = s.err.Error()
	}
	return all
}

// Detail implements [parts.Detailer]: the live page shows it.
func (r *Relay) Detail() string {
	s := r.Stats()
	text := fmt.Sprintf("%s: %d sent", r.box.table, s.Sent)
	if s.Aside > 0 {
		text += fmt.Sprintf(", %d set aside", s.Aside)
	}
	if len(s.Away) > 0 {
		text += fmt.Sprintf(", %d pools away, %q the first", len(s.Away), s.Away[0])
	}
	if s.Error != "" {
		text += ", the database fails"
	}
	return text
}
