// Package grpcserver serves gRPC as a part of a service. It stands next to the core,
// which does not import it, and gives a call what package server gives a request of HTTP.
//
//	sys := chassis.MustNew("orders", chassis.WithMetrics(registry))
//
//	srv := grpcserver.Add(sys, ":9090", grpcserver.WithRegisterer(registry),
//		grpcserver.WithTimeLimit(10*time.Second), grpcserver.WithShedding(server.Limits{}))
//	orders.RegisterOrdersServer(srv, &api{sys: sys})
//
//	func (a *api) Place(ctx context.Context, r *orders.PlaceRequest) (*orders.PlaceReply, error) {
//		slog.InfoContext(ctx, "placing") // job_id is the call's id, job_name "orders.v1.Orders/Place"
//		_, err := chassis.Send(ctx, a.sys, Invoice, InvoiceArgs{...}) // the task belongs to the same job
//		...
//	}
//
// # The surface
//
//	Add(System, address, ...Option)   a server that starts and stops with the service
//	AddOn(System, listener, ...)      the same on a listener of the service's own
//	Server                            a grpc.ServiceRegistrar: services are registered on it before the start
//	Propagate                         options of a client: the id, the trace and the time go on to other services
//
// # Health
//
// The server has grpc.health.v1.Health. The name "" and that of each registered service
// follow the readiness of the system, at most a second later; each component of /readyz
// has its own name, like "postgres". A stop makes all of them NOT_SERVING at once. A
// Watch ends with the server. A service that registers a health service itself keeps it.
//
// # The stop
//
// Health says NOT_SERVING; after stop_delay the listener is closed, clients get a
// GOAWAY, and calls under way have server_timeout. Then their ctx ends with
// parts.ErrStopping, a second later their connections are closed, and the error of the
// stop names them. A stream that should end in its own way waits for
// parts.Stopping(stream.Context()). Connections that send nothing do not hold the stop.
//
// # Who owns what
//
// Each call is one value, which holds its ctx. A [Server] owns its listener, the calls
// under way and the goroutine that follows readiness. All of it is safe for several
// goroutines.
//
// # What strangers control
//
// An id has at most server.MaxID bytes of a short list of characters. Labels of metrics
// are the registered methods, "_OTHER", and codes. Metadata has at most 64 KiB, a message
// gRPC's 4 MiB, a connection 1 000 calls at once, a handshake 10 s.
//
// # Debugging and tests
//
// The live page shows the part and its address; a line of the log shows each call, under
// "grpcserver". To test a service use [AddOn] with a bufconn listener.
package grpcserver
