package grpcserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/sambatech/chassis/server"
)

// Keys of metadata: the headers of HTTP in the form of gRPC.
var (
	idKey       = strings.ToLower(server.DefaultIDHeader)
	priorityKey = strings.ToLower(server.PriorityHeader)
)

// only returns the value of a key of metadata, if there is exactly one.
func only(ctx context.Context, key string) string {
	if all := metadata.ValueFromIncomingContext(ctx, key); len(all) == 1 {
		return all[0]
	}
	return ""
}

// identified returns the id of a call, and a ctx with the trace of its caller: of its
// metadata, else of its trace, else a new id.
func identified(ctx context.Context, believe bool) (context.Context, string) {
	sc := trace.SpanContextFromContext(ctx) // of a stats handler
	if believe {
		if !sc.IsValid() {
			if sc = traceOf(ctx); sc.IsValid() {
				ctx = trace.ContextWithRemoteSpanContext(ctx, sc)
			}
		}
		if id := only(ctx, idKey); server.ValidID(id) {
			return ctx, id
		}
	}
	if sc.IsValid() {
		return ctx, sc.TraceID().String()
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails: see its documentation
	return ctx, hex.EncodeToString(random[:])
}

// traceOf returns the trace context of the metadata; what is malformed counts as absent.
func traceOf(ctx context.Context) trace.SpanContext {
	parent := only(ctx, "traceparent")
	if parent == "" || len(parent) > server.MaxID {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{"traceparent": parent}
	if state := only(ctx, "tracestate"); state != "" {
		carrier["tracestate"] = state
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}
