package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a [Server] is made of. Service must be there; what else is nil
// is left out of the page, the API and the metrics.
type Config struct {
	Settings Settings
	Service  Service
	Queues   Queues
	Tasks    Tasks
	Dead     DeadLetters
	Breakers Breakers
	Logs     Logs
	Explain  Explained

	// Actors counts what became of the actors of the process. Nil: not shown.
	Actors func() Actors

	// Metrics are the service's own, served beside ours. Nil: none.
	Metrics prometheus.Gatherer

	// Logger gets the commands that are given, and what goes wrong. Nil: none.
	Logger *slog.Logger
}

// Server serves one service. Make it with [New] and end it with [Server.Close].
type Server struct {
	cfg      Config
	log      *slog.Logger
	guard    guard
	handler  http.Handler
	hub      *hub
	conns    *conns
	listing  listing
	listener net.Listener
	http     *http.Server
	served   chan struct{} // closed when the listener's goroutine has ended
	closed   atomic.Bool
}

// Limits of the HTTP server. A request of this API is small and answered soon.
const (
	maxHeader   = 16 << 10
	maxBody     = 256 << 10 // the ids of 1 000 dead letters, and to spare
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
	host, _, _ := net.SplitHostPort(cfg.Settings.listen()) // validated
	s := &Server{cfg: cfg, log: cfg.Logger, guard: newGuard(cfg.Settings, isLoopback(host)), conns: newConns(maxConns)}
	metrics, err := s.metrics()
	if err != nil {
		return nil, fmt.Errorf("admin: the metrics: %w", err)
	}
	s.hub = newHub(s)
	s.handler = s.guard.wrap(s.routes(metrics))
	return s, nil
}

func (s *Server) routes(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	token, open := s.guard.token, func(h http.Handler) http.Handler { return h }
	get := func(path string, h handler) { mux.Handle("GET "+path, token(s.answer(h))) }
	post := func(path string, h handler) { mux.Handle("POST "+path, token(s.command(h))) }

	mux.Handle("GET /", page())
	mux.HandleFunc("GET /livez", s.livez)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /startupz", s.startupz)
	if s.cfg.Settings.OpenMetrics {
		mux.Handle("GET /metrics", open(metrics))
	} else {
		mux.Handle("GET /metrics", token(metrics))
	}
	if s.cfg.Settings.PProf {
		mux.Handle("GET /debug/pprof/", token(profiles()))
	}
	get("/api/v1/state", s.getState)
	mux.Handle("GET /api/v1/stream", token(http.HandlerFunc(s.stream)))
	if s.cfg.Tasks != nil {
		get("/api/v1/executions", s.getExecutions)
		post("/api/v1/executions/cancel", s.cancelExecution)
		post("/api/v1/executions/snooze", s.snoozeExecution)
		post("/api/v1/tasks/pause", s.pause)
		post("/api/v1/tasks/resume", s.resume)
	}
	if s.cfg.Dead != nil {
		get("/api/v1/dead", s.getDead)
		post("/api/v1/dead/back", s.sendBack)
		post("/api/v1/dead/delete", s.deleteDead)
	}
	if s.cfg.Breakers != nil {
		get("/api/v1/transitions", s.getTransitions)
		post("/api/v1/breakers/force", s.forceBreaker)
		post("/api/v1/breakers/reset", s.resetBreaker)
	}
	if s.cfg.Logs != nil {
		get("/api/v1/log", s.getLog)
		post("/api/v1/log/level", s.setLevel)
	}
	if s.cfg.Explain != nil {
		get("/api/v1/settings", s.getSettings)
	}
	return mux
}

// Handler is the whole of it, guard included.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen opens the listener and serves on it until [Server.Close]. It may be
// called once.
func (s *Server) Listen() error {
	l, err := s.cfg.Settings.open()
	if err != nil {
		return err
	}
	s.listener, s.served = l, make(chan struct{})
	s.http = &http.Server{
		Handler: s.handler, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeLimit, IdleTimeout: idleTimeout,
		ConnState: s.conns.watch,
		ErrorLog:  slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
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
	if s.Listen == "" { // nobody asked for that port
		if l, other := lc.Listen(context.Background(), "tcp", "127.0.0.1:0"); other == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("admin: listen on %s: %w; choose another address with admin.listen, or off", s.listen(), err)
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
	return "http://" + addr + "/"
}

// Close ends the viewers' streams and the connections without a request, lets
// other requests end until ctx does, and closes the listener. It may be called more than once.
func (s *Server) Close(ctx context.Context) error {
	if s.closed.Swap(true) {
		return nil
	}
	s.hub.close()
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
