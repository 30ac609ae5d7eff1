package breaker

import (
	"io"
	"net/http"
	"sync/atomic"
)

// unsent is the body of a request that cannot be read again. A Close before it is read
// does nothing: another address may want it.
type unsent struct {
	io.ReadCloser
	used   atomic.Bool
	closed atomic.Bool
}

// unsentOf returns the body of a request that must stay open, or nil.
func unsentOf(req *http.Request) *unsent {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return nil
	}
	return &unsent{ReadCloser: req.Body}
}

// Read implements io.Reader.
func (u *unsent) Read(p []byte) (int, error) {
	u.used.Store(true)
	return u.ReadCloser.Read(p)
}

// Close implements io.Closer.
func (u *unsent) Close() error {
	if !u.used.Load() {
		return nil
	}
	u.closed.Store(true)
	return u.ReadCloser.Close()
}

// giveUp closes a body that nothing has read.
func (u *unsent) giveUp() {
	if u != nil && !u.closed.Swap(true) {
		_ = u.ReadCloser.Close()
	}
}
