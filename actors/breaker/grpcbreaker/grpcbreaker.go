package grpcbreaker

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
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
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded,
		codes.Internal, codes.Unknown, codes.DataLoss:
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

// refused makes a refusal of an error that gRPC code understands.
func refused(err error) error {
	if open, ok := errors.AsType[*breaker.OpenError](err); ok {
		return refusal{open}
	}
	return err
}

// Unary guards unary RPCs.
func Unary(b *breaker.Breaker) grpc.UnaryClientInterceptor {
	return func(
		ctx context.Context, method string, req, reply any,
		cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		if err := ctx.Err(); err != nil {
			return status.FromContextError(err).Err()
		}
		p, err := b.AcquireTimed(ctx, method)
		if err != nil {
			return refused(err)
		}
		inner := ctx
		s := b.Settings()
		if limit := limit(ctx, b, method, p.Probe(), &s); limit > 0 {
			var cancel context.CancelFunc
			inner, cancel = context.WithTimeoutCause(ctx, limit, breaker.ErrTimeout)
			defer cancel()
		}
		over := false
		defer func() {
			if !over { // a panic or a Goexit is under way
				p.SettleFor(ctx, breaker.Failure)
			}
		}()
		var server peer.Peer // known once there is a stream to send on
		err = invoke(inner, method, req, reply, cc, append(opts[:len(opts):len(opts)], grpc.Peer(&server))...)
		over = true
		if callersFault(err) || server.Addr == nil && notSent(err) {
			p.Settle(breaker.Neutral)
		} else {
			p.SettleFor(ctx, verdict(ctx, &s, err))
		}
		return err
	}
}

// limit returns how long a unary RPC may take, or 0 for as long as ctx lets it.
func limit(ctx context.Context, b *breaker.Breaker, method string, probe bool, s *breaker.Settings) time.Duration {
	limit := b.Patience(ctx, method)
	if probe && limit == s.RequestTimeout {
		return min(limit, s.ProbeTimeout)
	}
	return limit
}

// notSent reports whether the error of an RPC without a stream is of the client
// itself: it has no token, or its metadata is invalid. A connection that cannot be
// made has one of the codes left out.
func notSent(err error) bool {
	switch status.Code(err) {
	case codes.OK, codes.Unavailable, codes.DeadlineExceeded:
		return false
	}
	return true
}

// callersFault reports whether the client itself refused a message: it was not
// sent, or was larger than this client takes; or the client's machine has no file
// descriptor for a connection. gRPC has no type for these.
func callersFault(err error) bool {
	if err == nil {
		return false
	}
	text := status.Convert(err).Message()
	for _, own := range []string{
		"grpc: error while marshaling", "trying to send message larger than max", "grpc: received message larger than max",
		"grpc: error while compressing", "header list size to send violates the maximum size", "too many open files",
	} {
		if strings.Contains(text, own) {
			return true
		}
	}
	return false
}

// Stream guards streaming RPCs.
func Stream(b *breaker.Breaker) grpc.StreamClientInterceptor {
	return func(
		ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
		open grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		if err := ctx.Err(); err != nil {
			return nil, status.FromContextError(err).Err()
		}
		p, err := b.AcquireTimed(ctx, method)
		if err != nil {
			return nil, refused(err)
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
			if callersFault(err) || notSent(err) {
				w.settle(breaker.Neutral)
			} else {
				w.end(err)
			}
			return nil, err
		}
		w.ClientStream = inner
		w.watch(b.Settings().ProbeTimeout)
		return w, nil
	}
}

// stream registers the end of a stream, once.
type stream struct {
	grpc.ClientStream
	b      *breaker.Breaker
	ctx    context.Context
	probe  bool
	single bool // the server sends one message

	mu      sync.Mutex
	permit  breaker.Permit
	unwatch func() bool
	slot    *time.Timer // of a probe: see slotOver
	came    bool        // a message has come
	waiting bool        // the caller waits in RecvMsg
	waited  time.Time   // of a probe: since when
}

// watch settles a stream that its caller abandons. A ctx may live for much
// longer than its streams: one that has ended must leave nothing with it.
func (w *stream) watch(probe time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unwatch = context.AfterFunc(w.ctx, w.left)
	if w.probe {
		w.slot = time.AfterFunc(probe, func() { w.slotOver(probe) })
	}
}

// left is the end of the caller's ctx, which is how a stream is closed before its
// end. Between two messages what has come was good; while the caller waits, it is
// a cancellation or a deadline as of any call.
func (w *stream) left() {
	w.mu.Lock()
	waiting, came := w.waiting, w.came
	w.mu.Unlock()
	switch {
	case waiting:
		w.end(w.ctx.Err())
	case came:
		w.settle(breaker.Success)
	default:
		w.settle(breaker.Neutral)
	}
}

// slotOver is the end of a probe's time. A service that has kept the caller
// waiting for all of it has failed; if the caller began to wait later, it gets
// what is left of that time, and if it does not wait, nothing is known.
func (w *stream) slotOver(probe time.Duration) {
	w.mu.Lock()
	waiting, left := w.waiting, probe-time.Since(w.waited)
	if waiting && left > 0 && w.slot != nil {
		w.slot.Reset(left)
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	if waiting {
		w.settle(breaker.Failure)
		return
	}
	w.settle(breaker.Neutral)
}

// RecvMsg implements grpc.ClientStream.
func (w *stream) RecvMsg(m any) error {
	w.await()
	err := w.ClientStream.RecvMsg(m)
	own := w.arrive(err)
	switch {
	case err == io.EOF, err == nil && (w.single || w.probe):
		w.settle(breaker.Success)
	case err == nil:
	case callersFault(err):
		w.settle(breaker.Neutral)
	case own:
		w.left()
	default:
		w.end(err)
	}
	return err
}

// await notes that the caller waits for the service, unless its time was over before.
func (w *stream) await() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting = w.ctx.Err() == nil; w.probe {
		w.waited = time.Now()
	}
}

// arrive notes the end of a wait, and reports whether an error is of a stream that
// its caller had left before.
func (w *stream) arrive(err error) (own bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	own = !w.waiting
	w.waiting = false
	w.came = w.came || err == nil
	return own
}

// SendMsg implements grpc.ClientStream. Its io.EOF says that RecvMsg has the
// error; any other is of this client, for example a message that cannot be encoded.
func (w *stream) SendMsg(m any) error {
	err := w.ClientStream.SendMsg(m)
	if err != nil && err != io.EOF {
		w.settle(breaker.Neutral)
	}
	return err
}

// end registers the end of the stream by an error.
func (w *stream) end(err error) {
	s := w.b.Settings()
	w.settle(verdict(w.ctx, &s, err))
}

func (w *stream) settle(v breaker.Verdict) {
	w.mu.Lock()
	p, unwatch, slot := w.permit, w.unwatch, w.slot
	w.permit, w.unwatch, w.slot = breaker.Permit{}, nil, nil
	w.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
	if slot != nil {
		slot.Stop()
	}
	p.SettleFor(w.ctx, v)
}
