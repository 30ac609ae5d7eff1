package admin

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/internal/clip"
)

// hub owns the viewers of the page and the history. Its one goroutine looks at
// the service once a tick, for all viewers together. Without viewers it only
// takes the sample for the history, which costs some atomic reads.
type hub struct {
	server *Server
	ctx    context.Context
	stop   context.CancelFunc
	ended  sync.WaitGroup
	join   chan *viewer
	leave  chan *viewer
}

// viewer is one open stream. The hub alone sends on frames, and closes the channel
// when it drops the viewer.
type viewer struct{ frames chan []byte }

const (
	tick = time.Second
	// maxViewers bounds what a run of broken clients can cost.
	maxViewers = 64
	// viewerBuffer is how many frames a viewer may be behind before it is
	// dropped; its page connects again and starts from the present.
	viewerBuffer = 16
	// farewell is how long a viewer that does not read may delay a stop.
	farewell = time.Second
	// maxBatch and maxBatchBytes bound the events, and the log lines, of one
	// tick; the rest is counted. More than this a second is not read by people.
	maxBatch      = 200
	maxBatchBytes = 256 << 10
	// maxFrame bounds one frame, in bytes. With viewerBuffer it bounds what a
	// viewer that does not read can hold: all viewers are sent the same frames.
	maxFrame = 2 << 20
)

func newHub(s *Server) *hub {
	h := &hub{server: s, join: make(chan *viewer), leave: make(chan *viewer)}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.ended.Go(h.run)
	return h
}

func (h *hub) close() {
	h.stop()
	h.ended.Wait()
}

// look is the hub's state; only run's goroutine touches it.
type look struct {
	hub     *hub
	viewers map[*viewer]bool
	states  chan State // from the goroutine that collects; nil when none does
	history []Sample
	last    totals

	events     <-chan *dispatcher.Event
	stopEvents func()
	lines      <-chan string
	stopLines  context.CancelFunc
	batch      batch[*dispatcher.Event]
	log        batch[string]
}

// batch collects what came since the last tick.
type batch[T any] struct {
	List []T `json:"list"`
	More int `json:"more,omitempty"` // that were left out
	size int // bytes of the list
}

// room reports whether one more could fit, and counts it as left out if not.
func (b *batch[T]) room() bool {
	if len(b.List) == maxBatch || b.size >= maxBatchBytes {
		b.More++
		return false
	}
	return true
}

func (b *batch[T]) add(v T, size int) {
	if !b.room() {
		return
	}
	if b.size+size > maxBatchBytes {
		b.More++
		return
	}
	b.List = append(b.List, v)
	b.size += size
}

func (h *hub) run() {
	l := &look{hub: h, viewers: map[*viewer]bool{}, last: h.server.totals(time.Now())}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	defer l.end()
	for {
		select {
		case <-h.ctx.Done():
			return
		case v := <-h.join:
			l.add(v)
		case v := <-h.leave:
			l.drop(v)
		case now := <-ticker.C:
			l.onTick(now)
		case st := <-l.states:
			l.states = nil
			l.broadcast("state", st)
		case e, ok := <-l.events:
			if !ok {
				l.events = nil
				break
			}
			if l.batch.room() {
				e = boundEvent(e)
				l.batch.add(e, eventSize(e))
			}
		case line, ok := <-l.lines:
			if !ok {
				l.lines = nil
				break
			}
			line = clip.Cut(line, maxLine)
			l.log.add(line, len(line))
		}
	}
}

func (l *look) onTick(now time.Time) {
	t := l.hub.server.totals(now)
	sample := t.since(l.last)
	l.last = t
	if len(l.history) == historyLength {
		l.history = append(l.history[:0], l.history[1:]...)
	}
	l.history = append(l.history, sample)
	if len(l.viewers) == 0 {
		return
	}
	l.broadcast("sample", sample)
	if len(l.batch.List) > 0 {
		l.broadcast("events", l.batch)
		l.batch = batch[*dispatcher.Event]{}
	}
	if len(l.log.List) > 0 {
		l.broadcast("log", l.log)
		l.log = batch[string]{}
	}
	l.collect()
}

// collect looks at the service apart from the hub: a queue that does not answer
// must not hold up the rest.
func (l *look) collect() {
	if l.states != nil {
		return
	}
	states := make(chan State, 1)
	l.states = states
	l.hub.ended.Go(func() { states <- l.hub.server.state(l.hub.ctx) })
}

func (l *look) add(v *viewer) {
	if len(l.viewers) == maxViewers {
		close(v.frames)
		return
	}
	l.viewers[v] = true
	v.frames <- frame("history", l.history) // new: there is room
	if len(l.viewers) == 1 {
		l.subscribe()
	}
	l.collect()
}

func (l *look) drop(v *viewer) {
	if l.viewers[v] {
		delete(l.viewers, v)
		close(v.frames)
	}
	if len(l.viewers) == 0 {
		l.unsubscribe()
	}
}

func (l *look) broadcast(event string, value any) {
	f := frame(event, value)
	if len(f) > maxFrame { // the bounds of what it is made of are wrong
		l.hub.server.log.Error("a frame of the live page is too large to be sent", "event", event, "bytes", len(f),
			"most", maxFrame)
		return
	}
	for v := range l.viewers {
		select {
		case v.frames <- f:
		default:
			l.drop(v)
		}
	}
}

func (l *look) subscribe() {
	c := &l.hub.server.cfg
	if c.Tasks != nil {
		l.events, l.stopEvents = c.Tasks.Events(1000)
	}
	if c.Logs != nil {
		var ctx context.Context
		ctx, l.stopLines = context.WithCancel(l.hub.ctx)
		l.lines = c.Logs.Follow(ctx, 1000)
	}
}

func (l *look) unsubscribe() {
	if l.stopEvents != nil {
		l.stopEvents()
	}
	if l.stopLines != nil {
		l.stopLines()
	}
	l.events, l.stopEvents, l.lines, l.stopLines = nil, nil, nil, nil
	l.batch, l.log = batch[*dispatcher.Event]{}, batch[string]{}
}

func (l *look) end() {
	for v := range l.viewers {
		delete(l.viewers, v)
		close(v.frames)
	}
	l.unsubscribe()
}

// frame is one server-sent event. Its data is one line, as JSON is.
func frame(event string, value any) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", event, encode(value))
	return b.Bytes()
}

// stream sends a viewer the frames of the hub until either of them ends.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	v := &viewer{frames: make(chan []byte, viewerBuffer)}
	select {
	case s.hub.join <- v:
	case <-s.hub.ctx.Done():
		problem(w, http.StatusServiceUnavailable, "the admin server is closing")
		return
	}
	leave := func() {
		select {
		case s.hub.leave <- v:
		case <-s.hub.ctx.Done():
		}
	}
	gone := context.AfterFunc(r.Context(), leave) // its frames are closed then, which ends the loop below
	defer func() {
		if gone() {
			leave()
		}
	}()
	first, ok := <-v.frames
	if !ok {
		problem(w, http.StatusServiceUnavailable, fmt.Sprintf("%d pages are open already: close one", maxViewers))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy in front must not collect
	out := http.NewResponseController(w)
	closing := func() { _ = out.SetWriteDeadline(time.Now().Add(farewell)) }
	defer context.AfterFunc(s.hub.ctx, closing)()
	for f := first; ok; f, ok = <-v.frames {
		_ = out.SetWriteDeadline(time.Now().Add(readTimeout)) // a recorder in a test has none
		if !s.guard.stays(r) {
			break
		}
		if s.hub.ctx.Err() != nil {
			closing() // the deadline above may have come after that of the closing
			break
		}
		if _, err := w.Write(f); err != nil || out.Flush() != nil {
			break
		}
	}
}
