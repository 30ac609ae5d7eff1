package breaker

import (
	"io"
	"time"
)

// body is an exchange as its response's body, which it watches.
type body exchange

// Read implements io.Reader.
func (w *body) Read(p []byte) (n int, err error) {
	x := (*exchange)(w)
	x.reading.Store(true)
	x.wait()
	n, err = x.reader.Read(p)
	if late := x.pause(); late && err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	x.reading.Store(false)
	if x.left > 0 {
		x.left -= int64(n)
	}
	switch {
	case err == io.EOF:
		x.end(Success, 0)
	case err != nil:
		err = x.fail(err)
	case n > 0 && (x.left == 0 || x.half != 0 && x.b.now() >= x.half):
		x.settle(Success, 0)
	}
	return n, err
}

// Close implements io.Closer. Before the end of the body it is neutral.
func (w *body) Close() error {
	x := (*exchange)(w)
	if x.half != 0 && !x.reading.Load() {
		x.finish()
	}
	x.settle(Neutral, 0)
	err := x.reader.Close()
	x.end(Neutral, 0)
	return err
}

// finishTime is how long the Close of a probe waits for the end of the body.
const finishTime = 10 * time.Millisecond

// finish looks whether the body that is closed was at its end: a decoder stops
// when it has its value, before it has seen the end of a chunked body. If that
// was neutral for probes too, a half-open entry might never learn anything.
func (x *exchange) finish() {
	x.mu.Lock()
	if x.settled || x.timer == nil {
		x.mu.Unlock()
		return
	}
	x.closing = true
	x.timer.Reset(finishTime)
	x.mu.Unlock()
	var rest [512]byte
	if _, err := x.reader.Read(rest[:]); err == io.EOF {
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
	defer u.x.end(Neutral, 0)
	return u.ReadWriteCloser.Close()
}
