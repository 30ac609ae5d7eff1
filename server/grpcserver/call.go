package grpcserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/task"
)

// call is one call under way. It is not used again for another one, because a goroutine
// of the handler may keep its ctx.
type call struct {
	task.OriginContext // the ctx, which names the job
	s                  *Server
	method             *method
	full               string // the path as the caller wrote it
	streams            bool
	begun              time.Time
	ctx                context.Context // as the handler gets it
	cancel             context.CancelCauseFunc
	limited            context.CancelFunc // of the time limit; nil without one
	place              server.Admission
	priority           server.Priority

	sent, received atomic.Int64 // messages of a stream
	shed           bool
	panicked       bool
	done           bool       // the handler has returned
	code           codes.Code // of the answer
	err            error      // of the handler
	text           string     // of err
}

// path is the method as it is shown to people.
func (c *call) path() string { return strings.TrimPrefix(c.full, "/") }

// remote returns the address of the caller, without its port.
func (c *call) remote() string {
	p, ok := peer.FromContext(c.Context)
	if !ok || p.Addr == nil {
		return ""
	}
	if t, ok := p.Addr.(*net.TCPAddr); ok {
		return t.IP.String()
	}
	return clip.Line(p.Addr.String(), 64)
}

// unary is the interceptor of all unary calls.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	next grpc.UnaryHandler) (res any, err error) {
	c := s.begin(ctx, info.FullMethod, false)
	defer func() {
		if !c.done {
			res, err = nil, c.failed(recover())
		}
		s.end(c)
	}()
	if err = c.identify(func(md metadata.MD) error { return grpc.SetHeader(ctx, md) }); err == nil {
		if err = c.admit(func(md metadata.MD) error { return grpc.SetTrailer(ctx, md) }); err == nil {
			res, err = next(c.ctx, req)
		}
	}
	err = c.result(err)
	c.done = true
	return res, err
}

// stream is the interceptor of all streams.
func (s *Server) stream(srv any, below grpc.ServerStream, info *grpc.StreamServerInfo,
	next grpc.StreamHandler) (err error) {
	c := s.begin(below.Context(), info.FullMethod, true)
	defer func() {
		if !c.done {
			err = c.failed(recover())
		}
		s.end(c)
	}()
	if err = c.identify(below.SetHeader); err == nil {
		if err = c.admit(func(md metadata.MD) error { below.SetTrailer(md); return nil }); err == nil {
			c.place.End(false) // a stream may last for days, and says nothing of the load
			err = next(srv, &counted{below, c})
		}
	}
	err = c.result(err)
	c.done = true
	return err
}

// counted is the stream that a handler gets.
type counted struct {
	grpc.ServerStream
	call *call
}

// Context implements grpc.ServerStream.
func (s *counted) Context() context.Context { return s.call.ctx }

// SendMsg implements grpc.ServerStream.
func (s *counted) SendMsg(m any) error {
	err := s.ServerStream.SendMsg(m)
	if err == nil {
		s.call.sent.Add(1)
	}
	return err
}

// RecvMsg implements grpc.ServerStream.
func (s *counted) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil {
		s.call.received.Add(1)
	}
	return err
}

// begin makes the value of a call.
func (s *Server) begin(ctx context.Context, full string, streams bool) *call {
	c := &call{s: s, method: s.methods.find(full), full: full, streams: streams, begun: time.Now()}
	c.ctx, c.cancel = context.WithCancelCause(parts.WithStopping(ctx, s.host.Draining))
	c.OriginContext.Context = c.ctx
	if !c.method.probe {
		s.calls.begin(c)
	}
	return c
}

// identify gives the call its id, its job and its time limit; set sends the id back.
func (c *call) identify(set func(metadata.MD) error) error {
	config := &c.s.config
	ctx, id := identified(c.ctx, config.believeIDs == nil || config.believeIDs(c.ctx))
	name := c.method.label
	c.OriginContext = task.OriginContext{Context: ctx, Origin: task.Origin{ID: id, Name: name}}
	c.ctx = &c.OriginContext
	if config.timeLimit != nil {
		if most := config.timeLimit(name, c.streams); most > 0 {
			c.ctx, c.limited = context.WithDeadlineCause(c.ctx, c.begun.Add(most), server.ErrTimeLimit)
		}
	}
	return set(metadata.Pairs(idKey, id))
}

// failed is the answer to a call if its handler has not returned: it panicked, or ended
// its goroutine.
func (c *call) failed(v any) error {
	c.panicked = true
	if c.s.metrics != nil {
		c.s.metrics.panics.Inc()
	}
	text := "the handler ended its goroutine (runtime.Goexit)"
	if v != nil {
		text = clip.Cut(clip.Panic(v), clip.Text)
	}
	c.s.log.LogAttrs(c.ctx, slog.LevelError, "panic in a handler", slog.String("method", c.method.label),
		slog.String("panic", text), slog.Any("stack", logger.Stack(debug.Stack())))
	c.code = codes.Internal
	return status.Error(codes.Internal, "the call has failed; its id is in the log")
}

// result returns the error of a handler as gRPC sends it. The methods of the error are
// called here, where a panic of theirs is survived: gRPC calls them where it is not.
func (c *call) result(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		s = status.FromContextError(err)
	}
	c.err, c.text, c.code = err, clip.Line(err.Error(), clip.Text), s.Code()
	return s.Err()
}

// end is the end of a call, however its handler has ended.
func (s *Server) end(c *call) {
	s.calls.end(c)
	took := time.Since(c.begun)
	c.place.End(c.code == codes.OK || c.code == codes.DeadlineExceeded && c.late())
	if s.metrics != nil {
		s.metrics.observe(c.method, c.code, took.Seconds())
	}
	s.line(c, took)
	if c.limited != nil {
		c.limited()
	}
	c.cancel(nil)
}

// late reports whether the time limit of the server is over.
func (c *call) late() bool { return errors.Is(context.Cause(c.ctx), server.ErrTimeLimit) }
