package breaker

import (
	"io"
	"sync/atomic"
	"time"
)

// body watches a response's body.
type body struct {
	io.ReadCloser
	x       *exchange
	left    int64 // bytes still to come; below 0 if not known
	reading atomic.Bool
}

// Read implements io.Reader.
func (w *body) Read(p []byte) (n int, err error) {
	w.reading.Store(true)
	w.x.wait()
	n, err = w.ReadCloser.Read(p)
	w.x.pause()
	w.reading.Store(false)
	if w.left > 0 {
		w.left -= int64(n)
	}
	if err == io.EOF && w.x.late() {
		err = io.ErrUnexpectedEOF
	}
	switch {
	case err == io.EOF:
		w.x.settle(Success, 0)
		w.x.release()
	case err != nil:
		err = w.x.fail(err)
		w.x.release()
	case n > 0 && (w.left == 0 || w.x.half != 0 && w.x.b.now() >= w.x.half):
		w.x.settle(Success, 0)
	}
	return n, err
}

// Close implements io.Closer. Before the end of the body it is neutral.
func (w *body) Close() error {
	if w.x.half != 0 && !w.reading.Load() {
		w.finish()
	}
	w.x.settle(Neutral, 0)
	err := w.ReadCloser.Close()
	w.x.release()
	return err
}

// finishTime is how long the Close of a probe waits for the end of the body.
const finishTime = 10 * time.Millisecond

// finish looks whether the body that is closed was at its end: a decoder stops
// when it has its value, before it has seen the end of a chunked body. If that
// was neutral for probes too, a half-open entry might never learn anything.
func (w *body) finish() {
	x := w.x
	x.mu.Lock()
	if x.settled || x.timer == nil {
		x.mu.Unlock()
		return
	}
	x.closing = true
	x.timer.Reset(finishTime)
	x.mu.Unlock()
	var rest [512]byte
	if _, err := w.ReadCloser.Read(rest[:]); err == io.EOF {
		x.settle(Success, 0)
	}
}

// writableBody is the body of a response that can be written to.
type writableBody struct {
	*body
	io.Writer
}

// upgraded is the body of a 101: the caller's own connection, not watched.
type upgraded struct {
	io.ReadWriteCloser
	x *exchange
}

// Close implements io.Closer.
func (u upgraded) Close() error {
	defer u.x.release()
	return u.ReadWriteCloser.Close()
}
