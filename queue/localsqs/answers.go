package localsqs

import (
	"io"
	"net/http"
	"sync"
)

// maxKeptAnswer bounds the memory of an answer that is kept for the next one.
const maxKeptAnswer = 256 << 10

// answers keeps the memory of answers to receives, the largest part of what one takes. The
// zero value is ready to use.
type answers struct{ pool sync.Pool } // of *[]byte

// buffer returns an empty buffer with room for that many bytes.
func (a *answers) buffer(size int) *[]byte {
	if b, ok := a.pool.Get().(*[]byte); ok && cap(*b) >= size {
		*b = (*b)[:0]
		return b
	}
	b := make([]byte, 0, size)
	return &b
}

// keep takes back a buffer that nothing reads any more. It may be nil.
func (a *answers) keep(b *[]byte) {
	if b != nil && cap(*b) <= maxKeptAnswer {
		a.pool.Put(b)
	}
}

// answerBody is the body of an answer in process. Its memory is kept for another once it
// is closed.
type answerBody struct {
	answers *answers
	buffer  *[]byte // nil: the memory is not to be kept

	mu     sync.Mutex // guards what follows: a client may close while it reads
	rest   []byte
	closed bool
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed, b.rest = true, nil
		b.answers.keep(b.buffer)
	}
	return nil
}
