package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
)

// remote is a service on loopback that has a bad spell in every cycle, and the
// breaker and the client in front of it.
type remote struct {
	url     string
	breaker *breaker.Breaker
	client  *http.Client
	srv     *http.Server
	begun   time.Time

	opened, closed atomic.Int64 // transitions of the service's entry
}

// The cycle of a remote: well, then answering 503, then not at all, then with
// bodies that break off.
const (
	cycle  = 45 * time.Second
	from   = 30 * time.Second
	silent = 35 * time.Second
	torn   = 37 * time.Second
	again  = 39 * time.Second
)

// guard puts the system's breaker before the remote. What it opens is counted.
func (r *remote) guard(sys *chassis.System) error {
	r.breaker = sys.Breaker(r.url)
	r.client = r.breaker.Client()
	_, err := r.breaker.Listen(func(t breaker.Transition) {
		switch {
		case t.Entry == "" && t.To == breaker.Open:
			r.opened.Add(1)
		case t.Entry == "" && t.To == breaker.Closed:
			r.closed.Add(1)
		}
	})
	return err
}

func newRemote(offset time.Duration) (*remote, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &remote{url: "http://" + l.Addr().String(), begun: time.Now().Add(-offset)}
	r.srv = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = r.srv.Serve(l) }() // ends with close
	return r, nil
}

var body = strings.Repeat("a line of an answer\n", 50)

func (r *remote) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch at := time.Since(r.begun) % cycle; {
	case at < from || at >= again:
		_, _ = w.Write([]byte(body))
	case at < silent:
		http.Error(w, "a bad spell", http.StatusServiceUnavailable)
	case at < torn:
		select {
		case <-req.Context().Done():
		case <-time.After(5 * time.Second):
		}
	default:
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(body[:500]))
		panic(http.ErrAbortHandler)
	}
}

func (r *remote) close() error {
	r.client.CloseIdleConnections()
	return r.srv.Close()
}
