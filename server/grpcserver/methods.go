package grpcserver

import (
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/sambatech/chassis/server"
)

// other is the label of a method that is not registered, and of a code that does not exist.
const other = "_OTHER"

// method is what is kept for one registered method.
type method struct {
	label string // "orders.v1.Orders/Place": rpc.method, and the job name
	probe bool   // of the health service
	class int    // of the limit's latencies

	observers [len(codeNames)]atomic.Pointer[prometheus.Observer]
}

// methods are the registered ones, by their path. The table does not change.
type methods struct {
	all     map[string]*method
	unknown *method
}

func newMethods(services map[string]grpc.ServiceInfo, l *server.Limiter) methods {
	class := func() int {
		if l == nil {
			return 0
		}
		return l.NewClass()
	}
	m := methods{map[string]*method{}, &method{label: other, class: class()}}
	for service, info := range services {
		for _, one := range info.Methods {
			m.all["/"+service+"/"+one.Name] = &method{label: service + "/" + one.Name, class: class(),
				probe: service == healthpb.Health_ServiceDesc.ServiceName}
		}
	}
	return m
}

// find returns the method of a path, which a stranger may have made up.
func (m *methods) find(path string) *method {
	if one := m.all[path]; one != nil {
		return one
	}
	return m.unknown
}

// observe counts the end of a call.
func (m *metrics) observe(one *method, code codes.Code, seconds float64) {
	if int(code) >= len(codeNames) {
		m.duration.WithLabelValues(one.label, other).Observe(seconds)
		return
	}
	known := one.observers[code].Load()
	if known == nil {
		o := m.duration.WithLabelValues(one.label, codeName(code))
		known = &o
		one.observers[code].Store(known)
	}
	(*known).Observe(seconds)
}

// unknown answers a call of what is not registered.
func unknown(_ any, stream grpc.ServerStream) error {
	path, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "the server has no method %s", strings.TrimPrefix(path, "/"))
}
