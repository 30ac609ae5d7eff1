package server

import (
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// System is what the middleware needs of a chassis: *chassis.System has it.
type System interface {
	// Logger returns the logger of a name.
	Logger(name string) *slog.Logger
}

// Option changes the middleware. An option of a piece that is not in use does nothing.
type Option func(*config)

// config is what the options have set. It is not changed once a handler has it.
type config struct {
	log   *slog.Logger
	named bool // log writes the id itself, as job_id: it is the chassis' own

	ids       bool // the pieces
	access    bool
	recovers  bool
	deadlines bool

	idHeader   string
	believeIDs func(*http.Request) bool // nil: always
	routes     func(*http.Request) string

	level   func(*Access) slog.Level // nil: levelOf
	sample  uint64                   // one in so many lines below WARN; 0: all
	proxies []netip.Prefix

	registerer prometheus.Registerer

	timeLimit func(*http.Request) time.Duration
	early     bool // a function of the service's may read r.Pattern before the mux has set it

	limiter        *Limiter
	limits         *Limits
	priority       func(*http.Request) Priority
	probe          func(*http.Request) bool
	headerPriority *Priority // highest that a header is believed; nil: none
}

// WithRoutes lets pattern say which route a request will take, before the handlers:
// for routers other than http.ServeMux, and where middleware of the service's own
// stands between this one and the mux. It must return patterns, not paths: each is a
// value of a metric's label. With chi:
//
//	server.WithRoutes(func(r *http.Request) string {
//		return router.Find(chi.NewRouteContext(), r.Method, r.URL.Path)
//	})
func WithRoutes(pattern func(*http.Request) string) Option {
	return func(c *config) { c.routes = pattern }
}

// WithMux is [WithRoutes] for a mux of net/http. It is not needed where the
// middleware stands right before the mux.
func WithMux(mux *http.ServeMux) Option { return WithRoutes(muxRoutes(mux)) }

// WithIDHeader names the header of the request id; default [DefaultIDHeader].
func WithIDHeader(name string) Option {
	return func(c *config) { c.idHeader = http.CanonicalHeaderKey(name) }
}

// WithBelievedIDs takes ids and trace contexts only from requests for which believe
// says so, and gives the others a new id. By default every valid id is taken: a
// stranger can then choose the job_id of its own requests, and nothing else.
func WithBelievedIDs(believe func(*http.Request) bool) Option {
	return func(c *config) { c.believeIDs, c.early = believe, true }
}

// WithTrustedProxies names the networks of the service's own proxies. Of a request
// from one of them the access log has the client's address of X-Forwarded-For.
func WithTrustedProxies(networks ...netip.Prefix) Option {
	return func(c *config) { c.proxies = append(c.proxies, networks...) }
}

// NoLine is the level of an access-log line that is not written.
const NoLine = slog.Level(math.MinInt32)

// WithLevel lets level choose the level of an access-log line, or [NoLine]. The
// default is [DefaultLevel]. It runs in the middle of every request.
func WithLevel(level func(*Access) slog.Level) Option {
	return func(c *config) { c.level = level }
}

// WithSample writes one in n of the access-log lines below WARN; the others are
// counted by the metrics alone. A line that stands for several has "sampled".
func WithSample(n int) Option {
	return func(c *config) { c.sample = uint64(max(n, 0)) }
}

// WithRegisterer registers the metrics: on the registry that goes to
// chassis.WithMetrics, or on prometheus.DefaultRegisterer. Without it nothing is
// counted. Several servers may share a registry.
func WithRegisterer(r prometheus.Registerer) Option {
	return func(c *config) { c.registerer = r }
}

// WithTimeLimit ends the ctx of a request after d, or earlier if its caller says by
// [TimeoutHeader] or grpc-timeout that it waits for less. A handler that then ends
// without an answer has answered 504.
func WithTimeLimit(d time.Duration) Option {
	return func(c *config) { c.timeLimit = func(*http.Request) time.Duration { return d } }
}

// WithTimeLimits is [WithTimeLimit] with a limit by request; r.Pattern is its route.
// 0 sets no limit, and takes none of the caller: for streams and websockets.
func WithTimeLimits(limit func(r *http.Request) time.Duration) Option {
	return func(c *config) { c.timeLimit, c.early = limit, true }
}

// WithShedding bounds the requests that run at once by a [Limiter] of its own.
func WithShedding(l Limits) Option { return func(c *config) { c.limits = &l } }

// WithLimiter is [WithShedding] with a limiter that several servers share, or that
// the service looks at.
func WithLimiter(l *Limiter) Option { return func(c *config) { c.limiter = l } }

// WithPriority lets priority say which requests are shed first; r.Pattern is the
// route. It is not asked for probes.
func WithPriority(priority func(r *http.Request) Priority) Option {
	return func(c *config) { c.priority, c.early = priority, true }
}

// WithPriorityHeader believes [PriorityHeader], up to the priority most. Without it
// the header means nothing: any stranger can send it. [Probe] counts as [Operator].
func WithPriorityHeader(most Priority) Option {
	return func(c *config) { most := min(most, Operator); c.headerPriority = &most }
}

// WithProbes says which requests are probes: they are never shed, and logged only if
// they fail. The default is GET and HEAD of /livez, /readyz, /startupz, /healthz,
// /health and /ping. The limit does not hold them back, so a probe must cost little.
func WithProbes(probe func(*http.Request) bool) Option {
	return func(c *config) { c.probe, c.early = probe, true }
}
