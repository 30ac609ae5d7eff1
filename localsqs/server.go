package localsqs

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/sambatech/chassis/localsqs/internal/engine"
)

// ErrClosed is the error of a call on a closed server.
var ErrClosed = errors.New("localsqs: the server is closed")

// Server is an SQS service. Make one with [New].
type Server struct {
	cfg   config
	clock clock
	done  chan struct{} // closed by Close: ends long polls

	mu      sync.Mutex // held for one operation of the engine
	engine  *engine.Engine
	closed  bool
	armed   int64 // what the timer is set for; 0: not set
	disarm  func() bool
	metrics metrics

	listeners listeners
}

// New makes a server, in memory or, with [Path], on its file.
func New(opts ...Option) (*Server, error) {
	cfg := config{account: "000000000000", region: "us-east-1", clock: wallClock{}, logger: slog.New(slog.DiscardHandler)}
	for _, o := range opts {
		o(&cfg)
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, clock: newClock(cfg.clock), done: make(chan struct{})}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

var (
	accountForm = regexp.MustCompile(`^\d{12}$`)
	regionForm  = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
)

func (c *config) check() error {
	var errs []error
	if !accountForm.MatchString(c.account) {
		errs = append(errs, fmt.Errorf("localsqs: account %q: want 12 digits", c.account))
	}
	if !regionForm.MatchString(c.region) {
		errs = append(errs, fmt.Errorf("localsqs: region %q: want a name like us-east-1", c.region))
	}
	if c.clock == nil {
		errs = append(errs, errors.New("localsqs: the clock is nil; leave the option out for the time package's"))
	}
	if c.logger == nil {
		errs = append(errs, errors.New("localsqs: the logger is nil; leave the option out for none"))
	}
	for id, secret := range c.keys {
		if id == "" || secret == "" {
			errs = append(errs, fmt.Errorf("localsqs: credentials %q: neither the access key id nor the secret may be empty", id))
		}
	}
	return errors.Join(errs...)
}

func (s *Server) open() error {
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return fmt.Errorf("localsqs: random numbers: %w", err)
	}
	s.engine = engine.New(engine.Config{Account: s.cfg.account, Strict: s.cfg.strict, Salt: binary.BigEndian.Uint64(salt[:])})
	return nil
}

// do runs one operation on the engine, at the time that it passes to op, and
// then wakes the long polls that it answered.
func (s *Server) do(op func(now int64, e *engine.Engine) *engine.Error) *engine.Error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed()
	}
	now := s.clock.now()
	s.engine.Advance(now)
	err := op(now, s.engine)
	s.engine.Flush(now)
	s.leave()
	return err
}

// leave sets the timer for what the engine has to do next, and unlocks.
func (s *Server) leave() {
	if at, ok := s.engine.NextTimer(); ok && !s.closed && (s.armed == 0 || at < s.armed) {
		if s.disarm != nil {
			s.disarm()
		}
		s.armed = at
		s.disarm = s.cfg.clock.AfterFunc(time.Duration(max(0, at-s.clock.now())), s.tick)
	}
	woken := s.engine.TakeWoken()
	s.mu.Unlock()
	for _, w := range woken {
		close(w.Ready)
	}
}

// tick is the timer: it does what is due.
func (s *Server) tick() {
	s.mu.Lock()
	s.armed = 0
	if !s.closed {
		s.engine.Advance(s.clock.now())
	}
	s.leave()
}

// Close ends long polls, which are answered empty, refuses further calls,
// closes listeners and connections, writes what is outstanding and unlocks the
// file. It is idempotent.
func (s *Server) Close() error {
	err := s.listeners.close()
	return errors.Join(err, s.stop())
}

// Shutdown is Close, except that calls under way over sockets may end until
// ctx does.
func (s *Server) Shutdown(ctx context.Context) error {
	s.endPolls()
	err := s.listeners.shutdown(ctx)
	return errors.Join(err, s.stop())
}

// endPolls answers all long polls, now and from now on.
func (s *Server) endPolls() {
	s.mu.Lock()
	s.engine.CancelAll()
	s.leave()
}

func (s *Server) stop() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	if s.disarm != nil {
		s.disarm()
	}
	s.engine.CancelAll()
	close(s.done)
	s.leave()
	return nil
}

func errClosed() *engine.Error {
	return &engine.Error{Shape: "ServiceUnavailable", Code: "ServiceUnavailable", Message: "The server is closed.", Status: http.StatusServiceUnavailable}
}
