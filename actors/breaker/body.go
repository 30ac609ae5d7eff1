package breaker

import "io"

// body is an exchange as its response's body, which it watches.
type body exchange

// Read implements io.Reader.
func (w *body) Read(p []byte) (n int, err error) {
	x := (*exchange)(w)
	x.wait()
	n, err = x.reader.Read(p)
	if late := x.arrive(stagePaused); late && err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if x.left > 0 {
		x.left -= int64(n)
	}
	if err != nil && err != io.EOF {
		return n, x.fail(err, nil)
	}
	over := err == io.EOF || n > 0 && x.left == 0
	shown := n > 0 && x.shown()
	verdict, hold := x.look(p[:n], over, shown)
	if err == io.EOF {
		x.end(verdict, hold)
	} else if over || shown || verdict != Success {
		x.settle(verdict, hold)
	}
	return n, err
}

// Close implements io.Closer. Headers that were good, and no error until now,
// are a success. A Close while a Read waits for the service is neutral, as is
// one after the end of the caller's ctx.
func (w *body) Close() error {
	x := (*exchange)(w)
	x.mu.Lock()
	seen := Success
	if x.stage == stageReading {
		seen = Neutral
	}
	x.mu.Unlock()
	if x.parent.Err() != nil {
		seen = Neutral
	}
	x.settle(x.lookAtLeast(seen))
	err := x.reader.Close()
	x.end(Neutral, 0)
	return err
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
