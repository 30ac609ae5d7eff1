package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// audit logs what operators do, and the logins that are refused.
type audit struct {
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	refused uint64     // wrong tokens since the start
	logged  uint64     // those of them that a record has counted
	last    time.Time  // of the last record
}

// refusedEvery is the least time between two records of refused logins. Each
// record counts those since the one before.
const refusedEvery = 10 * time.Second

// refuse counts a wrong token.
func (a *audit) refuse(r *http.Request) {
	a.mu.Lock()
	a.refused++
	now := time.Now()
	if !a.last.IsZero() && now.Sub(a.last) < refusedEvery {
		a.mu.Unlock()
		return
	}
	n := a.refused - a.logged
	a.logged, a.last = a.refused, now
	a.mu.Unlock()
	a.log.WarnContext(r.Context(), "operator's login refused: the token is wrong", "address", r.RemoteAddr,
		"path", clip.Line(r.URL.Path, clip.Name), "refused", n)
}

// logins returns how many wrong tokens were refused since the start.
func (a *audit) logins() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused
}

// act is one command. Its handler fills it in.
type act struct {
	what    any // the command as it was read
	ids     []string
	touched int
}

type actKey struct{}

// actOf returns the act of a command's request. For other requests it returns one
// that is not logged.
func actOf(r *http.Request) *act {
	if a, ok := r.Context().Value(actKey{}).(*act); ok {
		return a
	}
	return &act{}
}

// idsPerRecord keeps a record with ids shorter than the logger's longest line.
const idsPerRecord = 200

// did logs an act: who gave it, what it was, how many it touched, and how it went.
func (a *audit) did(r *http.Request, done *act, err error) {
	who := clientOf(r)
	if err != nil && len(done.ids) == 0 {
		done.touched = 0
	}
	level, text := slog.LevelInfo, "operator's command"
	attrs := []slog.Attr{slog.String("command", r.URL.Path), slog.String("by", who.Name),
		slog.String("scope", string(who.Scope)),
		slog.String("address", r.RemoteAddr), slog.Int("touched", done.touched)}
	if what, bad := json.Marshal(done.what); bad == nil && done.what != nil {
		attrs = append(attrs, slog.String("what", clip.Line(string(what), 4<<10)))
	}
	if err != nil {
		level, text = slog.LevelWarn, "operator's command refused"
		attrs = append(attrs, slog.String("error", clip.Line(err.Error(), clip.Text)))
	}
	ctx := context.WithoutCancel(r.Context())
	if len(done.ids) == 0 {
		a.log.LogAttrs(ctx, level, text, attrs...)
		return
	}
	from := 0
	for ids := range slices.Chunk(done.ids, idsPerRecord) {
		short := make([]string, len(ids))
		for i, id := range ids {
			short[i] = clip.ID(id)
		}
		a.log.LogAttrs(ctx, level, text, append(slices.Clip(attrs), slog.Int("ids_from", from),
			slog.Int("ids_of", len(done.ids)), slog.Any("ids", short))...)
		from += len(ids)
	}
}
