package grpcserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/server/grpcserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is a service with a unary method and a stream of both directions.
type api struct {
	place func(ctx context.Context, order string) (string, error)
	feed  func(stream grpc.ServerStream) error
}

const (
	place = "/orders.v1.Orders/Place"
	feed  = "/orders.v1.Orders/Feed"
)

// desc is what protoc-gen-go-grpc makes of such a service.
var desc = grpc.ServiceDesc{ServiceName: "orders.v1.Orders", HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Place", Handler: func(srv any, ctx context.Context, dec func(any) error,
		around grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := dec(in); err != nil {
			return nil, err
		}
		handler := func(ctx context.Context, req any) (any, error) {
			out, err := srv.(*api).place(ctx, req.(*wrapperspb.StringValue).GetValue())
			return wrapperspb.String(out), err
		}
		return around(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: place}, handler)
	}}},
	Streams: []grpc.StreamDesc{{StreamName: "Feed", ServerStreams: true, ClientStreams: true,
		Handler: func(srv any, stream grpc.ServerStream) error { return srv.(*api).feed(stream) }}},
}

// echo is an api that answers with what it got.
func echo() *api {
	return &api{
		place: func(_ context.Context, order string) (string, error) { return order, nil },
		feed: func(stream grpc.ServerStream) error {
			in := new(wrapperspb.StringValue)
			if err := stream.RecvMsg(in); err != nil {
				return err
			}
			return stream.SendMsg(in)
		},
	}
}

// running is a service with a gRPC server on loopback.
type running struct {
	t    *testing.T
	sys  *chassis.System
	srv  *grpcserver.Server
	conn *grpc.ClientConn
	log  *lines
}

// lines is the output of a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// newService makes a service that is not started.
func newService(t *testing.T, change func(*chassis.Settings)) (*chassis.System, *lines) {
	t.Helper()
	s := chassis.DefaultSettings()
	s.Log.Format, s.Tasks.ReceiveWait = "json", time.Second
	if change != nil {
		change(&s)
	}
	log := &lines{}
	sys, err := chassis.New("orders", chassis.WithSettings(s), chassis.WithLogOutput(log), chassis.WithoutDefaultLogger(),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Stop(context.Background()) })
	return sys, log
}

// start starts a service with a gRPC server, and a client.
func start(t *testing.T, a *api, change func(*chassis.Settings), opts ...grpcserver.Option) *running {
	t.Helper()
	sys, log := newService(t, change)
	return startOn(t, sys, log, a, opts...)
}

func startOn(t *testing.T, sys *chassis.System, log *lines, a *api, opts ...grpcserver.Option) *running {
	t.Helper()
	srv := grpcserver.Add(sys, "127.0.0.1:0", opts...)
	srv.RegisterService(&desc, a)
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, sys: sys, srv: srv, log: log}
	r.conn = r.dial()
	return r
}

// addr is where the server listens.
func (r *running) addr() string {
	_, addr, _ := strings.Cut(r.srv.Detail(), " on ")
	return addr
}

// dial makes a connection of a client's own.
func (r *running) dial(opts ...grpc.DialOption) *grpc.ClientConn {
	r.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+r.addr(), append(opts,
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// call makes a unary call.
func call(ctx context.Context, conn *grpc.ClientConn, order string, opts ...grpc.CallOption) (string, error) {
	out := new(wrapperspb.StringValue)
	err := conn.Invoke(ctx, place, wrapperspb.String(order), out, opts...)
	return out.GetValue(), err
}

// open begins a stream.
func open(ctx context.Context, conn *grpc.ClientConn) (grpc.ClientStream, error) {
	return conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, feed)
}

// check asks the health service.
func (r *running) check(name string) (healthpb.HealthCheckResponse_ServingStatus, error) {
	res, err := healthpb.NewHealthClient(r.conn).Check(r.t.Context(), &healthpb.HealthCheckRequest{Service: name})
	return res.GetStatus(), err
}

// records returns the records of the log with a message.
func (r *running) records(message string) []map[string]any {
	r.t.Helper()
	_ = r.sys.Log().Flush(context.Background())
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	var all []map[string]any
	for line := range strings.Lines(r.log.buf.String()) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			r.t.Fatalf("%v: %s", err, line)
		}
		if one["msg"] == message {
			all = append(all, one)
		}
	}
	return all
}

// last returns the record of the call that ended last, once there are n.
func (r *running) last(n int) map[string]any {
	r.t.Helper()
	all := r.records("call")
	for end := time.Now().Add(10 * time.Second); len(all) < n && time.Now().Before(end); all = r.records("call") {
		<-time.After(time.Millisecond) // a client has its answer before the line is written
	}
	if len(all) != n {
		r.t.Fatalf("%d lines of calls, not %d: %v", len(all), n, all)
	}
	return all[n-1]
}

// stop stops the service and returns the error and the time that it took.
func (r *running) stop() (time.Duration, error) {
	begun := time.Now()
	err := r.sys.Stop(context.Background())
	return time.Since(begun), err
}

// silent opens a connection that sends only what is given.
func (r *running) silent(first string) net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write([]byte(first)); err != nil {
		r.t.Fatal(err)
	}
	return c
}
