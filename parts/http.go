package parts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Server is the part of an HTTP server. Make it with [HTTP].
type Server struct {
	server   *http.Server
	scheme   string // http, or https with certificates
	wrong    error  // with the arguments of HTTP
	handler  http.Handler
	listener net.Listener
	addr     atomic.Pointer[string] // of the listener

	requests requests
	conns    conns
	host     *Host
	stopping context.Context // ends with the begin of Stop
	stop     context.CancelCauseFunc
	all      context.Context // that every request's ctx is made of
	cut      context.CancelCauseFunc
	served   chan struct{} // closed when Serve has returned
}

// HTTP returns the part of a server, which is the part's from here on: it is not to be
// started or shut down by others. It listens on l or, if that is nil, on server.Addr:
// "host:port", or "unix:/path/of.sock" for a unix socket; the file of a socket that no
// process listens on is replaced. With certificates in server.TLSConfig it speaks TLS, and
// HTTP/2 there.
//
// Where the server has no limits of its own it gets a ReadHeaderTimeout of 10 s and an
// IdleTimeout of 2 min. Its errors go to the part's logger if it has no ErrorLog.
//
// At the stop it closes its listeners, and lets requests end. A GET of an EventSource
// (Accept: text/event-stream) sees its ctx end at once, because it would not end by
// itself; the browser connects to another process. Other requests, and connections
// that a handler has taken over (a WebSocket), have the setting server_timeout; see
// [Stopping] to end them earlier. Then their ctx ends, a second later they are closed,
// and the error names them.
func HTTP(l net.Listener, server *http.Server) *Server {
	s := &Server{listener: l, server: server, scheme: "http"}
	if server == nil {
		s.server, s.wrong = &http.Server{}, errors.New("the server is nil")
	}
	c := s.server.TLSConfig
	if c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil) {
		s.scheme = "https"
	}
	return s
}

// Defaults of a server that has no limits.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
)

// Name returns a name for the part: the scheme and the address.
func (s *Server) Name() string {
	addr := s.server.Addr
	if s.listener != nil {
		addr = s.listener.Addr().String()
	}
	if addr == "" {
		addr = ":" + s.scheme
	}
	return s.scheme + " " + addr
}

// Detail returns the address that the server listens on.
func (s *Server) Detail() string {
	if addr := s.addr.Load(); addr != nil {
		return s.scheme + " on " + *addr
	}
	return ""
}

// Open implements [Opener].
func (s *Server) Open(ctx context.Context) error {
	l, err := s.listener, s.wrong
	if err != nil {
		return err
	}
	if l == nil {
		addr := s.server.Addr
		if addr == "" {
			addr = ":" + s.scheme
		}
		if l, err = Listen(ctx, addr); err != nil {
			return err
		}
	}
	s.listener = l
	addr := l.Addr().String()
	s.addr.Store(&addr)
	return nil
}

// Start implements [Part].
func (s *Server) Start(_ context.Context, host *Host) error {
	s.host, s.served = host, make(chan struct{})
	s.stopping, s.stop = context.WithCancelCause(context.Background())
	s.prepare()
	if host.Logger != nil {
		host.Logger.Info("serving", "on", s.Detail())
	}
	go call(func() error {
		if s.scheme == "https" {
			return s.server.ServeTLS(s.listener, "", "")
		}
		return s.server.Serve(s.listener)
	}, func(err error) {
		defer close(s.served)
		switch {
		case s.stopping.Err() != nil:
		case errors.Is(err, http.ErrServerClosed):
			host.Ended(errors.New("the server was shut down by other code: the service stops it by itself"))
		default:
			host.Ended(fmt.Errorf("serve on %s: %w", s.listener.Addr(), err))
		}
	})
	return nil
}

// prepare puts the part between the server and its handler.
func (s *Server) prepare() {
	server := s.server
	if s.handler = server.Handler; s.handler == nil {
		s.handler = http.DefaultServeMux
	}
	server.Handler = http.HandlerFunc(s.serve)
	if server.ReadHeaderTimeout == 0 && server.ReadTimeout == 0 {
		server.ReadHeaderTimeout = readHeaderTimeout
	}
	if server.IdleTimeout == 0 && server.ReadTimeout == 0 {
		server.IdleTimeout = idleTimeout
	}
	if server.ErrorLog == nil {
		server.ErrorLog = slog.NewLogLogger(s.host.Logger.Handler(), slog.LevelWarn)
	}
	base := context.Background()
	if server.BaseContext != nil {
		base = server.BaseContext(s.listener)
	}
	s.all, s.cut = context.WithCancelCause(WithStopping(base, s.host.Draining))
	server.BaseContext = func(net.Listener) context.Context { return s.all }
	theirs := server.ConnState
	server.ConnState = func(c net.Conn, state http.ConnState) {
		s.conns.watch(c, state, time.Now())
		if theirs != nil {
			theirs(c, state)
		}
	}
}

// serve serves one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	entry := s.requests.begin(r)
	defer s.requests.end(entry)
	if s.host.Draining.Err() != nil {
		w.Header().Set("Connection", "close") // the client comes back to another process; in HTTP/2 a GOAWAY
	}
	if r.Method == http.MethodGet && r.Header.Get("Accept") == "text/event-stream" {
		ctx, end := context.WithCancelCause(r.Context())
		defer end(nil)
		defer context.AfterFunc(s.stopping, func() { end(ErrStopping) })()
		r = r.WithContext(ctx)
	}
	s.handler.ServeHTTP(w, r)
}
