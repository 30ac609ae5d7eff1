package grpcserver_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/server/grpcserver"
)

// full is a server with one place, which a call holds until release is called.
func full(t *testing.T, limiter *server.Limiter, opts ...grpcserver.Option) (r *running, release func()) {
	t.Helper()
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	r = start(t, &api{place: func(_ context.Context, order string) (string, error) {
		if order == "holds" {
			entered <- struct{}{}
			<-leave
		}
		return order, nil
	}, feed: func(stream grpc.ServerStream) error {
		in := new(wrapperspb.StringValue)
		return errors.Join(stream.SendMsg(wrapperspb.String("begun")), stream.RecvMsg(in))
	}}, nil, append(opts, grpcserver.WithLimiter(limiter))...)
	held := make(chan error, 1)
	go func() { _, err := call(context.Background(), r.conn, "holds"); held <- err }()
	<-entered
	return r, func() {
		close(leave)
		if err := <-held; err != nil {
			t.Error(err)
		}
	}
}

func limiterOf(t *testing.T, l server.Limits) *server.Limiter {
	t.Helper()
	limiter, err := server.NewLimiter(l)
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

func TestACallThatIsShedSaysWhenToComeBack(t *testing.T) {
	l := limiterOf(t, server.Limits{Min: 1, Max: 1, Queue: -1, RetryAfter: 3 * time.Second})
	r, release := full(t, l)
	var trailer metadata.MD
	_, err := call(t.Context(), r.conn, "", grpc.Trailer(&trailer))
	s := status.Convert(err)
	if s.Code() != codes.Unavailable || len(s.Details()) != 1 {
		t.Fatalf("the answer is %v with %v", err, s.Details())
	}
	wait := s.Details()[0].(*errdetails.RetryInfo).GetRetryDelay().AsDuration()
	if wait < 3*time.Second || wait > 6*time.Second || len(trailer.Get("grpc-retry-pushback-ms")) != 1 {
		t.Errorf("it waits for %v, trailer %v", wait, trailer)
	}
	stream, err := open(t.Context(), r.conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); status.Code(err) != codes.Unavailable {
		t.Errorf("a stream: %v", err)
	}
	if line := r.last(1); line["shed"] != true || line["level"] != "WARN" || line["priority"] != "normal" {
		t.Errorf("the line is %v", line) // of the two, one a second
	}
	if _, err := r.check(""); err != nil {
		t.Errorf("a probe was shed: %v", err)
	}
	release()
	if stats := l.Stats(); stats.InFlight != 0 || stats.Shed["normal"] != 2 {
		t.Errorf("after it: %+v", stats)
	}
	if stream, err = open(t.Context(), r.conn); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.CloseSend() }()
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != nil {
		t.Errorf("a stream with room: %v", err)
	}
	if n := l.Stats().InFlight; n != 0 {
		t.Errorf("a stream holds %d places", n)
	}
}

func TestPrioritiesOfCalls(t *testing.T) {
	l := func() *server.Limiter { return limiterOf(t, server.Limits{Min: 1, Max: 1, Queue: -1}) }
	operator := metadata.AppendToOutgoingContext(t.Context(), "x-request-priority", "operator")
	for _, c := range []struct {
		name string
		opts []grpcserver.Option
		want codes.Code
	}{
		{"not believed", nil, codes.Unavailable},
		{"believed", []grpcserver.Option{grpcserver.WithPriorityHeader(server.Probe)}, codes.OK},
		{"believed up to high", []grpcserver.Option{grpcserver.WithPriorityHeader(server.High)}, codes.Unavailable},
		{"by the service", []grpcserver.Option{grpcserver.WithPriority(func(_ context.Context, method string) server.Priority {
			if method == "orders.v1.Orders/Place" {
				return server.Operator
			}
			return server.Low
		})}, codes.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, release := full(t, l(), c.opts...)
			if _, err := call(operator, r.conn, ""); status.Code(err) != c.want {
				t.Errorf("the answer is %v", err)
			}
			release()
		})
	}
}

// TestPriorityGoesOn: a handler's ctx has the priority of its call if it is believed, and Propagate
// sends that to the next service.
func TestPriorityGoesOn(t *testing.T) {
	var seen server.Priority
	handler := &api{place: func(ctx context.Context, order string) (string, error) {
		seen = server.RequestPriority(ctx)
		return order, nil
	}}
	high := metadata.AppendToOutgoingContext(t.Context(), "x-request-priority", "high")
	for _, c := range []struct {
		ctx  context.Context
		opts []grpcserver.Option
		want server.Priority
	}{
		{high, nil, server.Normal},
		{high, []grpcserver.Option{grpcserver.WithPriorityHeader(server.Operator)}, server.High},
		{server.WithRequestPriority(t.Context(), server.Low), []grpcserver.Option{grpcserver.WithPriorityHeader(server.Operator)}, server.Low},
	} {
		r := start(t, handler, nil, c.opts...)
		conn, err := grpc.NewClient(r.conn.Target(), append(grpcserver.Propagate(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := call(c.ctx, conn, ""); err != nil || seen != c.want {
			t.Errorf("%v %v, want %v", seen, err, c.want)
		}
		_ = conn.Close()
	}
}
