package grpcserver

import (
	"context"
	"fmt"
	"time"

	"github.com/sambatech/chassis/parts"
)

// The last steps of a server's stop.
const (
	newGrace = time.Second // for connections in their handshake
	cutGrace = time.Second // from the end of the calls' ctx to the closing of their connections
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
	defer time.AfterFunc(newGrace, s.conns.closeFresh).Stop() // there are no new ones by then
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.grpc.GracefulStop() // until all calls have ended, and all connections are closed
	}()
	if settled(ctx, gone) {
		<-s.served
		return nil
	}
	names := s.calls.names()
	s.calls.cancel(parts.ErrStopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutGrace)
	defer cancel()
	ended := settled(grace, gone)
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
func settled(ctx context.Context, gone <-chan struct{}) bool {
	select {
	case <-gone:
		return true
	case <-ctx.Done():
		return false
	}
}
