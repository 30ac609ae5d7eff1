package breaker

import (
	"io"
	"net/http"
)

// inMemory is the largest request body, in bytes, that is passed on as it is: it
// fits into a socket's buffer, so that it is written at once whatever the
// service does, and net/http sends it in one packet with its headers.
const inMemory = 16 << 10

// watchesBody reports whether the body of req must be watched.
func watchesBody(req *http.Request) bool {
	if req.Body == nil || req.Body == http.NoBody {
		return false
	}
	return req.GetBody == nil || req.ContentLength > inMemory || req.ContentLength <= 0
}

// watchBody replaces the body of req, a copy, by one that the exchange watches.
func (x *exchange) watchBody(req *http.Request) {
	size := req.ContentLength
	most := new(int64)
	req.Body = &requestBody{x: x, body: req.Body, size: size, most: most}
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				x.mu.Lock()
				x.upload = uploadFailed
				x.mu.Unlock()
				return nil, err
			}
			return &requestBody{x: x, body: body, size: size, most: most}, nil
		}
	}
}

// requestBody is the body of a request. While the base reads it the service is not
// waited for, and with each piece the wait begins again.
type requestBody struct {
	x      *exchange
	body   io.ReadCloser
	size   int64 // that is announced; 0 or below if none is
	sent   int64
	most   *int64 // sent of all attempts: a piece that was sent before is no progress
	closed bool   // under the mutex of x: the base has given it up
}

// Read implements io.Reader.
func (u *requestBody) Read(p []byte) (n int, err error) {
	x := u.x
	x.mu.Lock()
	if !u.closed && x.upload != uploadFailed {
		x.upload = uploadReading
	}
	x.halt()
	late := x.outcome == overdue && x.stage == stageHeaders
	x.mu.Unlock()
	if late { // the service has taken a piece, and waits for the caller now
		x.settle(Neutral, 0)
	}
	n, err = u.body.Read(p)
	x.mu.Lock()
	u.sent += int64(n) // a Close may look at it
	u.giveBack()
	if !u.closed && u.failed(err) {
		x.upload = uploadFailed
	}
	x.mu.Unlock()
	return n, err
}

// failed reports whether the body is broken, or not as long as announced.
func (u *requestBody) failed(err error) bool {
	if err != nil && err != io.EOF {
		return true
	}
	return u.size > 0 && (u.sent > u.size || err == io.EOF && u.sent < u.size)
}

// Close implements io.Closer. The base closes a body that it wants no more of;
// a read of it that still hangs is no part of the exchange.
func (u *requestBody) Close() error {
	u.x.mu.Lock()
	u.closed = true
	u.giveBack()
	u.x.mu.Unlock()
	return u.body.Close()
}

// giveBack notes that the base does not read the body any more: the service is
// waited for, with all the time again if there was progress. Under the mutex.
func (u *requestBody) giveBack() {
	x := u.x
	progress := u.sent > *u.most
	*u.most = max(*u.most, u.sent)
	if x.upload != uploadReading {
		return
	}
	x.upload = uploadIdle
	switch {
	case x.parent.Err() != nil:
		x.lapsed = true
	case !x.waits():
	case progress || x.clock == nil:
		x.run()
	default:
		x.resume(x.clock.left)
	}
}
