package main

import (
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Bank is the bank in the tests: it books a charge, and one of a key that it knows only
// once. It is what outlives the processes.
type Bank struct {
	mu     sync.Mutex
	keys   map[string]bool
	booked map[string]int
}

func newBank() *Bank { return &Bank{keys: map[string]bool{}, booked: map[string]int{}} }

// ServeHTTP implements [http.Handler].
func (b *Bank) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // it is in memory
	b.mu.Lock()
	defer b.mu.Unlock()
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		if b.keys[key] {
			return
		}
		b.keys[key] = true
	}
	b.booked[string(body)]++
}

// Books are the charges, and how often each was booked.
func (b *Bank) Books() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	books := map[string]int{}
	for charge, n := range b.booked {
		books[charge] = n
	}
	return books
}

// Check returns an error if a charge was booked more than once.
func (b *Bank) Check() error {
	for charge, times := range b.Books() {
		if times > 1 {
			return fmt.Errorf("%s was booked %d times", charge, times)
		}
	}
	return nil
}
