package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/server/internal/rare"
)

// System is what a server needs of a chassis: *chassis.System has it.
type System interface {
	Add(name string, part parts.Part, opts ...parts.Option)
	Logger(name string) *slog.Logger
	Ready(ctx context.Context) admin.Readiness
}

// Bounds of a server; [WithGRPC] sets others.
const (
	maxMetadata = 64 << 10         // bytes of a call's metadata; gRPC's own bound is 16 MiB
	maxCalls    = 1000             // at once on one connection
	handshake   = 10 * time.Second // of TLS and HTTP/2; gRPC's own bound is 120 s
)

// Server is a gRPC server as a part of a service. Make it with [Add]. It is a
// grpc.ServiceRegistrar, and what package reflection of gRPC registers on.
type Server struct {
	grpc *grpc.Server
	addr string // to listen on; "" with a listener of the service's own
	log  *slog.Logger
	// named: log writes the id of a call by itself, as job_id.
	named   bool
	config  config
	wrong   error // with the arguments of Add
	health  *health
	calls   calls
	conns   conns
	metrics *metrics        // nil: nothing is counted
	limiter *server.Limiter // nil: nothing is shed
	methods methods         // from Start on
	lines   atomic.Uint64
	sheds   rare.Line // lines of calls that were shed

	listener net.Listener
	shown    atomic.Pointer[string] // the listener's address
	started  atomic.Bool
	host     *parts.Host
	stopping context.Context // ends with the begin of Stop
	stop     context.CancelCauseFunc
	served   chan struct{} // closed when Serve has returned
}

// Add adds a gRPC server to a service. It listens on addr: "host:port", or
// "unix:/path/of.sock". It opens its listener before anything starts, serves once tasks
// are taken, and stops before they drain. Services are registered on it before the start.
//
// Mistakes in the address and the options are errors of the service's start.
func Add(sys System, addr string, opts ...Option) *Server {
	s := newServer(sys, opts)
	s.addr = addr
	if addr == "" {
		s.wrong = errors.Join(s.wrong, errors.New("the server has no address: give it one like \":9090\""))
	}
	s.add(sys, "grpc "+addr)
	return s
}

// AddOn is [Add] on a listener of the service's own, which the server closes.
func AddOn(sys System, l net.Listener, opts ...Option) *Server {
	s := newServer(sys, opts)
	name := "grpc"
	if l == nil {
		s.wrong = errors.Join(s.wrong, errors.New("the listener is nil"))
	} else {
		s.listener, name = l, "grpc "+l.Addr().String()
	}
	s.add(sys, name)
	return s
}

func (s *Server) add(sys System, name string) {
	sys.Add(name, s, slices.Concat([]parts.Option{parts.Serving()}, s.config.parts)...)
}

func newServer(sys System, opts []Option) *Server {
	s := &Server{log: sys.Logger("grpcserver"), health: newHealth(sys.Ready)}
	s.named = logger.NamesJobs(s.log.Handler())
	for _, o := range opts {
		if o != nil {
			o(&s.config)
		}
	}
	s.limiter = s.config.limiter
	if limits := s.config.limits; limits != nil {
		if limits.Name == "" {
			limits.Name = "grpc"
		}
		s.limiter, s.wrong = server.NewLimiter(*limits)
	}
	if r := s.config.registerer; r != nil && s.wrong == nil {
		s.metrics, s.wrong = newMetrics(r)
		if s.limiter != nil && s.wrong == nil {
			s.wrong = s.limiter.Register(r)
		}
	}
	s.grpc = grpc.NewServer(slices.Concat([]grpc.ServerOption{
		grpc.MaxHeaderListSize(maxMetadata), grpc.MaxConcurrentStreams(maxCalls), grpc.ConnectionTimeout(handshake),
		grpc.UnknownServiceHandler(unknown), // so that calls of what is not registered are seen
		grpc.ChainUnaryInterceptor(s.unary), grpc.ChainStreamInterceptor(s.stream),
	}, s.config.grpc)...)
	return s
}

// RegisterService implements grpc.ServiceRegistrar. It panics after the start, and if the
// name of the service is taken: gRPC itself would end the process.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, implementation any) {
	if s.started.Load() {
		panic(fmt.Sprintf("grpcserver: register %s: the server has started; register services before",
			desc.ServiceName))
	}
	if _, taken := s.grpc.GetServiceInfo()[desc.ServiceName]; taken {
		panic(fmt.Sprintf("grpcserver: register %s: there is a service of this name already", desc.ServiceName))
	}
	s.grpc.RegisterService(desc, implementation)
}

// GetServiceInfo returns the services that are registered.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo { return s.grpc.GetServiceInfo() }

// Detail implements parts.Detailer.
func (s *Server) Detail() string {
	if addr := s.shown.Load(); addr != nil {
		return "grpc on " + *addr
	}
	return ""
}

// Open implements parts.Opener.
func (s *Server) Open(ctx context.Context) error {
	if s.wrong != nil {
		return s.wrong
	}
	if s.listener == nil {
		l, err := parts.Listen(ctx, s.addr)
		if err != nil {
			return err
		}
		s.listener = l
	}
	addr := s.listener.Addr().String()
	s.shown.Store(&addr)
	return nil
}

// Start implements parts.Part.
func (s *Server) Start(_ context.Context, host *parts.Host) error {
	s.host, s.served = host, make(chan struct{})
	s.stopping, s.stop = context.WithCancelCause(context.Background())
	if _, own := s.grpc.GetServiceInfo()[healthpb.Health_ServiceDesc.ServiceName]; !own {
		healthpb.RegisterHealthServer(s.grpc, s.health)
	}
	s.started.Store(true)
	s.methods = newMethods(s.grpc.GetServiceInfo(), s.limiter)
	s.health.start(s.stopping, host.Draining, s.grpc.GetServiceInfo())
	go func() {
		defer close(s.served)
		err := s.grpc.Serve(&listener{s.listener, &s.conns})
		if s.stopping.Err() == nil {
			host.Ended(fmt.Errorf("serve gRPC on %s: %w", s.listener.Addr(), cmpErr(err)))
		}
	}()
	return nil
}

// cmpErr is the error of a server that has ended, which may be nil.
func cmpErr(err error) error {
	if err == nil {
		return grpc.ErrServerStopped
	}
	return err
}
