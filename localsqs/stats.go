package localsqs

import (
	"net/http"
	"sync"

	"github.com/sambatech/chassis/localsqs/internal/engine"
)

// metrics counts requests by operation and refusals by code.
type metrics struct {
	mu       sync.Mutex
	requests map[string]int64
	errors   map[string]int64
}

func (m *metrics) count(op string, err *engine.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.requests == nil {
		m.requests, m.errors = map[string]int64{}, map[string]int64{}
	}
	m.requests[op]++
	if err != nil {
		m.errors[err.Code]++
	}
}

func (s *Server) serveLook(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
