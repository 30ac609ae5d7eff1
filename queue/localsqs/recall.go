package localsqs

import (
	"context"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// recallKey is the key of WithRecall.
type recallKey struct{}

// WithRecall returns a ctx for a long poll in process ([Server.HTTPClient])
// that is answered, with what it has got, once recall is closed. A cancelled
// ctx would leave the messages that the poll was just being given in flight.
func WithRecall(ctx context.Context, recall <-chan struct{}) context.Context {
	return context.WithValue(ctx, recallKey{}, recall)
}

// recallOf returns the channel of a ctx, or nil.
func recallOf(ctx context.Context) <-chan struct{} {
	recall, _ := ctx.Value(recallKey{}).(<-chan struct{})
	return recall
}

// recall answers a long poll with what it has.
func (s *Server) recall(w *engine.Waiter) *engine.Error {
	s.mu.Lock()
	parked := s.engine.Cancel(w)
	s.leave()
	if !parked {
		<-w.Ready // it has just been served
	}
	return w.Err
}
