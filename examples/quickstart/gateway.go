package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// gateway is the remote service of this example: an HTTP mail gateway on
// loopback, with the manners of a real one. It takes a message once by its
// Idempotency-Key, mails no address twice, keeps a journal on disk, and has
// bad days: an outage, slow answers, and a spell of 503 with Retry-After.
type gateway struct {
	URL string

	srv *http.Server

	mu       sync.Mutex // guards what follows: net/http calls from many goroutines
	journal  *os.File
	byKey    map[string]entry // Idempotency-Key → what came of it
	byAddr   map[string]int   // address → the row that was mailed
	requests int
	refused  map[int]int // status → how often it was answered
	badUntil time.Time
	badWith  int
}

// entry is a line of the journal: one accepted message.
type entry struct {
	Key   string    `json:"key"`
	Row   int       `json:"row"`
	To    string    `json:"to"`
	DupOf int       `json:"dup_of,omitempty"` // the row that mailed this address before
	At    time.Time `json:"at"`
}

// letter is the body of POST /v1/messages.
type letter struct {
	Row      int    `json:"row"`
	To       string `json:"to"`
	Name     string `json:"name"`
	Language string `json:"language"`
}

func openGateway(ctx context.Context, dir string) (*gateway, error) {
	g := &gateway{byKey: map[string]entry{}, byAddr: map[string]int{}, refused: map[int]int{}}
	path := filepath.Join(dir, "delivered.jsonl")
	if err := g.replay(path); err != nil {
		return nil, fmt.Errorf("gateway: read its journal %s: %w", path, err)
	}
	var err error
	if g.journal, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("gateway: open its journal: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gateway: listen on loopback: %w", err), g.journal.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/messages", g.accept)
	g.srv = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	g.URL = "http://" + l.Addr().String()
	go func() { _ = g.srv.Serve(l) }() // ends with Close
	return g, nil
}

// replay reads what an earlier process accepted. A last line that a kill cut
// short was never answered, so it is dropped and the file ends before it.
func (g *gateway) replay(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // read only, but for the truncation, which has its own error
	whole, r := int64(0), bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return f.Truncate(whole)
		}
		if err != nil {
			return err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("byte %d: %w", whole, err)
		}
		whole += int64(len(line))
		g.remember(e)
	}
}

func (g *gateway) remember(e entry) {
	g.byKey[e.Key] = e
	if e.DupOf == 0 {
		g.byAddr[e.To] = e.Row
	}
}

func (g *gateway) accept(w http.ResponseWriter, r *http.Request) {
	status, slow := g.mood()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-r.Context().Done(): // the caller has lost patience
			return
		}
	}
	if status != http.StatusOK {
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, "the gateway is not well", status)
		return
	}
	var l letter
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&l); err != nil {
		http.Error(w, "body: "+err.Error(), http.StatusBadRequest)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	addr, err := mail.ParseAddress(l.To)
	if key == "" || err != nil {
		http.Error(w, fmt.Sprintf("want an Idempotency-Key and an address: %v", err), http.StatusUnprocessableEntity)
		return
	}
	e, err := g.take(key, l.Row, strings.ToLower(addr.Address))
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case e.DupOf != 0:
		w.WriteHeader(http.StatusAlreadyReported)
	default:
		w.WriteHeader(http.StatusCreated)
	}
}

// take accepts a message, once a key: the journal has it before the answer.
func (g *gateway) take(key string, row int, addr string) (entry, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e, ok := g.byKey[key]; ok {
		return e, nil
	}
	e := entry{Key: key, Row: row, To: addr, DupOf: g.byAddr[addr], At: time.Now().UTC()}
	line, err := json.Marshal(e)
	if err != nil {
		return entry{}, err
	}
	if _, err := g.journal.Write(append(line, '\n')); err != nil {
		return entry{}, err
	}
	g.remember(e)
	return e, nil
}

// mood is the gateway's behaviour by the number of requests it has had: well,
// down for a while, well with slow answers, overloaded for a while, well.
func (g *gateway) mood() (status int, slow time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests++
	switch g.requests {
	case 600:
		g.badUntil, g.badWith = time.Now().Add(1500*time.Millisecond), http.StatusInternalServerError
	case 1800:
		g.badUntil, g.badWith = time.Now().Add(1200*time.Millisecond), http.StatusServiceUnavailable
	}
	if time.Now().Before(g.badUntil) {
		g.refused[g.badWith]++
		return g.badWith, 0
	}
	slow = time.Duration(1+rand.IntN(4)) * time.Millisecond
	if g.requests > 1000 && rand.IntN(200) == 0 {
		slow = 3 * time.Second // past the caller's request timeout
	}
	return http.StatusOK, slow
}

// accepted is a copy of the journal: row → entries.
func (g *gateway) accepted() map[int][]entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	rows := make(map[int][]entry, len(g.byKey))
	for _, e := range g.byKey {
		rows[e.Row] = append(rows[e.Row], e)
	}
	return rows
}

func (g *gateway) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.byKey)
}

func (g *gateway) Close() error {
	return errors.Join(g.srv.Close(), g.journal.Close())
}
