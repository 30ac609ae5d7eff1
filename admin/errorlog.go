package admin

import (
	"bytes"
	"log/slog"
	"sync"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// errorLog takes what net/http logs of connections, like failed handshakes. Any
// client can cause them, so one record in ten seconds counts them.
type errorLog struct {
	log *slog.Logger

	mu   sync.Mutex // guards what follows
	last time.Time
	left int
}

// Write implements io.Writer, for a log.Logger.
func (e *errorLog) Write(line []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := time.Now(); e.last.IsZero() || now.Sub(e.last) >= refusedEvery {
		text := clip.Line(string(bytes.TrimSpace(line)), clip.Text)
		e.log.Warn("the admin server has trouble with a connection", "error", text, "not_logged_before", e.left)
		e.last, e.left = now, 0
		return len(line), nil
	}
	e.left++
	return len(line), nil
}
