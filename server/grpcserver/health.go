package grpcserver

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/sambatech/chassis/admin"
)

// How often health looks at the readiness of the service.
const (
	healthEvery = time.Second
	healthSoon  = 50 * time.Millisecond // until it has been ready once
)

// health is grpc.health.v1.Health of a service: gRPC's own server of it, which one
// goroutine keeps as readiness is.
type health struct {
	*grpchealth.Server
	ready    func(context.Context) admin.Readiness
	stopping context.Context // ends with the begin of the server's stop
	work     sync.WaitGroup
}

func newHealth(ready func(context.Context) admin.Readiness) *health {
	return &health{Server: grpchealth.NewServer(), ready: ready}
}

// start follows readiness until stopping ends; with the end of draining all is
// NOT_SERVING for good.
func (h *health) start(stopping, draining context.Context, services map[string]grpc.ServiceInfo) {
	h.stopping = stopping
	for name := range services {
		h.SetServingStatus(name, healthpb.HealthCheckResponse_NOT_SERVING)
	}
	h.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	h.work.Go(func() {
		defer context.AfterFunc(draining, h.Shutdown)()
		every := healthSoon
		for {
			if h.look(services) {
				every = healthEvery
			}
			wait := time.NewTimer(every)
			select {
			case <-wait.C:
			case <-draining.Done():
				wait.Stop()
				h.Shutdown()
				return
			case <-stopping.Done():
				wait.Stop()
				h.Shutdown()
				return
			}
		}
	})
}

// look sets all statuses as readiness is now, and reports whether it says yes.
func (h *health) look(services map[string]grpc.ServiceInfo) bool {
	r := h.ready(h.stopping)
	for _, c := range r.Components {
		if _, taken := services[c.Name]; !taken && c.Name != "service" && c.Name != "" {
			h.SetServingStatus(c.Name, serving(c.OK))
		}
	}
	ok := serving(r.OK())
	for name := range services {
		h.SetServingStatus(name, ok)
	}
	h.SetServingStatus("", ok)
	return r.OK()
}

func serving(ok bool) healthpb.HealthCheckResponse_ServingStatus {
	if ok {
		return healthpb.HealthCheckResponse_SERVING
	}
	return healthpb.HealthCheckResponse_NOT_SERVING
}

// Watch implements the service. It ends when the stop of the server begins, which it
// would hold.
func (h *health) Watch(r *healthpb.HealthCheckRequest, stream healthpb.Health_WatchServer) error {
	ctx, end := context.WithCancel(stream.Context())
	defer end()
	defer context.AfterFunc(h.stopping, end)()
	err := h.Server.Watch(r, watch{stream, ctx})
	if h.stopping.Err() != nil && stream.Context().Err() == nil {
		return status.Error(codes.Unavailable, "the service is stopping")
	}
	return err
}

// watch is a stream with another ctx.
type watch struct {
	healthpb.Health_WatchServer
	ctx context.Context
}

func (w watch) Context() context.Context { return w.ctx }
