// Package server is middleware for net/http: what a service wants around its handlers.
// It stands by the core, which does not import it.
//
//	registry := prometheus.NewRegistry()
//	sys := chassis.MustNew("orders", chassis.WithMetrics(registry))
//
//	mux := http.NewServeMux()
//	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
//		slog.InfoContext(r.Context(), "reading") // job_id is the request's id, job_name "GET /orders/{id}"
//		_, err := chassis.Send(r.Context(), sys, Invoice, InvoiceArgs{...}) // the task belongs to the same job
//	})
//	around := server.Middleware(sys, server.WithRegisterer(registry),
//		server.WithTimeLimit(10*time.Second), server.WithShedding(server.Limits{}))
//	sys.Serve(&http.Server{Addr: ":8080", Handler: around(mux)})
//
// # The surface
//
//	Middleware(System, ...Option)   all pieces
//	RequestIDs                      X-Request-Id, traceparent, the job of records and tasks
//	AccessLog                       one line a request
//	Metrics                         http_server_request_duration_seconds, http_server_active_requests
//	Recover                         a panic is a record and a 500
//	TimeLimits                      the ctx ends by an option, or by the caller's header
//	Shed(*Limiter)                  503 where more requests come than can be done in time
//	RequestID(ctx), Propagate       the id, and how it goes on to other services
//	RequestPriority(ctx)            what is shed last, here and there
//	HandlerFunc, Problem            handlers that return an error, and answers that say what is wrong (RFC 9457)
//	ReadJSON, WriteJSON             bodies
//
// # Who owns what
//
// Each request is one value, made for it and not used again: it holds the ctx that names
// the job and the writer that handlers get. A [Limiter] owns the requests in flight and
// those that wait, under a lock that is never held while a handler runs; its decisions
// are a pure function of latencies and times (package internal/limit). There is no goroutine.
//
// All of the package may be used from several goroutines.
//
// # What strangers control
//
// A request id has at most [MaxID] bytes of a short list of characters. Labels of
// metrics are the methods of OpenTelemetry's conventions, patterns and statuses, never a
// path or a header. A priority by header is believed only with [WithPriorityHeader], an
// address by header only from [WithTrustedProxies]. A caller's timeout only shortens.
//
// # Debugging
//
// [Limiter.Stats] says what the limit is and how many were shed; so do the metrics
// chassis_server_limit, _in_flight, _waiting and _shed_total. Of the requests that are
// shed one a second has a line, with the number of the others.
//
// # Testing
//
// Middleware(nil) logs to slog.Default; package httptest does the rest. The limiter
// uses the clock of a testing/synctest bubble.
package server
