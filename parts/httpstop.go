package parts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The last steps of a server's stop.
const (
	cutGrace  = time.Second           // from the end of the requests' ctx to the closing of their connections
	newGrace  = time.Second           // for the first request of a new connection
	lookEvery = 20 * time.Millisecond // for what net/http gives no signal of
	maxNamed  = 10                    // requests that an error names
)

// Stop implements [Part].
func (s *Server) Stop(ctx context.Context) error {
	if s.served == nil { // opened, and not started
		return s.listener.Close()
	}
	begun := time.Now()
	s.stop(ErrStopping)
	ending, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var err error
	shut := make(chan struct{}) // closed when all connections are, and err is set
	go func() {
		defer close(shut)
		err = s.server.Shutdown(ending)
	}()
	if s.settled(ctx, shut) {
		s.cut(ErrStopping)
		<-s.served
		return err
	}
	names := s.remaining()
	s.cut(ErrStopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutGrace)
	defer cancel()
	ended := s.settled(grace, shut)
	took := time.Since(begun).Round(time.Millisecond)
	if ended {
		<-s.served
		return fmt.Errorf("%s did not end within %v of a stop, and had to be cancelled", names, took)
	}
	still := s.remaining()
	end()
	<-shut
	closing := s.server.Close()
	s.conns.closeHijacked()
	<-s.served
	return errors.Join(fmt.Errorf("%s did not end within %v of a stop. %v after the end of their ctx there were "+
		"still %s: their connections are closed", names, took-cutGrace, cutGrace, still), closing)
}

// settled waits until all requests have ended and all connections are closed, which
// shut says of those that net/http knows. It reports false if ctx ends before.
func (s *Server) settled(ctx context.Context, shut <-chan struct{}) bool {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		s.conns.closeNew(time.Now().Add(-newGrace))
		select {
		case <-shut:
			if s.conns.hijackedOpen() == 0 && s.requests.count() == 0 {
				return true
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return false
			}
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// remaining names what has not ended.
func (s *Server) remaining() string {
	list := s.requests.list()
	named := make([]string, 0, maxNamed)
	for _, r := range list[:min(len(list), maxNamed)] {
		named = append(named, fmt.Sprintf("%s %s of %s (for %v)", r.method, r.path, r.remote,
			time.Since(r.since).Round(time.Millisecond)))
	}
	text := plural(len(list), "request")
	if len(list) > maxNamed {
		named = append(named, "and more")
	}
	if len(named) > 0 {
		text += ": " + strings.Join(named, ", ")
	}
	if n := s.conns.hijackedOpen(); n > 0 {
		text += " and " + plural(n, "connection") + " that a handler has taken over"
	}
	return text
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
