package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis/actors/lifecycle"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/parts"
)

// Config is what a [Server] is made of. Service must be there; what else is nil
// is left out of the page, the API and the metrics.
type Config struct {
	Settings Settings
	Service  Service
	Tasks    Tasks
	Dead     DeadLetters
	Breakers Breakers
	// Schedules shows and steers the schedules. Nil: there are none.
	Schedules Schedules
	Logs      Logs
	// Fleet knows the other processes of the service. Nil: there are none.
	Fleet Fleet

	// Queues returns the numbers of the queues that the service uses. They may be
	// some seconds old: each costs a request.
	Queues func(context.Context) []Queue

	// Checks returns the last results of the service's own checks, and Parts what runs
	// next to its tasks. Both cost nothing.
	Checks func() []health.Status
	Parts  func() []parts.Status

	// Explain returns the settings in force and where each came from.
	Explain func() []Setting

	// Actors counts what became of the actors of the process.
	Actors func() lifecycle.Counts

	// Metrics are the service's own, served together with ours. Nil: none.
	Metrics prometheus.Gatherer

	// Wrap goes around the whole handler, the probes included: for a company's
	// own identity ([WithIdentity]), rate limits, access logs. Nil: none. It
	// sees requests before their Host and Origin are judged.
	Wrap func(http.Handler) http.Handler

	// Logger gets what goes wrong. Nil: none.
	Logger *slog.Logger

	// Audit gets the commands that are given, and the logins that are refused.
	// Its level should be beyond the reach of those commands. Nil: Logger.
	Audit *slog.Logger
}

// Server serves one service. Make it with [New] and end it with [Server.Close].
type Server struct {
	cfg      Config
	log      *slog.Logger
	guard    *guard
	audit    *audit
	handler  http.Handler
	gatherer prometheus.Gatherer // of what /metrics shows
	hub      *hub
	conns    *conns
	listing  listing

	allBreakers sharing[Breaker]
	relay       *relay // to other members of the fleet

	listener net.Listener
	http     *http.Server
	served   chan struct{} // closed when the listener's goroutine has ended
	closed   atomic.Bool
}

// Limits of the HTTP server. A request of this API is small and answered soon.
const (
	maxHeader   = 16 << 10
	maxBody     = 64 << 10 // more than the ids of 1 000 dead letters
	readTimeout = 10 * time.Second
	writeLimit  = 90 * time.Second // going through a long dead-letter pool included
	idleTimeout = 2 * time.Minute
)

// New makes a server; its [Server.Handler] works, and [Server.Listen] opens a
// listener for it.
func New(cfg Config) (*Server, error) {
	if cfg.Service == nil {
		return nil, errors.New("admin: Config.Service is nil: there is nothing to serve")
	}
	if err := cfg.Settings.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Audit == nil {
		cfg.Audit = cfg.Logger
	}
	host, _, _ := net.SplitHostPort(cfg.Settings.listen()) // validated
	s := &Server{cfg: cfg, log: cfg.Logger, audit: &audit{log: cfg.Audit}, conns: newConns(maxConns, maxPeer)}
	s.guard = newGuard(cfg.Settings, isLoopback(host), s.audit, s.conns)
	metrics, err := s.metricsHandler()
	if err != nil {
		return nil, fmt.Errorf("admin: the metrics: %w", err)
	}
	s.hub = newHub(s)
	routes := s.routes(metrics)
	s.relay = newRelay(routes, s.guard.creds.Load, cfg.Settings.TLS)
	s.handler = s.guard.wrap(routes)
	if cfg.Wrap != nil {
		s.handler = cfg.Wrap(s.handler)
	}
	return s, nil
}

// Apply puts the tokens and ShowBodies of set in force. Requests under way go on.
// A stream ends at its next frame if its token is no longer in force. Wrong
// settings change nothing and are an error.
func (s *Server) Apply(set Settings) error {
	if err := set.Validate(); err != nil {
		return err
	}
	set.TLS = s.cfg.Settings.TLS // needs a restart
	s.guard.creds.Store(newCredentials(set))
	return nil
}

func (s *Server) routes(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	g := s.guard
	get := func(path string, h handler) { mux.Handle("GET "+path, g.need(ScopeRead, s.answer(h))) }
	post := func(path string, h handler) { mux.Handle("POST "+path, g.need(ScopeOperate, s.command(h))) }

	mux.Handle("GET /", page())
	mux.Handle("GET /livez", s.probe(s.livez))
	mux.Handle("GET /readyz", s.probe(s.readyz))
	mux.Handle("GET /readyz/{name}", s.probe(s.readyzOne))
	mux.Handle("GET /startupz", s.probe(s.startupz))
	if s.cfg.Settings.OpenMetrics {
		mux.Handle("GET /metrics", g.served(metrics))
	} else {
		mux.Handle("GET /metrics", g.need(ScopeRead, g.served(metrics)))
	}
	if s.cfg.Settings.PProf {
		mux.Handle("GET /debug/pprof/", g.need(ScopeOperate, g.served(profiles())))
	}
	get("/api/v1/me", s.getClient)
	get("/api/v1/state", s.getState)
	mux.Handle("GET /api/v1/stream", g.need(ScopeRead, g.served(http.HandlerFunc(s.stream))))
	if s.cfg.Tasks != nil {
		get("/api/v1/executions", s.getExecutions)
		post("/api/v1/executions/cancel", does(s.cancelExecution))
		post("/api/v1/executions/snooze", does(s.snoozeExecution))
		post("/api/v1/tasks/pause", does(s.pause))
		post("/api/v1/tasks/resume", does(s.resume))
	}
	if s.cfg.Dead != nil {
		get("/api/v1/dead", s.getDead)
		post("/api/v1/dead/back", s.sendBack)
		post("/api/v1/dead/delete", s.deleteDead)
	}
	if s.cfg.Breakers != nil {
		get("/api/v1/breakers", s.getBreakers)
		get("/api/v1/transitions", s.getTransitions)
		post("/api/v1/breakers/force", does(s.forceBreaker))
		post("/api/v1/breakers/reset", does(s.resetBreaker))
	}
	if s.cfg.Schedules != nil {
		get("/api/v1/schedules", s.getSchedules)
		post("/api/v1/schedules/run", does(s.runSchedule))
		post("/api/v1/schedules/pause", does(s.pauseSchedule))
		post("/api/v1/schedules/resume", does(s.resumeSchedule))
	}
	if s.cfg.Fleet != nil {
		get("/api/v1/fleet", s.getFleet)
		get("/api/v1/fleet/{member}/{part}", s.getMember)
		post("/api/v1/fleet/do", does(s.doFleet))
	}
	if s.cfg.Logs != nil {
		get("/api/v1/log", s.getLog)
		post("/api/v1/log/level", does(s.setLevel))
	}
	if s.cfg.Explain != nil {
		get("/api/v1/settings", s.getSettings)
	}
	return mux
}

// Handler returns the whole handler, with the checks of clients.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen opens the listener and serves on it until [Server.Close]. It may be
// called once.
func (s *Server) Listen() error {
	config, err := newTLS(s.cfg.Settings.TLS)
	if err != nil {
		return err
	}
	l, err := s.cfg.Settings.open()
	if err != nil {
		return err
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	s.listener, s.served = l, make(chan struct{})
	s.http = &http.Server{
		Handler: s.handler, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeLimit, IdleTimeout: idleTimeout,
		ConnState: s.conns.watch, ConnContext: withConn,
		ErrorLog: log.New(&errorLog{log: s.log}, "", 0),
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the admin server has ended", "address", l.Addr().String(), "error", err)
		}
	}()
	return nil
}

func (s Settings) open() (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", s.listen())
	if err == nil {
		return l, nil
	}
	if s.Listen == "" { // any port will do
		if l, other := lc.Listen(context.Background(), "tcp", "127.0.0.1:0"); other == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("admin: listen on %s: %w; choose another address with admin.listen, or off", s.listen(),
		err)
}

// URL is where the page is, or "" before [Server.Listen]. A listener on all
// interfaces is named by the loopback address.
func (s *Server) URL() string {
	if s.listener == nil {
		return ""
	}
	addr := s.listener.Addr().String()
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			addr = net.JoinHostPort("127.0.0.1", port)
		}
	}
	scheme := "http://"
	if s.cfg.Settings.TLS.CertFile != "" {
		scheme = "https://"
	}
	return scheme + addr + "/"
}

// Close ends the viewers' streams and the connections without a request, lets
// other requests end until ctx does, and closes the listener. It may be called more than once.
func (s *Server) Close(ctx context.Context) error {
	if s.closed.Swap(true) {
		return nil
	}
	s.hub.close()
	s.relay.close()
	if s.http == nil {
		return nil
	}
	s.conns.end()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("admin: requests had not ended: %w", err), s.http.Close())
	}
	<-s.served
	return err
}
