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
	if err != nil && err != io.EOF {
		return n, x.fail(err)
	}
	over := err == io.EOF || n > 0 && x.left == 0
	shown := n > 0 && x.half != 0 && x.b.now() >= x.half
	verdict, hold := x.look(p[:n], over, shown)
	if err == io.EOF {
		x.end(verdict, hold)
	} else if over || shown || verdict != Success {
		x.settle(verdict, hold)
	}
	return n, err
}

// Close implements io.Closer. Before the end of the body it is neutral.
func (w *body) Close() error {
	x := (*exchange)(w)
	if x.half != 0 && !x.reading.Load() {
		x.finish()
	}
	verdict, hold := x.lookAtLeast()
	x.settle(verdict, hold)
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
	if x.settled || x.clock == nil {
		x.mu.Unlock()
		return
	}
	x.closing = true
	x.clock.timer.Reset(finishTime)
	x.mu.Unlock()
	var rest [512]byte
	if n, err := x.reader.Read(rest[:]); err == io.EOF {
		x.settle(x.look(rest[:n], true, false))
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
