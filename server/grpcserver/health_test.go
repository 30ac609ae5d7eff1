package grpcserver_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/server/grpcserver"
)

const (
	serving    = healthpb.HealthCheckResponse_SERVING
	notServing = healthpb.HealthCheckResponse_NOT_SERVING
)

// watch follows a name, and returns the statuses and at last the error of the stream.
func (r *running) watch(name string) (<-chan healthpb.HealthCheckResponse_ServingStatus, <-chan error) {
	r.t.Helper()
	stream, err := healthpb.NewHealthClient(r.conn).Watch(context.Background(), &healthpb.HealthCheckRequest{Service: name})
	if err != nil {
		r.t.Fatal(err)
	}
	statuses, end := make(chan healthpb.HealthCheckResponse_ServingStatus, 100), make(chan error, 1)
	go func() {
		for {
			res, err := stream.Recv()
			if err != nil {
				end <- err
				return
			}
			statuses <- res.GetStatus()
		}
	}()
	return statuses, end
}

// becomes waits until a watch says want.
func becomes(t *testing.T, statuses <-chan healthpb.HealthCheckResponse_ServingStatus, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case got := <-statuses:
			if got == want {
				return
			}
		case <-limit:
			t.Fatalf("no %v within ten seconds", want)
		}
	}
}

// Health follows readiness: of the whole under "" and each service, of each check under
// its name.
func TestHealthFollowsReadiness(t *testing.T) {
	t.Parallel() // it waits in real time
	sys, log := newService(t, func(s *chassis.Settings) { s.Lifecycle.StopDelay = 3 * time.Second })
	var postgres, cache atomic.Bool
	up := func(is *atomic.Bool) func(context.Context) error {
		return func(context.Context) error {
			if is.Load() {
				return nil
			}
			return errors.New("no connection")
		}
	}
	sys.Check("postgres", up(&postgres), health.Every(10*time.Millisecond))
	sys.Check("cache", up(&cache), health.Every(10*time.Millisecond), health.ForInformation())
	postgres.Store(true)
	r := startOn(t, sys, log, echo())
	all, allEnd := r.watch("")
	orders, _ := r.watch("orders.v1.Orders")
	one, _ := r.watch("postgres")
	becomes(t, all, serving)
	becomes(t, orders, serving)
	becomes(t, one, serving)
	for name, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
		"": serving, "orders.v1.Orders": serving, "postgres": serving, "cache": notServing, "task_queues": serving,
	} {
		if got, err := r.check(name); got != want || err != nil {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	if _, err := r.check("no such name"); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown name: %v", err)
	}
	postgres.Store(false)
	becomes(t, all, notServing)
	becomes(t, orders, notServing)
	becomes(t, one, notServing)
	postgres.Store(true)
	becomes(t, all, serving)
	becomes(t, one, serving)

	stopped := make(chan error, 1)
	begun := time.Now()
	go func() { stopped <- sys.Stop(context.Background()) }()
	becomes(t, all, notServing)
	becomes(t, one, notServing)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("health says no %v after the stop began", took)
	}
	if got, err := call(t.Context(), r.conn, "in the delay"); got != "in the delay" || err != nil {
		t.Errorf("in the stop_delay: %q, %v", got, err)
	}
	if err := <-allEnd; status.Code(err) != codes.Unavailable || status.Convert(err).Message() != "the service is stopping" {
		t.Errorf("a watch ends with %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A service that has its own health service keeps it.
func TestTheServicesOwnHealth(t *testing.T) {
	sys, log := newService(t, nil)
	srv := grpcserver.Add(sys, "127.0.0.1:0")
	healthpb.RegisterHealthServer(srv, healthpb.UnimplementedHealthServer{})
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, sys: sys, srv: srv, log: log}
	r.conn = r.dial()
	if _, err := r.check(""); status.Code(err) != codes.Unimplemented {
		t.Errorf("the answer is %v", err)
	}
}

var _ grpc.ServiceRegistrar = (*grpcserver.Server)(nil)
