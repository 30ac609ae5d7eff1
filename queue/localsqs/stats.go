package localsqs

import (
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
	"github.com/sambatech/chassis/queue/localsqs/internal/wire"
)

// metrics counts requests by operation and refusals by code.
type metrics struct {
	requests map[string]*atomic.Int64 // by operation; the map is not changed

	mu     sync.Mutex
	errors map[string]int64
}

func newMetrics() *metrics {
	m := &metrics{requests: make(map[string]*atomic.Int64, len(operations)), errors: map[string]int64{}}
	for op := range operations {
		m.requests[op] = &atomic.Int64{}
	}
	return m
}

func (m *metrics) count(op string, err *engine.Error) {
	m.requests[op].Add(1)
	if err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.errors[err.Code]++
	}
}

// Stats is what a server holds and has done, at one moment.
type Stats struct {
	Account  string           `json:"account"`
	File     string           `json:"file,omitempty"` // empty: in memory
	Bytes    int64            `json:"bytes,omitempty"`
	Queues   []QueueStats     `json:"queues"`
	Requests map[string]int64 `json:"requests"` // by operation, of those that were asked for
	Errors   map[string]int64 `json:"errors"`   // by code
	Commits  Commits          `json:"commits,omitzero"`

	Connections Connections `json:"connections,omitzero"` // over sockets
}

// QueueStats is one queue. The counts are exact.
type QueueStats struct {
	Name      string        `json:"name"`
	Region    string        `json:"region"`
	FIFO      bool          `json:"fifo,omitempty"`
	Visible   int           `json:"visible"`
	InFlight  int           `json:"in_flight"`
	Delayed   int           `json:"delayed"`
	Groups    int           `json:"groups,omitempty"` // message groups that have messages
	Waiting   int           `json:"waiting"`          // receive calls that wait
	OldestAge time.Duration `json:"oldest_age_ns"`    // of the oldest message, 0 without one
}

// Connections are those of Listen.
type Connections struct {
	Open    int   `json:"open"`
	Refused int64 `json:"refused"` // closed because there were too many, see [MaxConnections]
}

// Commits are the transactions of the file.
type Commits struct {
	Count    int64         `json:"count"`
	Changes  int64         `json:"changes"`
	Failures int64         `json:"failures"`
	Last     time.Duration `json:"last_ns"`
	Longest  time.Duration `json:"longest_ns"`
	Total    time.Duration `json:"total_ns"`
	// Within counts transactions by their time: up to 1, 2, 5, 10, 20, 50, 100
	// and 500 ms and 1 s, each without those before; the last counts the rest.
	Within []int64 `json:"within"`
}

// Stats takes a snapshot.
func (s *Server) Stats() Stats {
	st := Stats{Account: s.cfg.account, File: s.cfg.path, Requests: map[string]int64{}, Errors: map[string]int64{}}
	s.mu.Lock()
	now := s.clock.now()
	if !s.closed {
		s.engine.Advance(now)
	}
	queues := s.engine.Stats()
	s.leave()
	st.Queues = make([]QueueStats, len(queues))
	for i, q := range queues {
		st.Queues[i] = QueueStats{Name: q.Name, Region: q.Region, FIFO: q.FIFO, Visible: q.Visible,
			InFlight: q.InFlight,
			Delayed:  q.Delayed, Groups: q.Groups, Waiting: q.Waiting}
		if q.Oldest != 0 {
			st.Queues[i].OldestAge = time.Duration(max(0, now-q.Oldest)) // the clock may have been set back
		}
	}
	for op, n := range s.metrics.requests {
		if n := n.Load(); n > 0 {
			st.Requests[op] = n
		}
	}
	st.Connections = s.listeners.connections.stats()
	s.metrics.mu.Lock()
	for code, n := range s.metrics.errors {
		st.Errors[code] = n
	}
	s.metrics.mu.Unlock()
	if s.store != nil {
		st.Commits = Commits(s.store.Stats())
		if info, err := os.Stat(s.cfg.path); err == nil {
			st.Bytes = info.Size()
		}
	}
	return st
}

// Health is nil if the server takes calls, and the file, if there is one,
// took the latest write.
func (s *Server) Health() error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if s.store == nil {
		return nil
	}
	err, _ := s.store.Err()
	return err
}

// Peeked is a message that is looked at without being received.
type Peeked struct {
	MessageID  string            `json:"message_id"`
	Body       string            `json:"body"`
	Attributes map[string]string `json:"attributes,omitempty"` // the user's; a Binary as its bytes
	Group      string            `json:"group,omitempty"`
	State      string            `json:"state"` // visible, in flight or delayed
	Sent       time.Time         `json:"sent"`
	Visible    time.Time         `json:"visible,omitzero"` // when it becomes visible, if it is not
	Receives   int               `json:"receives"`         // also by the queues that it was dead-lettered from
}

// Peek looks at up to limit messages of a queue, those sent first. Nothing
// changes by it. queue is a name, or an ARN for a region other than the
// server's own.
func (s *Server) Peek(queue string, limit int) ([]Peeked, error) {
	key, ok := engine.ParseARN(queue)
	if !ok {
		key = engine.Key{Region: s.cfg.region, Name: queue}
	}
	var found []engine.Peeked
	if err := s.look(func(_ int64, e *engine.Engine) *engine.Error {
		q := e.Queue(key)
		if q == nil {
			return engine.NoSuchQueue()
		}
		found = e.Peek(q, limit)
		return nil
	}); err != nil {
		if err.Status == http.StatusServiceUnavailable {
			return nil, &PeekError{Queue: queue, Err: ErrClosed}
		}
		return nil, &PeekError{Queue: queue, Err: err}
	}
	list := make([]Peeked, 0, len(found))
	for _, p := range found {
		if p.Content == nil {
			c, err := s.store.Content(p.Queue, p.Seq)
			if err != nil {
				return nil, &PeekError{Queue: queue, Err: err}
			}
			if c == nil {
				continue // deleted meanwhile
			}
			p.Content = c
		}
		list = append(list, peeked(&p))
	}
	return list, nil
}

// PeekError is a look that failed.
type PeekError struct {
	Queue string
	Err   error
}

func (e *PeekError) Error() string {
	return "localsqs: look at queue " + e.Queue + ": " + e.Err.Error()
}

func (e *PeekError) Unwrap() error { return e.Err }

func peeked(p *engine.Peeked) Peeked {
	v := Peeked{MessageID: string(wire.AppendUUID(nil, p.ID)), Body: p.Content.Body, Group: p.Group, State: p.State,
		Sent: time.Unix(0, p.Sent).UTC(), Receives: int(p.Receives) + int(p.Before)}
	if p.Due != 0 {
		v.Visible = time.Unix(0, p.Due).UTC()
	}
	for _, a := range p.Content.Attrs {
		if v.Attributes == nil {
			v.Attributes = map[string]string{}
		}
		v.Attributes[a.Name] = a.String
	}
	return v
}
