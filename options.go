package chassis

import (
	"io"
	"math/rand/v2"
	"net/http"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/envelope"
)

// Option gives a collaborator to [New].
type Option func(*options)

type options struct {
	settings  *Settings
	logs      []logger.Option
	def       bool
	actors    []actor.ConfigOption
	client    *sqs.Client
	server    *localsqs.Server
	metrics   prometheus.Gatherer
	adminWrap func(http.Handler) http.Handler
	around    []task.Middleware
	envelope  *envelope.Envelope
	tracing   trace.TracerProvider
	random    rand.Source // nil: math/rand/v2's own
	source    source      // nil: the program has made the settings
}

// WithSettings uses s and reads neither files nor the environment. The live page then does not show where a
// setting came from, and no file is followed; the option of [Load] does both.
func WithSettings(s Settings) Option { return func(o *options) { o.settings, o.source = &s, nil } }

// WithLogOutput writes the log to w instead of stdout.
func WithLogOutput(w io.Writer) Option { return WithLogOptions(logger.WithOutput(w)) }

// WithLogOptions passes opts to the logger.
func WithLogOptions(opts ...logger.Option) Option {
	return func(o *options) { o.logs = append(o.logs, opts...) }
}

// WithoutDefaultLogger leaves slog's default logger as it is. Without this option [New] sets it to the logger of
// the system.
func WithoutDefaultLogger() Option { return func(o *options) { o.def = false } }

// WithActorConfig passes opts to Proto.Actor.
func WithActorConfig(opts ...actor.ConfigOption) Option {
	return func(o *options) { o.actors = append(o.actors, opts...) }
}

// WithSQS uses client for the queue and ignores the section queue. The caller closes what is behind the client,
// after [System.Stop].
func WithSQS(client *sqs.Client) Option { return func(o *options) { o.client = client } }

// WithEmbedded uses server for the queue and ignores the section queue: for several systems on one queue. A long
// poll lasts receive_wait, and a stop waits for the one under way. The caller closes server, after [System.Stop].
func WithEmbedded(server *localsqs.Server) Option { return func(o *options) { o.server = server } }

// WithEnvelope seals and opens arguments by e: see task.Encrypted. Without it tasks.key_file and claim_folder do.
func WithEnvelope(e *envelope.Envelope) Option { return func(o *options) { o.envelope = e } }

// WithMetrics serves the metrics of g, the service's own registry, together with those of the chassis.
func WithMetrics(g prometheus.Gatherer) Option { return func(o *options) { o.metrics = g } }

// Metrics gathers what /metrics shows, with a live page or without, until the stop.
func (s *System) Metrics() prometheus.Gatherer { return s.console }

// WithAdminHandler puts wrap around the handler of the admin server, probes included: for a company's own identity
// (admin.WithIdentity), access logs, rate limits. The settings' tokens hold for requests without an identity.
func WithAdminHandler(wrap func(http.Handler) http.Handler) Option {
	return func(o *options) { o.adminWrap = wrap }
}

// WithTracing makes spans by tp of what is sent, received, run and settled, and of calls through breakers. Without it
// a trace context is passed on all the same, and there are no spans. The caller closes tp, after [System.Stop].
func WithTracing(tp trace.TracerProvider) Option { return func(o *options) { o.tracing = tp } }

// WithMiddleware wraps the handlers of all tasks, outside a task's own middleware (task.Use); the first is the
// outermost. task.Logging and task.Recovery stand around all of them. Task actors are not wrapped.
func WithMiddleware(mw ...task.Middleware) Option {
	return func(o *options) { o.around = append(o.around, mw...) }
}

// WithRandom draws the jitter of every wait from src, which [New] alone uses: of requests and their retries, of
// tasks, of breakers. Each part has a stream of its own, derived from src and its name, so a test that gives the same
// source gets the same waits. Without it, or with nil, math/rand/v2's own source is used. Ids are not drawn from src.
func WithRandom(src rand.Source) Option { return func(o *options) { o.random = src } }
