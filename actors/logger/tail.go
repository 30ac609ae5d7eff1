package logger

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
)

// tail keeps the last lines that were written, and hands them to subscribers.
// It is filled by the writer after the write, so callers know nothing of it.
type tail struct {
	mu    sync.Mutex
	limit int
	buf   []byte // whole lines, at most 2*limit bytes
	subs  map[*Subscription]struct{}
}

func newTail(limit int) *tail { return &tail{limit: limit} }

// add takes the lines of a chunk that has been written.
func (t *tail) add(c *chunk) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.subs {
		s.offer(c.data)
	}
	data := lastLines(c.data, t.limit)
	if len(t.buf)+len(data) > 2*t.limit {
		t.buf = append(t.buf[:0], lastLines(t.buf, t.limit-len(data))...)
	}
	t.buf = append(t.buf, data...)
}

// lastLines is the longest run of whole lines at the end of b within n bytes.
func lastLines(b []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	if len(b) <= n {
		return b
	}
	b = b[len(b)-n-1:] // with the newline of the line before, if it fits exactly
	return b[bytes.IndexByte(b, '\n')+1:]
}

// Tail returns the last n records that the main output took, oldest first,
// each as its line without the newline. At most as many are kept as fit into
// the setting tail.
func (l *Logger) Tail(n int) []string {
	t := l.outputs[0].tail
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.buf
	if n <= 0 || len(b) == 0 {
		return nil
	}
	from := len(b) - 1
	for ; n > 0 && from >= 0; n-- {
		from = bytes.LastIndexByte(b[:from], '\n')
	}
	var lines []string
	for _, line := range bytes.Split(b[from+1:len(b)-1], []byte{'\n'}) {
		lines = append(lines, string(line))
	}
	return lines
}

// Subscription receives records as the main output takes them.
type Subscription struct {
	lines   chan string
	dropped atomic.Uint64
	cancel  func()
}

// Lines delivers each record as its line without the newline. It is closed
// when the subscription ends.
func (s *Subscription) Lines() <-chan string { return s.lines }

// Dropped counts the records that came while the channel was full.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription. It may be called twice.
func (s *Subscription) Close() { s.cancel() }

func (s *Subscription) offer(data []byte) {
	for len(data) > 0 {
		n := bytes.IndexByte(data, '\n')
		if len(s.lines) == cap(s.lines) {
			s.dropped.Add(uint64(bytes.Count(data, []byte{'\n'})))
			return
		}
		s.lines <- string(data[:n]) // the only sender, and there is room
		data = data[n+1:]
	}
}

// Subscribe delivers the records to come until ctx ends or the subscription is
// closed. A receiver that is more than buffer records behind misses some
// (counted); it never holds up the logger.
func (l *Logger) Subscribe(ctx context.Context, buffer int) *Subscription {
	t := l.outputs[0].tail
	s := &Subscription{lines: make(chan string, max(buffer, 1))}
	var once sync.Once
	end := func() {
		once.Do(func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			delete(t.subs, s)
			close(s.lines)
		})
	}
	t.mu.Lock()
	if t.subs == nil {
		t.subs = map[*Subscription]struct{}{}
	}
	t.subs[s] = struct{}{}
	t.mu.Unlock()
	// After it is among the others: a ctx that has ended takes it out at once.
	stop := context.AfterFunc(ctx, end)
	s.cancel = func() { stop(); end() }
	return s
}
