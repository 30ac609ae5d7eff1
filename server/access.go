package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// Access is what an access-log line says of a request.
type Access struct {
	Request  *http.Request // as the middleware got it; it must not be changed
	Method   string
	Route    string // the pattern's path; "" where nothing matched
	Status   int    // 499 if the client had gone before there was one
	Bytes    int64  // of the body
	Duration time.Duration
	ID       string
	Aborted  string // "", or why there was no whole response: [AbortedByClient] and so on
	Shed     bool   // by the limit
	Probe    bool
}

// Why a request has no whole response.
const (
	AbortedByClient   = "client"   // its connection or its stream is closed
	AbortedByHandler  = "handler"  // a panic, http.ErrAbortHandler or runtime.Goexit
	AbortedByDeadline = "deadline" // its time limit was over
)

// statusGone is the status in log and metrics of a request with no response at all,
// because its client has gone. It is nginx's, and is never sent.
const statusGone = 499

// DefaultLevel is ERROR for a status of 5xx, WARN for a request that was shed and
// for 504, and else INFO. A probe that went well has no line.
func DefaultLevel(a *Access) slog.Level { return levelOf(a.Status, a.Shed, a.Probe) }

func levelOf(status int, shed, probe bool) slog.Level {
	switch {
	case shed, status == http.StatusGatewayTimeout:
		return slog.LevelWarn
	case status >= 500:
		return slog.LevelError
	case probe && status < 400:
		return NoLine
	}
	return slog.LevelInfo
}

// line writes the access-log line of a request that has ended.
func (h *handler) line(q *request, ctx context.Context, took time.Duration) {
	c := h.config
	level := levelOf(q.status(), q.shed, q.priority == Probe)
	if c.level != nil {
		level = c.level(q.accessed(took))
	}
	if level == NoLine || !c.log.Enabled(ctx, level) {
		return
	}
	now := q.begun.Add(took)
	var notLogged, sampled int64
	switch {
	case q.shed:
		var ok bool
		if notLogged, ok = h.sheds.Allow(now); !ok {
			return
		}
	case c.sample > 1 && level < slog.LevelWarn && q.aborted == "":
		if h.lines.Add(1)%c.sample != 1 {
			return
		}
		sampled = int64(c.sample)
	}
	record := slog.NewRecord(now, level, "request", 0)
	status, bytes := q.status(), q.writer.bytes
	if q.r.Method == http.MethodHead {
		bytes = 0 // what the handler wrote, net/http did not send
	}
	// A record holds five attributes without an allocation; the others are a group
	// without a name, which a handler writes as if they stood here.
	record.AddAttrs(
		slog.String("method", clip.Line(q.r.Method, 32)),
		slog.String("route", q.route.label),
		slog.Int("status", status),
		slog.Duration("duration", took),
		slog.Attr{Value: slog.GroupValue(q.more(bytes, notLogged, sampled, c.proxies)...)},
	)
	_ = c.log.Handler().Handle(ctx, record)
}
