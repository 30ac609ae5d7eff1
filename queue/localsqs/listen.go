package localsqs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// listeners are the HTTP servers that Listen has started.
type listeners struct {
	mu      sync.Mutex
	servers []*http.Server
	hosts   []string // given to Listen
	closed  bool
	ended   sync.WaitGroup

	connections connections
}

// readTimeout is the time for a request to come whole. It goes on during a long
// poll, which takes 20 s, and would end it.
const readTimeout = 40 * time.Second

// Listen serves on a TCP address, host:port; port 0 takes a free one. It
// returns the URL, to be given to clients as their endpoint, and serves until
// Close, after which it is [ErrClosed]. An address off loopback is refused
// unless there are [Credentials]. With [TLS] it serves HTTPS.
func (s *Server) Listen(addr string) (url string, err error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("localsqs: listen on %q: want host:port: %w", addr, err)
	}
	if !loopback(host) && len(s.cfg.keys) == 0 {
		return "", fmt.Errorf("localsqs: listen on %q: not a loopback address, and no credentials to check "+
			"requests by; use 127.0.0.1 or set Credentials", addr)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr) // the ctx is of the look-up alone
	if err != nil {
		return "", fmt.Errorf("localsqs: listen on %q: %w", addr, err)
	}
	scheme := "http"
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: readTimeout,
		WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ConnState: s.listeners.connections.follow, Protocols: new(http.Protocols),
		ErrorLog: slog.NewLogLogger(s.cfg.logger.Handler(), slog.LevelDebug)} // a stranger could fill the log
	srv.Protocols.SetHTTP1(true) // a connection of HTTP/2 would be as good as hundreds
	l = boundedListener{l, &s.listeners.connections}
	if s.cfg.tls != nil {
		scheme = "https"
		c := s.cfg.tls.Clone()
		c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
		c.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, c)
	} else if !loopback(host) {
		s.cfg.logger.Warn("the embedded queue listens off loopback without TLS: messages travel in the clear", "addr",
			l.Addr().String())
	}
	s.listeners.mu.Lock()
	defer s.listeners.mu.Unlock()
	if s.listeners.closed {
		return "", fmt.Errorf("localsqs: listen on %q: %w", addr, errors.Join(ErrClosed, l.Close()))
	}
	s.listeners.hosts = append(s.listeners.hosts, host)
	s.listeners.servers = append(s.listeners.servers, srv)
	s.listeners.ended.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.cfg.logger.Error("serving ended", "addr", l.Addr().String(), "error", err)
		}
	})
	return scheme + "://" + l.Addr().String(), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (l *listeners) each(stop func(*http.Server) error) error {
	l.mu.Lock()
	l.closed = true
	servers := l.servers
	l.servers = nil
	l.mu.Unlock()
	var errs []error
	for _, srv := range servers {
		errs = append(errs, stop(srv))
	}
	l.ended.Wait()
	return errors.Join(errs...)
}

func (l *listeners) close() error { return l.each((*http.Server).Close) }

func (l *listeners) shutdown(ctx context.Context) error {
	return l.each(func(srv *http.Server) error {
		if err := srv.Shutdown(ctx); err != nil {
			return errors.Join(fmt.Errorf("localsqs: calls over sockets were cut off: %w", err), srv.Close())
		}
		return nil
	})
}
