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

	"github.com/google/uuid"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
	"github.com/sambatech/chassis/queue/localsqs/internal/store"
)

// ErrClosed is the error of a call on a closed server.
var ErrClosed = errors.New("localsqs: the server is closed")

// Errors of New about the file of [Path].
var (
	ErrInUse   = store.ErrInUse   // another server has it open
	ErrCorrupt = store.ErrCorrupt // it is not a sound queue file; it is left as it is
)

// Server is an SQS service. Make one with [New].
type Server struct {
	cfg   config
	clock clock

	mu      sync.Mutex // held for one operation of the engine
	engine  *engine.Engine
	store   *store.Committer // nil: in memory
	closed  bool
	armed   int64 // what the timer is set for; 0: not set
	disarm  func() bool
	metrics *metrics

	answers   answers
	bodies    bodyRoom
	listeners listeners
}

// New makes a server, in memory or, with [Path], on its file.
func New(opts ...Option) (*Server, error) {
	cfg := config{maxConnections: 1024, account: "000000000000", region: "us-east-1", clock: wallClock{},
		logger: slog.New(slog.DiscardHandler)}
	for _, o := range opts {
		o(&cfg)
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, clock: newClock(cfg.clock), metrics: newMetrics()}
	s.listeners.connections.limit = cfg.maxConnections
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
	if c.maxConnections < 1 {
		errs = append(errs, fmt.Errorf("localsqs: %d connections at most: want 1 or more", c.maxConnections))
	}
	if c.clock == nil {
		errs = append(errs, errors.New("localsqs: the clock is nil; leave the option out for the time package's"))
	}
	if c.logger == nil {
		errs = append(errs, errors.New("localsqs: the logger is nil; leave the option out for none"))
	}
	for id, secret := range c.keys {
		if id == "" || secret == "" {
			errs = append(errs,
				fmt.Errorf("localsqs: credentials %q: neither the access key id nor the secret may be empty", id))
		}
	}
	return errors.Join(errs...)
}

func (s *Server) open() error {
	cfg := engine.Config{Account: s.cfg.account, Strict: s.cfg.strict, Durable: s.cfg.path != "", AsAWS: s.cfg.asAWS,
		Seed:  s.cfg.seed,
		NewID: func() [16]byte { return uuid.New() }}
	if !cfg.Durable {
		var salt [8]byte
		if _, err := rand.Read(salt[:]); err != nil {
			return fmt.Errorf("localsqs: random numbers: %w", err)
		}
		cfg.Salt = binary.BigEndian.Uint64(salt[:])
		s.engine = engine.New(cfg)
		return nil
	}
	file, err := store.Open(s.cfg.path, store.Options{NoFsync: s.cfg.noFsync, Logger: s.cfg.logger,
		CheckpointFrom: s.cfg.checkpointFrom})
	if err != nil {
		return fmt.Errorf("localsqs: %w", err)
	}
	cfg.Salt = file.Salt()
	s.engine = engine.New(cfg)
	if err := file.Load(s.engine, s.clock.now()); err != nil {
		return errors.Join(fmt.Errorf("localsqs: %w", err), file.Close())
	}
	s.store, err = store.NewCommitter(file, func(changes []engine.Change) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.engine.Committed(changes)
	})
	if err != nil {
		return errors.Join(fmt.Errorf("localsqs: %w", err), file.Close())
	}
	s.mu.Lock()
	s.leave() // arms the timer for what was restored
	return nil
}

// look runs one operation on the engine that is answered without waiting for
// the store; what it changes rides along with the next group.
func (s *Server) look(op func(now int64, e *engine.Engine) *engine.Error) *engine.Error {
	_, err := s.step(op)
	return err
}

// do runs one operation on the engine, and waits until all that was changed up
// to then is safe.
func (s *Server) do(op func(now int64, e *engine.Engine) *engine.Error) *engine.Error {
	if err := s.writable(); err != nil {
		return err
	}
	group, err := s.step(op)
	if err != nil || group == nil {
		return err
	}
	if err := group.Wait(); err != nil {
		return s.storeFailed("written", err)
	}
	return nil
}

// writable refuses a call that would change something while the disk takes no
// writes, before it has changed anything. Each call has it tried again.
func (s *Server) writable() *engine.Error {
	if s.store == nil {
		return nil
	}
	if _, failing := s.store.Err(); !failing {
		return nil
	}
	if err := s.store.Append(nil).Wait(); err != nil {
		return s.storeFailed("written", err)
	}
	return nil
}

func (s *Server) storeFailed(what string, err error) *engine.Error {
	return &engine.Error{Shape: "InternalFailure", Code: "InternalFailure", Status: http.StatusInternalServerError,
		Message: "The queue file could not be " + what + ": " + err.Error()}
}

// step runs one operation, at the time that it passes to op, and then wakes the
// long polls that it answered. The group is nil if there is no store.
func (s *Server) step(op func(now int64, e *engine.Engine) *engine.Error) (*store.Group, *engine.Error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed()
	}
	now := s.clock.now()
	s.engine.Advance(now)
	err := op(now, s.engine)
	s.engine.Flush(now)
	return s.leave(), err
}

// leave hands what has changed to the store, sets the timer for what the engine
// has to do next, and unlocks.
func (s *Server) leave() (group *store.Group) {
	if changes := s.engine.TakeChanges(); s.store != nil {
		group = s.store.Append(changes)
	}
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
	return group
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
// ctx does; those that have not are cut off then, which the error says.
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
	s.engine.RecordTime(s.clock.now())
	s.leave()
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			return fmt.Errorf("localsqs: closing %s: %w", s.cfg.path, err)
		}
	}
	return nil
}

func errClosed() *engine.Error {
	return &engine.Error{Shape: "ServiceUnavailable", Code: "ServiceUnavailable", Message: "The server is closed.",
		Status: http.StatusServiceUnavailable}
}
