package server

import (
	"net/http"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sambatech/chassis/task"
)

// Propagate wraps a transport (nil for http.DefaultTransport): each request carries the
// id of its ctx's job, the trace, as [TimeoutHeader] the time that is left until the ctx's
// deadline, and as [PriorityHeader] its [RequestPriority] if that is not [Normal]. A header
// that the request has already is kept. The other service believes the priority with
// [WithPriorityHeader] alone.
//
//	client := &http.Client{Transport: mail.Transport(server.Propagate(nil))} // mail is a breaker
func Propagate(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return propagator{base}
}

type propagator struct{ base http.RoundTripper }

// CloseIdleConnections lets http.Client.CloseIdleConnections, and a breaker, reach the base.
func (p propagator) CloseIdleConnections() {
	if base, ok := p.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (p propagator) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	set := http.Header{}
	if id := RequestID(ctx); ValidID(id) && id != task.Unknown {
		set.Set(DefaultIDHeader, id)
	}
	if end, ok := ctx.Deadline(); ok {
		if left := time.Until(end); left > 0 {
			set.Set(TimeoutHeader, formatTimeout(left))
		}
	}
	if p := RequestPriority(ctx); p != Normal {
		set.Set(PriorityHeader, p.String())
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(set))
	var out *http.Request
	for name, values := range set {
		if _, given := r.Header[name]; given {
			continue
		}
		if out == nil {
			out = r.Clone(ctx) // a RoundTripper must not change the request
		}
		out.Header[name] = values
	}
	if out == nil {
		out = r
	}
	return p.base.RoundTrip(out)
}
