package outbox

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
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

	// As of the last look at the tables, within 5 s.
	Rows, AsideRows int64     // that wait, and that no queue takes; up to 100 000
	Oldest          time.Time // the row that waits for longest; zero without one
}

type stats struct {
	sent, failed, aside, swept, passes atomic.Int64

	mu   sync.Mutex // guards what follows
	away []string
	err  error
	measured
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
		Passes: s.passes.Load(), Away: s.away, Rows: s.rows,
		AsideRows: s.measured.aside, Oldest: s.oldest}
	if s.err != nil {
		all.Error = s.err.Error()
	}
	return all
}

// Detail implements [parts.Detailer]: the live page shows it.
func (r *Relay) Detail() string {
	s := r.Stats()
	text := fmt.Sprintf("%s: %d sent", r.box.table, s.Sent)
	if s.Rows > 0 {
		text += fmt.Sprintf(", %d wait, the oldest for %v", s.Rows, time.Since(s.Oldest).Round(time.Second))
	}
	if s.AsideRows > 0 {
		text += fmt.Sprintf(", %d set aside", s.AsideRows)
	}
	if len(s.Away) > 0 {
		text += fmt.Sprintf(", %d pools away, %q the first", len(s.Away), s.Away[0])
	}
	if s.Error != "" {
		text += ", the database fails"
	}
	return text
}
