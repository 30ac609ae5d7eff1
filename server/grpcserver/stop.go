package grpcserver

import (
	"context"
	"fmt"
	"time"

	"github.com/sambatech/chassis/parts"
)

// The last steps of a server's stop.
const (
	newGrace  = time.Second           // for connections in their handshake
	idleGrace = 2 * time.Second       // for a connection that moves nothing, while no call is under way
	cutGrace  = time.Second           // from the end of the calls' ctx to the closing of their connections
	lookEvery = 20 * time.Millisecond // for what gRPC gives no signal of
)

// Stop implements parts.Part.
func (s *Server) Stop(ctx context.Context) error {
	if s.served == nil { // opened, and not started
		s.grpc.Stop()
		return s.listener.Close()
	}
	begun := time.Now()
	s.stop(parts.ErrStopping)
	defer s.health.work.Wait()
	gone := make(chan struct{}) // closed when all connections are, and their calls have ended
	go func() {
		defer close(gone)
		s.grpc.GracefulStop()
	}()
	if s.settled(ctx, gone) {
		<-s.served
		return nil
	}
	names := s.calls.names()
	s.calls.cancel(parts.ErrStopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutGrace)
	defer cancel()
	ended := s.settled(grace, gone)
	took := time.Since(begun).Round(time.Millisecond)
	if ended {
		<-s.served
		return fmt.Errorf("%s did not end within %v of a stop, and had to be cancelled", names, took)
	}
	still := s.calls.names()
	s.close()
	<-s.served
	return fmt.Errorf("%s did not end within %v of a stop. %v after the end of their ctx there were still %s: "+
		"their connections are closed", names, took-cutGrace, cutGrace, still)
}

// close ends all connections at once.
func (s *Server) close() {
	s.conns.closeFresh() // or gRPC waits for their handshakes
	s.grpc.Stop()
}

// settled waits until the server has ended in order. It reports false if ctx ends before.
// A connection that stays open after the GOAWAY is closed once nothing has moved on any
// of them for a while.
func (s *Server) settled(ctx context.Context, gone <-chan struct{}) bool {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	begun := time.Now()
	moves, still := s.conns.moves.Load(), begun
	for {
		select {
		case <-gone:
			return true
		case <-ctx.Done():
			return false
		case now := <-tick.C:
			if now.Sub(begun) >= newGrace {
				s.conns.closeFresh()
			}
			if m := s.conns.moves.Load(); m != moves || s.calls.count() > 0 {
				moves, still = m, now
			} else if now.Sub(still) >= idleGrace {
				s.close()
				<-gone
				return true
			}
		}
	}
}
