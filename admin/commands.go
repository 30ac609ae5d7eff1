package admin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/internal/clip"
)

var (
	errMediaType = errors.New("the body must be sent as application/json")
	errNoHeader  = errors.New("a command without a token needs the header " + CommandHeader +
		", with any value: no form and no redirect can set it")
	errBody = errors.New("the body is not the one that was signed")
)

// command is [Server.answer] for what changes something: it is logged with its
// sender. The body must be JSON by its media type, which no form of another site
// can send. The body is read before the request takes a place: a body that never
// comes takes no place.
func (s *Server) command(h handler) http.Handler {
	answer := s.answer(func(r *http.Request) (any, error) {
		value, err := h(r)
		s.audit.did(r, actOf(r), err)
		return value, err
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if clientOf(r).how != byToken && r.Header.Get(CommandHeader) == "" {
			withoutBody(w)
			fail(w, errNoHeader)
			return
		}
		s.guard.body(w)
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			fail(w, fmt.Errorf("read the body: %w", err))
			return
		}
		if sum := sha256.Sum256(body); clientOf(r).body != "" && clientOf(r).body != hex.EncodeToString(sum[:]) {
			fail(w, errBody)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), actKey{}, &act{touched: 1}))
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer.ServeHTTP(w, r)
	})
}

// does is a handler of commands of one form. A form may have a check of its own.
func does[T any](do func(*http.Request, T) (any, error)) handler {
	return func(r *http.Request) (any, error) {
		c, err := read[T](r)
		if form, ok := any(c).(interface{ check() error }); ok && err == nil {
			err = form.check()
		}
		if err != nil {
			return nil, err
		}
		return do(r, c)
	}
}

// read decodes the body of a command: one JSON object with known fields only.
func read[T any](r *http.Request) (T, error) {
	var v T
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return v, fmt.Errorf("%w, not as %s", errMediaType, quote(r.Header.Get("Content-Type")))
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf("%w: the body: %w", ErrInvalid, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, fmt.Errorf("%w: the body goes on after its JSON object", ErrInvalid)
	}
	actOf(r).what = v
	return v, nil
}

// span is a duration in a command: text like "1m30s", or seconds.
type span time.Duration

// maxSpan bounds what an operator can ask for: a slip of the keyboard must not
// last for years.
const maxSpan = 30 * 24 * time.Hour

// UnmarshalJSON implements json.Unmarshaler.
func (s *span) UnmarshalJSON(b []byte) error {
	var text string
	var seconds float64
	var d time.Duration
	switch {
	case json.Unmarshal(b, &seconds) == nil:
		if math.Abs(seconds) > maxSpan.Seconds() {
			return fmt.Errorf("%v seconds are out of range: want 0 to %v", seconds, maxSpan)
		}
		d = time.Duration(seconds * float64(time.Second))
	case json.Unmarshal(b, &text) == nil:
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("%s is no duration: want text like 90s or 1h30m, or a number of seconds", quote(text))
		}
	default:
		return fmt.Errorf("%s is no duration: want text like 90s or 1h30m, or a number of seconds", quote(string(b)))
	}
	if d < 0 || d > maxSpan {
		return fmt.Errorf("%v is out of range: want 0 to %v", d, maxSpan)
	}
	*s = span(d)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (s span) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).String()) }

// Found says how many executions or letters a command had an effect on.
type Found struct {
	Found int      `json:"found"`
	IDs   []string `json:"ids,omitempty"`
}

type cancelCommand struct {
	ExecID string `json:"exec_id"`
	Reason string `json:"reason"`
}

func (c cancelCommand) check() error { return need("exec_id", c.ExecID) }

func (s *Server) cancelExecution(r *http.Request, c cancelCommand) (any, error) {
	defer s.listing.fresh()
	n, err := s.cfg.Tasks.Cancel(orderedCtx(r), c.ExecID, clip.Line(cmp.Or(c.Reason, "by an operator"), 500))
	actOf(r).touched = n
	return Found{Found: n}, err
}

type snoozeCommand struct {
	ExecID string `json:"exec_id"`
	For    *span  `json:"for"`
}

func (c snoozeCommand) check() error {
	if err := need("exec_id", c.ExecID); err != nil || c.For != nil {
		return err
	}
	return fmt.Errorf("%w: for is missing: say how long, for example 10m", ErrInvalid)
}

func (s *Server) snoozeExecution(r *http.Request, c snoozeCommand) (any, error) {
	defer s.listing.fresh()
	n, err := s.cfg.Tasks.Snooze(orderedCtx(r), c.ExecID, time.Duration(*c.For))
	actOf(r).touched = n
	return Found{Found: n}, err
}

// taskCommand names a task, or by an empty text the pool. Nothing at all names
// neither: a body like {} must not stop a whole pool.
type taskCommand struct {
	Task *string `json:"task"`
}

func (c taskCommand) check() error {
	if c.Task == nil {
		return fmt.Errorf("%w: task is missing: give a task's name, or \"\" for the whole pool", ErrInvalid)
	}
	return nil
}

func (s *Server) pause(r *http.Request, c taskCommand) (any, error) {
	return c, s.cfg.Tasks.Pause(r.Context(), *c.Task)
}

func (s *Server) resume(r *http.Request, c taskCommand) (any, error) {
	return c, s.cfg.Tasks.Resume(r.Context(), *c.Task)
}

type deadCommand struct {
	IDs     []string `json:"ids"`
	Confirm string   `json:"confirm,omitempty"`
}

func (s *Server) readDead(r *http.Request) (deadCommand, error) {
	c, err := read[deadCommand](r)
	switch {
	case err != nil:
	case len(c.IDs) == 0 || len(c.IDs) > maxDead:
		err = fmt.Errorf("%w: ids has %d entries: want 1 to %d message ids", ErrInvalid, len(c.IDs), maxDead)
	}
	a := actOf(r)
	a.what, a.touched = nil, 0
	if err == nil {
		a.ids = c.IDs
	}
	return c, err
}

func (s *Server) sendBack(r *http.Request) (any, error) {
	c, err := s.readDead(r)
	if err != nil {
		return nil, err
	}
	return found(r, c.IDs, s.cfg.Dead.SendBack)
}

func (s *Server) deleteDead(r *http.Request) (any, error) {
	c, err := s.readDead(r)
	if err != nil {
		return nil, err
	}
	if c.Confirm != "delete" {
		return nil, fmt.Errorf(`%w: deleting dead letters cannot be undone: confirm it with "confirm": "delete"`,
			ErrInvalid)
	}
	return found(r, c.IDs, s.cfg.Dead.Delete)
}

type settling func(ctx context.Context, ids []string) (done []string, err error)

func found(r *http.Request, ids []string, settle settling) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), deadTime)
	defer cancel()
	ids, err := settle(ctx, ids)
	actOf(r).ids, actOf(r).touched = ids, len(ids)
	if err != nil && len(ids) > 0 {
		err = fmt.Errorf("after %d were settled: %w", len(ids), err)
	}
	return Found{len(ids), ids}, err
}

// ForceTime is how long a forced state of a breaker lasts if its command has no time:
// one that was forgotten must not guard nothing, or refuse all, for ever.
const ForceTime = 5 * time.Minute

type breakerCommand struct {
	Service string        `json:"service"`
	Path    string        `json:"path"`
	To      breaker.State `json:"to,omitempty"`
	For     *span         `json:"for,omitempty"` // nil: ForceTime; 0: until a reset
}

func (c breakerCommand) check() error {
	switch c.To {
	case breaker.ForcedOpen, breaker.ForcedClosed, breaker.MetricsOnly:
		return need("service", c.Service)
	}
	return fmt.Errorf("%w: to is %v: want forced-open, forced-closed or metrics-only", ErrInvalid, c.To)
}

func (s *Server) forceBreaker(_ *http.Request, c breakerCommand) (any, error) {
	defer s.allBreakers.fresh()
	if c.For == nil {
		c.For = new(span(ForceTime))
	}
	return c, s.cfg.Breakers.Force(c.Service, c.Path, c.To, time.Duration(*c.For))
}

type resetCommand struct {
	Service string `json:"service"`
	Path    string `json:"path"`
}

func (c resetCommand) check() error { return need("service", c.Service) }

func (s *Server) resetBreaker(_ *http.Request, c resetCommand) (any, error) {
	defer s.allBreakers.fresh()
	return c, s.cfg.Breakers.Reset(c.Service, c.Path)
}

type levelCommand struct {
	Name  string `json:"name"`
	Level string `json:"level"`
}

func (s *Server) setLevel(_ *http.Request, c levelCommand) (any, error) {
	return c, s.cfg.Logs.SetLevel(c.Name, c.Level)
}

func need(field, value string) error {
	if value == "" {
		return fmt.Errorf("%w: %s is missing", ErrInvalid, field)
	}
	return nil
}
