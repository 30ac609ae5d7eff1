package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/server/grpcserver"
	"github.com/sambatech/chassis/task"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// In a whole system: one id finds the call, its records, the task that it sent, and the
// records of the task.
func TestOneIDForACallAndItsTasks(t *testing.T) {
	sys, log := newService(t, func(s *chassis.Settings) { s.Tasks.TaskPool = "orders-tasks" })
	invoice := task.Define[string]("invoice")
	done := make(chan task.Origin, 1)
	chassis.Handle(sys, invoice, func(ctx context.Context, job task.Job[string]) error {
		sys.Logger("invoices").InfoContext(ctx, "written")
		done <- task.Origin{ID: job.JobID, Name: job.JobName}
		return nil
	})
	r := startOn(t, sys, log, &api{place: func(ctx context.Context, order string) (string, error) {
		_, err := chassis.Send(ctx, sys, invoice, order)
		return "", err
	}})
	var header metadata.MD
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "r-17", "traceparent", parent)
	if _, err := call(ctx, r.conn, "17", grpc.Header(&header)); err != nil {
		t.Fatal(err)
	}
	if got := header.Get("x-request-id"); !slices.Equal(got, []string{"r-17"}) {
		t.Errorf("the id that came back is %v", got)
	}
	if got := <-done; got.ID != "r-17" || got.Name != "orders.v1.Orders/Place" {
		t.Errorf("the task has the job %q %q", got.ID, got.Name)
	}
	for _, message := range []string{"call", "written"} {
		if all := r.records(message); len(all) != 1 || all[0]["job_id"] != "r-17" {
			t.Errorf("%q: %v", message, all)
		}
	}
}

func TestIDsOfCalls(t *testing.T) {
	for _, c := range []struct {
		name     string
		metadata []string
		opts     []grpcserver.Option
		want     string // "": a new one
		trace    string
	}{
		{"its own", []string{"x-request-id", "r-1"}, nil, "r-1", ""},
		{"of the trace", []string{"traceparent", parent}, nil, "0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"},
		{"not valid", []string{"x-request-id", "a b"}, nil, "", ""},
		{"two of them", []string{"x-request-id", "a", "x-request-id", "b"}, nil, "", ""},
		{"too long", []string{"x-request-id", strings.Repeat("a", server.MaxID+1)}, nil, "", ""},
		{"an invalid trace", []string{"traceparent", "00-0-0-01"}, nil, "", ""},
		{"not believed", []string{"x-request-id", "r-1", "traceparent", parent},
			[]grpcserver.Option{grpcserver.WithBelievedIDs(func(context.Context) bool { return false })}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var id, traced string
			r := start(t, &api{place: func(ctx context.Context, _ string) (string, error) {
				id = server.RequestID(ctx)
				if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
					traced = sc.TraceID().String()
				}
				return "", nil
			}}, nil, c.opts...)
			if _, err := call(metadata.AppendToOutgoingContext(t.Context(), c.metadata...), r.conn, ""); err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(id) != 32 || c.want != "" && id != c.want {
				t.Errorf("the id is %q, not %q", id, c.want)
			}
			if traced != c.trace {
				t.Errorf("the trace is %q, not %q", traced, c.trace)
			}
		})
	}
}

// An id and a trace go on to the next service, and what the call has itself is kept.
func TestPropagate(t *testing.T) {
	var got metadata.MD
	r := start(t, &api{place: func(ctx context.Context, _ string) (string, error) {
		got, _ = metadata.FromIncomingContext(ctx)
		return "", nil
	}, feed: func(stream grpc.ServerStream) error {
		got, _ = metadata.FromIncomingContext(stream.Context())
		return nil
	}}, nil)
	conn := r.dial(grpcserver.Propagate()...)
	tid, _ := trace.TraceIDFromHex("0af7651916cd43dd8448eb211c80319c")
	sid, _ := trace.SpanIDFromHex("b7ad6b7169203331")
	ctx := trace.ContextWithSpanContext(task.WithOrigin(t.Context(), "r-9", "nightly"),
		trace.NewSpanContext(trace.SpanContextConfig{TraceID: tid, SpanID: sid, TraceFlags: trace.FlagsSampled}))
	if _, err := call(ctx, conn, ""); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Get("x-request-id"), []string{"r-9"}) || !slices.Equal(got.Get("traceparent"), []string{parent}) {
		t.Errorf("unary: %v", got)
	}
	stream, err := open(metadata.AppendToOutgoingContext(ctx, "x-request-id", "own"), conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if !slices.Equal(got.Get("x-request-id"), []string{"own"}) || !slices.Equal(got.Get("traceparent"), []string{parent}) {
		t.Errorf("stream: %v", got)
	}
}

// brokenError panics where gRPC would call it without a net.
type brokenError struct{}

func (brokenError) Error() string { panic("no text, secret") }

// As of grpc-go issues on panics: one in a handler ends the process.
func TestAPanicIsAnAnswer(t *testing.T) {
	reg := prometheus.NewRegistry()
	var how any
	r := start(t, &api{
		place: func(context.Context, string) (string, error) {
			if err, ok := how.(error); ok {
				return "", err
			}
			panic(how)
		},
		feed: func(grpc.ServerStream) error { panic(how) },
	}, nil, grpcserver.WithRegisterer(reg))
	n := 0
	verify := func(err error) {
		t.Helper()
		n++
		s := status.Convert(err)
		if s.Code() != codes.Internal || strings.Contains(s.Message(), "secret") {
			t.Errorf("the answer is %v", err)
		}
		line := r.last(n)
		if line["code"] != "INTERNAL" || line["level"] != "ERROR" || line["aborted"] != "handler" {
			t.Errorf("the line is %v", line)
		}
		if all := r.records("panic in a handler"); len(all) != n || !strings.Contains(fmt.Sprint(all[n-1]), "secret") ||
			!strings.Contains(fmt.Sprint(all[n-1]["stack"]), "grpcserver_test") || all[n-1]["job_id"] != line["job_id"] {
			t.Errorf("the record is %v", all)
		}
	}
	how = "secret"
	_, err := call(t.Context(), r.conn, "")
	verify(err)
	stream, err := open(t.Context(), r.conn)
	if err != nil {
		t.Fatal(err)
	}
	verify(stream.RecvMsg(new(wrapperspb.StringValue)))
	how = brokenError{}
	_, err = call(t.Context(), r.conn, "")
	verify(err)
	if got := value(t, reg, "chassis_server_panics_total", ""); got != 3 {
		t.Errorf("%v panics were counted", got)
	}
}

// A handler that ends its goroutine gives no answer; the call is counted and the server
// goes on.
func TestAHandlerThatEndsItsGoroutine(t *testing.T) {
	r := start(t, &api{place: func(_ context.Context, order string) (string, error) {
		if order == "exit" {
			runtime.Goexit()
		}
		return order, nil
	}}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answer := make(chan error, 1)
	go func() {
		_, err := call(ctx, r.conn, "exit")
		answer <- err
	}()
	if line := r.last(1); line["aborted"] != "handler" {
		t.Errorf("the line is %v", line)
	}
	cancel()
	if err := <-answer; status.Code(err) != codes.Canceled {
		t.Errorf("the answer is %v", err)
	}
	if got, err := call(t.Context(), r.conn, "on"); got != "on" || err != nil {
		t.Errorf("the next call: %q, %v", got, err)
	}
}

func TestTheTimeLimitEndsTheCtx(t *testing.T) {
	causes := make(chan error, 1)
	hang := func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			return nil
		}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	}
	a := &api{place: func(ctx context.Context, _ string) (string, error) { return "", hang(ctx) },
		feed: func(stream grpc.ServerStream) error { return hang(stream.Context()) }}
	r := start(t, a, nil, grpcserver.WithTimeLimit(50*time.Millisecond))
	_, err := call(t.Context(), r.conn, "")
	if status.Code(err) != codes.DeadlineExceeded || !errors.Is(<-causes, server.ErrTimeLimit) {
		t.Errorf("by the server's limit: %v", err)
	}
	if line := r.last(1); line["aborted"] != "deadline" || line["level"] != "WARN" {
		t.Errorf("the line is %v", line)
	}
	patient := start(t, a, nil, grpcserver.WithTimeLimit(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // a busy machine has to bring the call there
	defer cancel()
	if _, err = call(ctx, patient.conn, ""); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("by the caller's deadline: %v", err)
	}
	if cause := <-causes; errors.Is(cause, server.ErrTimeLimit) {
		t.Errorf("by the caller's deadline: the cause is %v", cause)
	}
	stream, err := open(t.Context(), r.conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
		t.Errorf("a stream has the limit of unary calls: %v", err)
	}
	all := start(t, a, nil, grpcserver.WithTimeLimits(func(method string, stream bool) time.Duration {
		if method != "orders.v1.Orders/Feed" || !stream {
			return 0
		}
		return 10 * time.Millisecond
	}))
	if _, err := call(t.Context(), all.conn, ""); err != nil {
		t.Errorf("a limit of streams: %v", err)
	}
	if stream, err = open(t.Context(), all.conn); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a stream with a limit: %v", err)
	}
}
