package grpcbreaker

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sambatech/chassis/actors/breaker"
)

// DialOptions guards all RPCs of a connection: [Unary] and [Stream].
func DialOptions(b *breaker.Breaker) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(Unary(b)), grpc.WithChainStreamInterceptor(Stream(b))}
}

// Verdict is what the end of an RPC counts as. Failures are Unavailable,
// ResourceExhausted, DeadlineExceeded, Internal, Unknown and DataLoss. Canceled
// is neutral. Every other code is an answer that the server gave as it should.
func Verdict(err error) breaker.Verdict {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Internal, codes.Unknown, codes.DataLoss:
		return breaker.Failure
	case codes.Canceled:
		return breaker.Neutral
	}
	return breaker.Success
}

// verdict is Verdict in view of the caller's ctx.
func verdict(ctx context.Context, s *breaker.Settings, err error) breaker.Verdict {
	switch {
	case err == nil:
		return breaker.Success
	case ctx.Err() == context.Canceled,
		ctx.Err() != nil && s.CallerDeadline == "neutral":
		return breaker.Neutral
	}
	return Verdict(err)
}

// refusal is an OpenError that gRPC code understands.
type refusal struct{ *breaker.OpenError }

// GRPCStatus implements what package status looks for.
func (r refusal) GRPCStatus() *status.Status { return status.New(codes.Unavailable, r.Error()) }

// Unwrap lets errors.As find the *breaker.OpenError.
func (r refusal) Unwrap() error { return r.OpenError }

func acquire(b *breaker.Breaker, method string) (breaker.Permit, error) {
	p, err := b.Acquire(method)
	if open, ok := errors.AsType[*breaker.OpenError](err); ok {
		err = refusal{open}
	}
	return p, err
}

// Unary guards unary RPCs.
func Unary(b *breaker.Breaker) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if err := ctx.Err(); err != nil {
			return status.FromContextError(err).Err()
		}
		p, err := acquire(b, method)
		if err != nil {
			return err
		}
		s := b.Settings()
		limit := s.RequestTimeout
		if p.Probe() {
			limit = min(limit, s.ProbeTimeout)
		}
		inner, cancel := context.WithTimeoutCause(ctx, limit, breaker.ErrTimeout)
		defer cancel()
		over := false
		defer func() {
			if !over { // a panic or a Goexit is under way
				p.Settle(breaker.Failure)
			}
		}()
		err = invoke(inner, method, req, reply, cc, opts...)
		over = true
		p.Settle(verdict(ctx, &s, err))
		return err
	}
}

// Stream guards streaming RPCs.
func Stream(b *breaker.Breaker) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		if err := ctx.Err(); err != nil {
			return nil, status.FromContextError(err).Err()
		}
		p, err := acquire(b, method)
		if err != nil {
			return nil, err
		}
		w := &stream{b: b, ctx: ctx, permit: p, probe: p.Probe(), single: !desc.ServerStreams}
		over := false
		defer func() {
			if !over {
				w.settle(breaker.Failure)
			}
		}()
		inner, err := open(ctx, desc, cc, method, opts...)
		over = true
		if err != nil {
			w.end(err)
			return nil, err
		}
		w.ClientStream = inner
		w.watch()
		return w, nil
	}
}

// stream is a stream whose end is registered, once.
type stream struct {
	grpc.ClientStream
	b      *breaker.Breaker
	ctx    context.Context
	probe  bool
	single bool // the server sends one message

	mu      sync.Mutex
	permit  breaker.Permit
	unwatch func() bool
}

// watch settles a stream that its caller abandons. A ctx may live for much
// longer than its streams: one that has ended must leave nothing with it.
func (w *stream) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unwatch = context.AfterFunc(w.ctx, func() { w.end(w.ctx.Err()) })
}

// RecvMsg implements grpc.ClientStream.
func (w *stream) RecvMsg(m any) error {
	err := w.ClientStream.RecvMsg(m)
	switch {
	case err == io.EOF, err == nil && (w.single || w.probe):
		w.settle(breaker.Success)
	case err != nil:
		w.end(err)
	}
	return err
}

// SendMsg implements grpc.ClientStream. Its io.EOF says that RecvMsg has the error.
func (w *stream) SendMsg(m any) error {
	err := w.ClientStream.SendMsg(m)
	if err != nil && err != io.EOF {
		w.end(err)
	}
	return err
}

func (w *stream) end(err error) {
	s := w.b.Settings()
	w.settle(verdict(w.ctx, &s, err))
}

func (w *stream) settle(v breaker.Verdict) {
	w.mu.Lock()
	p, unwatch := w.permit, w.unwatch
	w.permit, w.unwatch = breaker.Permit{}, nil
	w.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
	p.Settle(v)
}
