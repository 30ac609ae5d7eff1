package breaker_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// mailService is the URL of the server that serveInMemory starts.
const mailService = "http://mail.internal"

// serveInMemory starts a server that only the transport it returns reaches, in
// memory, so that it works in simulated time. HTTP/2 is spoken without TLS.
func serveInMemory(t *testing.T, http2 bool, h http.HandlerFunc) *http.Transport {
	t.Helper()
	var p http.Protocols
	p.SetHTTP1(!http2)
	p.SetUnencryptedHTTP2(http2)
	l := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: h, Protocols: &p, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = server.Serve(l) }()
	tr := &http.Transport{Protocols: &p, DialContext: l.dial}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		_ = server.Close()
		time.Sleep(time.Minute) // of the bubble: every goroutine must have ended
	})
	return tr
}

// newMail spawns a breaker of mailService with a client over base.
func newMail(t *testing.T, base http.RoundTripper, s breaker.Settings, opts ...breaker.Option) (*breaker.Breaker, *http.Client) {
	t.Helper()
	b, err := breaker.Spawn(newSystem(t), mailService, s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop(context.Background()) })
	return b, &http.Client{Transport: b.Transport(base)}
}

// call gets path, and closes the response when read has seen it.
func call(c *http.Client, path string, read func(*http.Response)) error {
	res, err := c.Get(mailService + path)
	if err != nil {
		return err
	}
	if read != nil {
		read(res)
	}
	return res.Body.Close()
}

// memoryListener is a listener on pipes.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (m *memoryListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- newBufferedConn(theirs):
		return newBufferedConn(ours), nil
	case <-m.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memoryListener) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memoryListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// bufferedConn is one end of a pipe. As a socket does, it takes what is written
// before the other end reads it.
type bufferedConn struct {
	net.Conn
	out    chan []byte
	closed chan struct{}
	once   sync.Once
}

func newBufferedConn(c net.Conn) *bufferedConn {
	w := &bufferedConn{Conn: c, out: make(chan []byte, 1<<8), closed: make(chan struct{})}
	go w.deliver()
	return w
}

func (w *bufferedConn) Write(p []byte) (int, error) {
	select {
	case <-w.closed:
		return 0, net.ErrClosed
	default:
	}
	select {
	case w.out <- bytes.Clone(p):
		return len(p), nil
	case <-w.closed:
		return 0, net.ErrClosed
	}
}

func (w *bufferedConn) Close() error {
	w.once.Do(func() { close(w.closed) })
	_ = w.SetReadDeadline(time.Now())
	_ = w.SetWriteDeadline(time.Now().Add(time.Second))
	return nil
}

// deliver passes on what was written, to the last byte.
func (w *bufferedConn) deliver() {
	defer func() { _ = w.Conn.Close() }()
	for {
		select {
		case b := <-w.out:
			if _, err := w.Conn.Write(b); err != nil {
				w.once.Do(func() { close(w.closed) })
				return
			}
		case <-w.closed:
			for len(w.out) > 0 {
				if _, err := w.Conn.Write(<-w.out); err != nil {
					return
				}
			}
			return
		}
	}
}

// serve starts a loopback server and a breaker for it.
func serve(t *testing.T, http2 bool, s breaker.Settings, h http.HandlerFunc, opts ...breaker.Option) (*breaker.Breaker, *http.Client, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = http2
	server.StartTLS()
	t.Cleanup(server.Close)
	b, err := breaker.Spawn(newSystem(t), server.URL, s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop(context.Background()) })
	base := server.Client().Transport.(*http.Transport)
	client := &http.Client{Transport: b.Transport(base)}
	t.Cleanup(client.CloseIdleConnections)
	return b, client, server.URL
}

// failures returns the failures counted for the service.
func failures(b *breaker.Breaker) int { return b.Snapshot().Entries[0].Failures }
