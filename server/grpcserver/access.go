package grpcserver

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/parts"
)

// Call is what an access-log line says of a call.
type Call struct {
	Method   string // "orders.v1.Orders/Place"; "_OTHER" if it is not registered
	Stream   bool
	Code     codes.Code
	Err      error // of the handler
	Duration time.Duration
	ID       string
	Aborted  string // "", or why there was no whole answer: [AbortedByClient] and so on
	Shed     bool   // by the limit
	Probe    bool   // of the health service
}

// Why a call has no whole answer.
const (
	AbortedByClient   = "client"   // it has cancelled the call, its deadline was over, or it has gone
	AbortedByHandler  = "handler"  // a panic or runtime.Goexit
	AbortedByDeadline = "deadline" // the time limit of the server was over
	AbortedByStop     = "stop"     // it did not end in the time of a stop
)

// DefaultLevel is ERROR for the codes by which a server says that it has failed (Unknown,
// Internal, Unavailable, DataLoss), WARN for a call that was shed and for
// DeadlineExceeded, and else INFO. A call of the health service that went well has no line.
func DefaultLevel(c *Call) slog.Level {
	switch c.Code {
	case codes.OK, codes.Canceled:
		if c.Probe {
			return NoLine
		}
	case codes.DeadlineExceeded:
		return slog.LevelWarn
	case codes.Unknown, codes.Internal, codes.Unavailable, codes.DataLoss:
		if c.Shed || c.Probe {
			return slog.LevelWarn
		}
		return slog.LevelError
	default:
	}
	return slog.LevelInfo
}

// aborted says why a call has no whole answer.
func (c *call) aborted() string {
	switch {
	case c.panicked:
		return AbortedByHandler
	case c.code == codes.OK:
		return ""
	case errors.Is(context.Cause(c.Context), parts.ErrStopping):
		return AbortedByStop
	case c.Context.Err() != nil: // it has gone, or its own deadline is over
		return AbortedByClient
	case c.code == codes.DeadlineExceeded && c.late():
		return AbortedByDeadline
	}
	return ""
}

// levelOf returns the level of a line. The service's function runs where a panic would
// end the process.
func (s *Server) levelOf(facts *Call) (level slog.Level) {
	if s.config.level == nil {
		return DefaultLevel(facts)
	}
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("the function of WithLevel panicked", "panic", clip.Cut(clip.Panic(v), clip.Text))
			level = DefaultLevel(facts)
		}
	}()
	return s.config.level(facts)
}

// line writes the access-log line of a call that has ended.
func (s *Server) line(c *call, took time.Duration) {
	facts := Call{Method: c.method.label, Stream: c.streams, Code: c.code, Err: c.err, Duration: took,
		ID: c.Origin.ID, Aborted: c.aborted(), Shed: c.shed, Probe: c.method.probe}
	level := s.levelOf(&facts)
	if level == NoLine || !s.log.Enabled(c.ctx, level) {
		return
	}
	now := c.begun.Add(took)
	var notLogged, sampled int64
	switch {
	case c.shed:
		var ok bool
		if notLogged, ok = s.sheds.Allow(now); !ok {
			return
		}
	case s.config.sample > 1 && level < slog.LevelWarn && facts.Aborted == "":
		if s.lines.Add(1)%s.config.sample != 1 {
			return
		}
		sampled = int64(s.config.sample)
	}
	record := slog.NewRecord(now, level, "call", 0)
	record.AddAttrs(slog.String("method", facts.Method), slog.String("code", codeName(c.code)),
		slog.Duration("duration", took), slog.String("remote", c.remote()),
		slog.Attr{Value: slog.GroupValue(c.more(&facts, notLogged, sampled)...)})
	_ = s.log.Handler().Handle(c.ctx, record)
}

// more are the attributes of a line past the first four.
func (c *call) more(facts *Call, notLogged, sampled int64) (attrs []slog.Attr) {
	if c.text != "" && !c.shed { // a panic has a record of its own
		attrs = append(attrs, slog.String("error", c.text))
	}
	if c.streams {
		attrs = append(attrs, slog.Int64("received", c.received.Load()), slog.Int64("sent", c.sent.Load()))
	}
	if !c.s.named {
		attrs = append(attrs, slog.String("request_id", facts.ID))
	}
	if facts.Method == other {
		attrs = append(attrs, slog.String("path", clip.Line(c.full, clip.Name)))
	}
	if facts.Aborted != "" {
		attrs = append(attrs, slog.String("aborted", facts.Aborted))
	}
	if c.shed {
		attrs = append(attrs, slog.Bool("shed", true), slog.String("priority", c.priority.String()),
			slog.Int64("not_logged", notLogged))
	}
	if sampled > 0 {
		attrs = append(attrs, slog.Int64("sampled", sampled))
	}
	return attrs
}
