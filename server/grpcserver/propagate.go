package grpcserver

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/task"
)

// Propagate returns options of a client's connection: each call carries the id of its
// ctx's job, the trace, and server.RequestPriority if it is not normal. The time that is
// left gRPC carries itself. Metadata that the call has already is kept.
//
//	conn, err := grpc.NewClient("dns:///stock:9090", append(grpcserver.Propagate(), grpc.WithTransportCredentials(creds))...)
func Propagate() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
			call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return call(propagated(ctx), method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn,
			method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return stream(propagated(ctx), desc, cc, method, opts...)
		}),
	}
}

func propagated(ctx context.Context) context.Context {
	set := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, set)
	if id := server.RequestID(ctx); server.ValidID(id) && id != task.Unknown {
		set[idKey] = id
	}
	if p := server.RequestPriority(ctx); p != server.Normal {
		set[priorityKey] = p.String()
	}
	given, _ := metadata.FromOutgoingContext(ctx)
	var add []string
	for key, value := range set {
		if len(given.Get(key)) == 0 {
			add = append(add, key, value)
		}
	}
	if len(add) == 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, add...)
}
