package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/sambatech/chassis/actors/logger"
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
	AbortedByStop     = "stop"     // the service stops, and has ended its ctx
)

// aborted says whether the response is whole, or why not.
type aborted uint8

const (
	whole aborted = iota
	byClient
	byHandler
	byDeadline
	byStop
)

// String returns the word of the access log, or "".
func (a aborted) String() string {
	return [...]string{"", AbortedByClient, AbortedByHandler, AbortedByDeadline, AbortedByStop}[a]
}

// statusGone is the status in log and metrics of a request with no response at all,
// because its client has gone. It is nginx's, and is never sent.
const statusGone = 499

// DefaultLevel is ERROR for a status of 5xx, WARN for a request that was shed, for 504, and
// for one that a stop has left without an answer, and else INFO. A probe that went well has
// no line.
func DefaultLevel(a *Access) slog.Level {
	return levelOf(a.Status, a.Shed || a.Aborted == AbortedByStop, a.Probe)
}

func levelOf(status int, refused, probe bool) slog.Level {
	switch {
	case refused && status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return slog.LevelWarn
	case status >= 500:
		return slog.LevelError
	case probe && status < 400:
		return NoLine
	}
	return slog.LevelInfo
}

// accessMessage is the message of an access-log line.
const accessMessage = "request"

// line writes the access-log line of a request that has ended.
func (h *handler) line(q *request, ctx context.Context, begun time.Time, took time.Duration) {
	c, route := h.config, q.route()
	level := levelOf(q.status(), q.shed || q.aborted == byStop, q.priority == Probe)
	if c.level != nil {
		level = c.level(q.accessed(took))
	}
	if level == NoLine || !c.log.Enabled(ctx, level) {
		return
	}
	now := begun.Add(took)
	var notLogged, sampled int64
	switch {
	case q.shed:
		var ok bool
		if notLogged, ok = h.sheds.Allow(now); !ok {
			return
		}
	case c.sample > 1 && level < slog.LevelWarn && q.aborted == whole:
		if h.lines.Add(1)%c.sample != 1 {
			return
		}
		sampled = int64(c.sample)
	}
	bytes := q.writer.bytes
	if q.r.Method == http.MethodHead {
		bytes = 0 // what the handler wrote, net/http did not send
	}
	remote := clip.Line(remoteOf(q.r, c.proxies), 64)
	if c.named && route.usual() && q.aborted == whole && !q.shed && sampled == 0 {
		route.line.Write(ctx, now, level, slog.IntValue(q.status()), slog.DurationValue(took),
			slog.Int64Value(bytes), slog.StringValue(remote))
		return
	}
	attrs, out := make([]slog.Attr, 0, 12), route.log
	if route.method == otherMethod { // what out writes has not the method's name
		out = c.log.Handler()
		attrs = append(attrs, slog.String("method", clip.Line(q.r.Method, 32)), slog.String("route", route.label))
	}
	attrs = append(attrs,
		slog.Int("status", q.status()),
		slog.Duration("duration", took),
		slog.Int64("bytes", bytes),
		slog.String("remote", remote))
	if !c.named {
		attrs = append(attrs, slog.String("request_id", q.id()))
	}
	if route.label == "" {
		attrs = append(attrs, slog.String("path", clip.Line(q.r.URL.Path, clip.Name)))
	}
	if q.aborted != whole {
		attrs = append(attrs, slog.String("aborted", q.aborted.String()))
	}
	if q.shed {
		attrs = append(attrs, slog.Bool("shed", true), slog.String("priority", q.priority.String()),
			slog.Int64("not_logged", notLogged))
	}
	if sampled > 0 {
		attrs = append(attrs, slog.Int64("sampled", sampled))
	}
	_ = logger.Handle(ctx, out, now, level, accessMessage, attrs...)
}
