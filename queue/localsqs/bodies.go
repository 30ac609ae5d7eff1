package localsqs

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// Bounds of the memory that requests over sockets take before their signature,
// which covers the body, can be checked.
const (
	freeBody   = 64 << 10 // bytes of each body that are read at once
	bodyMemory = 16 << 20 // bytes of all larger bodies together
	firstRead  = 16 << 10
	bodyWait   = 5 * time.Second // for room among the larger bodies
	bodyTime   = 5 * time.Second // to send the rest of a larger body, and
	bodyRate   = 1 << 20         // bytes a second beyond that
	refuseTime = 2 * time.Second // to take the answer of a refusal while still sending

	refusedRead = 2 << 20 // bytes that are read of a refused body, more than a message has
)

// bodyRoom is the memory of larger bodies. Those who wait for it are served in
// their order.
type bodyRoom struct {
	mu   sync.Mutex
	used int64
	line []*bodyWaiter
}

type bodyWaiter struct {
	n     int64
	ready chan struct{} // closed when it has its n bytes
}

// acquire takes n bytes, at most bodyMemory. It reports false if ctx ends
// before there is room.
func (b *bodyRoom) acquire(ctx context.Context, n int64) bool {
	b.mu.Lock()
	if len(b.line) == 0 && b.used+n <= bodyMemory {
		b.used += n
		b.mu.Unlock()
		return true
	}
	w := &bodyWaiter{n: n, ready: make(chan struct{})}
	b.line = append(b.line, w)
	b.mu.Unlock()
	select {
	case <-w.ready:
		return true
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.line, w); i >= 0 {
		b.line = slices.Delete(b.line, i, i+1)
		b.admit()
		return false
	}
	return true // it got its room meanwhile
}

func (b *bodyRoom) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.admit()
}

func (b *bodyRoom) admit() {
	for len(b.line) > 0 && b.used+b.line[0].n <= bodyMemory {
		b.used += b.line[0].n
		close(b.line[0].ready)
		b.line = b.line[1:]
	}
}

// receiveBody reads the body of a request over a socket within the bounds above.
// release gives its memory back, and may be called more than once.
func (s *Server) receiveBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err *engine.Error) {
	release = func() {}
	size := r.ContentLength
	if size > maxBody {
		discard(w, r, maxDiscard)
		return nil, release, bodyTooLarge()
	}
	if size <= freeBody && size >= 0 {
		body, err = readBody(r)
		return body, release, err
	}
	if size < 0 {
		size = maxBody + 1
	}
	head, failed := io.ReadAll(io.LimitReader(r.Body, freeBody))
	if failed != nil {
		return nil, release, cutShort(failed)
	}
	if len(head) < freeBody {
		if r.ContentLength < 0 {
			return head, release, nil
		}
		return nil, release, cutShort(io.ErrUnexpectedEOF)
	}
	ctx, cancel := context.WithTimeout(r.Context(), bodyWait)
	defer cancel()
	room := min(size, maxBody)
	if !s.bodies.acquire(ctx, room) {
		discard(w, r, refusedRead)
		return nil, release, &engine.Error{Shape: "ServiceUnavailable", Code: "ServiceUnavailable",
			Status:  http.StatusServiceUnavailable,
			Message: "Too many large requests are under way; try again."}
	}
	release = sync.OnceFunc(func() { s.bodies.release(room) })
	until := time.Now().Add(bodyTime + time.Duration(size)*time.Second/bodyRate)
	setReadDeadline(w, until)
	body = append(make([]byte, 0, size), head...)
	if r.ContentLength >= 0 {
		body = body[:size]
		_, failed = io.ReadFull(r.Body, body[len(head):])
	} else {
		var rest []byte
		rest, failed = io.ReadAll(io.LimitReader(r.Body, size-int64(len(head))))
		body = append(body, rest...)
	}
	setReadDeadline(w, time.Time{}) // else it ends a long poll
	switch {
	case failed != nil:
		err = cutShort(failed)
	case len(body) > maxBody:
		err = bodyTooLarge()
	}
	if err != nil {
		release()
		return nil, func() {}, err
	}
	return body, release, nil
}

func cutShort(err error) *engine.Error {
	return engine.InvalidParameterValue("The request's body ended early: %v.", err)
}

// discard reads up to most bytes more, for a moment, while a client still sends
// a body that is refused: else it sees a reset and not the answer. The connection
// ends then.
func discard(w http.ResponseWriter, r *http.Request, most int64) {
	w.Header().Set("Connection", "close")
	if r.Body == nil || r.ContentLength == 0 {
		return
	}
	setReadDeadline(w, time.Now().Add(refuseTime))
	_, _ = io.CopyN(io.Discard, r.Body, most)
}

// setReadDeadline does nothing where there is no connection, as in a test of
// the handler alone.
func setReadDeadline(w http.ResponseWriter, t time.Time) {
	_ = http.NewResponseController(w).SetReadDeadline(t)
}
