package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// writer is the http.ResponseWriter that a handler gets: it keeps the status and the
// number of bytes. It passes on what the writer below it can do. Whether that is an
// http.Flusher, an http.Hijacker or an http.Pusher is seen by handlers in the type, so
// there is a type for each combination that net/http has, and one for others; by
// Unwrap an http.ResponseController finds the rest. ReadFrom and WriteString need no
// types: they fall back on Write.
type writer struct {
	below    http.ResponseWriter
	on       *request      // is called at the header and at a hijack
	bytes    int64         // of the body, as written by the handler
	header   time.Duration // 1 ns more than from handler.made to the final header; 0: not taken
	status   int32         // of the final header; 0: none yet
	failed   bool          // a write has failed: the client has gone
	hijacked bool
}

type (
	flusher         struct{ *writer }
	hijacker        struct{ *writer }
	flusherHijacker struct{ *writer } // HTTP/1.1
	flusherPusher   struct{ *writer } // HTTP/2
)

// front returns w in the type that has the methods of the writer below. A struct of
// one pointer in an interface costs no allocation.
func (w *writer) front() http.ResponseWriter {
	_, flush := w.below.(http.Flusher)
	if !flush {
		_, flush = w.below.(interface{ FlushError() error })
	}
	_, hijack := w.below.(http.Hijacker)
	_, push := w.below.(http.Pusher)
	switch {
	case flush && hijack:
		return flusherHijacker{w}
	case flush && push:
		return flusherPusher{w}
	case flush:
		return flusher{w}
	case hijack:
		return hijacker{w}
	}
	return w
}

// begun reports whether an answer has begun, for [HandlerFunc].
func (w *writer) begun() bool { return w.status != 0 }

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.below }

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.below.Header() }

// WriteHeader implements http.ResponseWriter. Of several final headers the first
// counts; those of 1xx are not final, but for 101.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.final(status)
	}
	w.below.WriteHeader(status)
}

// final keeps the status of the response.
func (w *writer) final(status int) {
	w.status = int32(status)
	if w.on != nil {
		w.on.onHeader()
	}
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.final(http.StatusOK)
	}
	n, err := w.below.Write(p)
	return w.wrote(n, err)
}

// WriteString implements io.StringWriter.
func (w *writer) WriteString(s string) (int, error) {
	if w.status == 0 {
		w.final(http.StatusOK)
	}
	n, err := io.WriteString(w.below, s)
	return w.wrote(n, err)
}

// wrote counts what was written. The errors of net/http for a body that the handler
// must not write say nothing of the client.
func (w *writer) wrote(n int, err error) (int, error) {
	w.bytes += int64(n)
	if err != nil && err != http.ErrBodyNotAllowed && err != http.ErrContentLength && err != http.ErrHijacked {
		w.failed = true
	}
	return n, err
}

// ReadFrom implements io.ReaderFrom: with it net/http can send a file without copying
// it through the process.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	if w.status == 0 {
		w.final(http.StatusOK)
	}
	var n int64
	var err error
	if to, ok := w.below.(io.ReaderFrom); ok {
		n, err = to.ReadFrom(src)
	} else {
		n, err = io.Copy(struct{ io.Writer }{w.below}, src)
	}
	w.bytes += n
	return n, err
}

func (w *writer) flush() error {
	if w.status == 0 {
		w.final(http.StatusOK)
	}
	switch below := w.below.(type) {
	case interface{ FlushError() error }:
		return below.FlushError()
	case http.Flusher:
		below.Flush()
	}
	return nil
}

func (w *writer) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.below.(http.Hijacker).Hijack()
	if err == nil {
		w.hijacked = true
		if w.status == 0 {
			w.status = http.StatusSwitchingProtocols // what a hijacker writes by hand
		}
		if w.on != nil {
			w.on.onStream()
		}
	}
	return conn, rw, err
}

// streams reports whether the header announces a response that lasts as long as its
// client wants.
func (w *writer) streams() bool {
	return strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream")
}

func (w flusher) Flush()            { _ = w.flush() }
func (w flusher) FlushError() error { return w.flush() }

func (w hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

func (w flusherHijacker) Flush()                                       { _ = w.flush() }
func (w flusherHijacker) FlushError() error                            { return w.flush() }
func (w flusherHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

func (w flusherPusher) Flush()            { _ = w.flush() }
func (w flusherPusher) FlushError() error { return w.flush() }
func (w flusherPusher) Push(target string, opts *http.PushOptions) error {
	return w.below.(http.Pusher).Push(target, opts)
}
