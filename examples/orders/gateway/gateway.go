// Package gateway is the world outside of the order service: a payment gateway and a
// mail service, for a laptop and for tests. It is flaky. It does what it is asked once
// for each Idempotency-Key.
//
//	POST /charges  {"order": "…", "cents": 900}   201, 402 declined, 409 refunded before
//	POST /refunds  {"order": "…"}                 201
//	POST /mails    {"to": "…", "subject": "…"}    201
//
// A sum that ends in 13 cents is declined.
package gateway

import (
	"encoding/json"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Gateway is an [http.Handler]. Its methods may be used from several goroutines.
type Gateway struct {
	faults func() Fault

	mu    sync.Mutex // guards what follows
	books Books
	keys  map[string]int // Idempotency-Key → the answer
}

// Books are what the gateway has done.
type Books struct {
	Charged  map[string]int // order → how often its money was taken
	Cents    map[string]int64
	Refunded map[string]bool // order → refunded, or never to be charged
	Mails    map[Mail]int    // → how often it was sent
	Repeats  int             // requests with a key that had been seen before
	Faults   int             // requests that went wrong
}

// Mail is a mail without its text.
type Mail struct{ To, Subject string }

// Fault is what goes wrong with a request.
type Fault struct {
	Delay  time.Duration
	Before bool // 503, and nothing is done
	After  bool // 502, and all is done
}

type body struct {
	Order   string `json:"order"`
	Cents   int64  `json:"cents"`
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// New makes a gateway. faults is asked about each request; nil is without faults.
func New(faults func() Fault) *Gateway {
	if faults == nil {
		faults = func() Fault { return Fault{} }
	}
	return &Gateway{faults: faults, keys: map[string]int{}, books: Books{
		Charged: map[string]int{}, Cents: map[string]int64{}, Refunded: map[string]bool{}, Mails: map[Mail]int{},
	}}
}

// ServeHTTP implements [http.Handler].
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	var b body
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&b)
	if r.Method != http.MethodPost || key == "" || err != nil {
		http.Error(w, "want a POST of JSON with an Idempotency-Key", http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	fault := g.faults() // about one request at a time
	g.mu.Unlock()
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-r.Context().Done():
			return
		}
	}
	if fault.Before {
		g.count(func(b *Books) { b.Faults++ })
		http.Error(w, "the gateway is overloaded", http.StatusServiceUnavailable)
		return
	}
	status := g.once(key+r.URL.Path, func() int { return g.do(r.URL.Path, b) })
	if fault.After {
		g.count(func(b *Books) { b.Faults++ })
		http.Error(w, "the answer was lost", http.StatusBadGateway)
		return
	}
	w.WriteHeader(status)
}

func (g *Gateway) count(f func(*Books)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(&g.books)
}

// once does something if its key is new, and returns the answer of the first time.
func (g *Gateway) once(key string, do func() int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if status, ok := g.keys[key]; ok {
		g.books.Repeats++
		return status
	}
	g.keys[key] = do()
	return g.keys[key]
}

// do is called with the lock held.
func (g *Gateway) do(path string, b body) int {
	switch path {
	case "/charges":
		if g.books.Refunded[b.Order] {
			return http.StatusConflict
		}
		if b.Cents%100 == 13 {
			return http.StatusPaymentRequired
		}
		g.books.Charged[b.Order]++
		g.books.Cents[b.Order] = b.Cents
	case "/refunds":
		g.books.Refunded[b.Order] = true
	case "/mails":
		g.books.Mails[Mail{b.To, b.Subject}]++
	default:
		return http.StatusNotFound
	}
	return http.StatusCreated
}

// Books returns a copy of the books.
func (g *Gateway) Books() Books {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.books
	b.Charged, b.Cents = maps.Clone(b.Charged), maps.Clone(b.Cents)
	b.Refunded, b.Mails = maps.Clone(b.Refunded), maps.Clone(b.Mails)
	return b
}
