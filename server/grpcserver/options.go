package grpcserver

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/server"
)

// Option changes a server.
type Option func(*config)

// config is what the options have set. It is not changed once the server is made.
type config struct {
	grpc  []grpc.ServerOption
	parts []parts.Option

	believeIDs func(context.Context) bool // nil: always
	level      func(*Call) slog.Level     // nil: DefaultLevel
	sample     uint64                     // one in so many lines below WARN; 0: all

	registerer prometheus.Registerer
	timeLimit  func(method string, stream bool) time.Duration

	limiter        *server.Limiter
	limits         *server.Limits
	priority       func(ctx context.Context, method string) server.Priority
	headerPriority *server.Priority // highest that metadata is believed; nil: none
}

// WithGRPC passes options to grpc.NewServer: certificates (grpc.Creds), sizes, the
// service's own interceptors, which run inside of the chassis' own, and a stats handler
// like that of otelgrpc: ids and tasks then follow its span. An option of the service
// wins over a default of this package.
func WithGRPC(opts ...grpc.ServerOption) Option {
	return func(c *config) { c.grpc = append(c.grpc, opts...) }
}

// WithPart passes options to the part: a name, another time at the stop.
func WithPart(opts ...parts.Option) Option {
	return func(c *config) { c.parts = append(c.parts, opts...) }
}

// WithBelievedIDs takes ids and trace contexts only from calls for which believe says
// so (the peer is in ctx), and gives the others a new id. By default every valid id is
// taken: a stranger can then choose the job_id of its own calls, and nothing else.
func WithBelievedIDs(believe func(ctx context.Context) bool) Option {
	return func(c *config) { c.believeIDs = believe }
}

// NoLine is the level of an access-log line that is not written.
const NoLine = slog.Level(math.MinInt32)

// WithLevel lets level choose the level of a call's line, or [NoLine]. The default is
// [DefaultLevel]. It runs at the end of every call.
func WithLevel(level func(*Call) slog.Level) Option { return func(c *config) { c.level = level } }

// WithSample writes one in n of the lines below WARN; the others are counted by the
// metrics alone. A line that stands for several has "sampled".
func WithSample(n int) Option { return func(c *config) { c.sample = uint64(max(n, 0)) } }

// WithRegisterer registers the metrics: on the registry that goes to
// chassis.WithMetrics, or on prometheus.DefaultRegisterer. Without it nothing is
// counted. Servers of gRPC and HTTP may share a registry.
func WithRegisterer(r prometheus.Registerer) Option { return func(c *config) { c.registerer = r } }

// WithTimeLimit ends the ctx of a unary call after d, or earlier if its caller has an
// earlier deadline. Streams have the deadline of their caller alone.
func WithTimeLimit(d time.Duration) Option {
	return WithTimeLimits(func(_ string, stream bool) time.Duration {
		if stream {
			return 0
		}
		return d
	})
}

// WithTimeLimits is [WithTimeLimit] with a limit by method ("orders.v1.Orders/Place"), for
// streams too. 0 leaves the deadline of the caller.
func WithTimeLimits(limit func(method string, stream bool) time.Duration) Option {
	return func(c *config) { c.timeLimit = limit }
}

// WithShedding bounds the calls that run at once by a limiter of its own, by default
// with the name "grpc". A call that is shed gets Unavailable, with a RetryInfo and the
// pushback that gRPC's own retries obey. A stream needs a place to begin, and holds none.
func WithShedding(l server.Limits) Option { return func(c *config) { c.limits = &l } }

// WithLimiter is [WithShedding] with a limiter that several servers share, of HTTP too.
func WithLimiter(l *server.Limiter) Option { return func(c *config) { c.limiter = l } }

// WithPriority lets priority say which calls are shed first. It is not asked for calls
// of the health service, which are never shed.
func WithPriority(priority func(ctx context.Context, method string) server.Priority) Option {
	return func(c *config) { c.priority = priority }
}

// WithPriorityHeader believes the metadata of server.PriorityHeader up to the priority
// most. Without it the metadata means nothing: any stranger can send it.
func WithPriorityHeader(most server.Priority) Option {
	return func(c *config) { most := min(most, server.Operator); c.headerPriority = &most }
}
